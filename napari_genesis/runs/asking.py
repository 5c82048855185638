"""Questions before something is done to runs: deleting them, doing away with deleted ones, exporting a model."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QRadioButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_genesis.forms.control import SmallLabel
from napari_genesis.runs.cells import size_text
from napari_genesis.runs.deleting import SetAside
from napari_genesis.runs.listing import RunSummary
from napari_genesis.training.wording import place

_NAMED = 6
_WIDTH = 460
_ONNX_PACKAGES = ("onnx", "onnxruntime")


def delete_words(runs: Sequence[RunSummary], sizes: Sequence[int], needed: dict[str, list[str]]) -> tuple[str, str]:
    """Return the question before runs are deleted, and what there is to know.

    sizes: bytes of each. needed: run's name -> names of the runs that start from it.
    """
    what = f"the run {runs[0].name}" if len(runs) == 1 else f"{len(runs)} runs"
    lines = []
    if len(runs) > 1:
        more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
        lines.append(", ".join(run.name for run in runs[:_NAMED]) + more + ".")
    models = [run for run in runs if run.has_model]
    if models:
        count = "It holds a model" if len(runs) == 1 else f"{len(models)} of them hold a model"
        best = [run.figure.text for run in models if run.figure is not None and run.figure.final]
        lines.append(count + (f" (best: {best[0]})." if len(runs) == 1 and best else "."))
    else:
        lines.append("It holds no model." if len(runs) == 1 else "None of them holds a model.")
    for name, users in needed.items():
        more = f" and {len(users) - _NAMED} more" if len(users) > _NAMED else ""
        lines.append(
            f"{name} is what {', '.join(users[:_NAMED])}{more} started from: what was learnt there stays, but it "
            "could not be trained again."
        )
    lines.append(f"{size_text(sum(sizes))} are set aside, not freed: “Put back” under “more” undoes it.")
    return f"Delete {what}?", "\n\n".join(lines)


def confirm_delete(parent: QWidget, question: str, facts: str) -> bool:
    """Ask before runs are deleted; what is pressed in haste keeps them."""
    return _confirm(parent, "Delete runs", question, facts, "Delete")


def confirm_empty(parent: QWidget, runs: Sequence[SetAside], size: int) -> bool:
    """Ask before deleted runs are done away with for good."""
    names = ", ".join(one.name for one in runs[:_NAMED])
    more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
    facts = f"{names}{more}.\n\nThis frees {size_text(size)} and cannot be undone."
    return _confirm(
        parent, "Remove deleted runs", f"Remove {len(runs)} deleted runs for good?", facts, "Remove for good"
    )


def _confirm(parent: QWidget, title: str, question: str, facts: str, action: str) -> bool:
    box = QMessageBox(QMessageBox.Icon.Warning, title, question, QMessageBox.StandardButton.NoButton, parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setInformativeText(facts)
    yes = box.addButton(action, QMessageBox.ButtonRole.DestructiveRole)
    no = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(no)
    box.setEscapeButton(no)
    box.exec()
    chosen = box.clickedButton() is yes
    box.deleteLater()
    return chosen


@dataclass(frozen=True)
class ExportChoice:
    """out: a folder that does not exist. onnx: ONNX files instead of what napari-genesis reads."""

    out: Path
    onnx: bool

    def words(self, run: Path) -> list[str]:
        """Return the words of the command, without its program."""
        return ["runs", "export", str(run), "--out", str(self.out), *(["--onnx"] if self.onnx else [])]


class ExportDialogue(QDialog):
    """Asks how and where to export the model of a run; shows the same as a command."""

    def __init__(self, run: RunSummary, parent_folder: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run = run
        self.setWindowTitle(f"Export the model of {run.name}")
        self.setMinimumWidth(_WIDTH)
        self.model_folder = QRadioButton("Model folder: card, weights and licence, for napari-genesis elsewhere")
        self.model_folder.setChecked(True)
        self.onnx = QRadioButton("ONNX: for other programs; compared with the model before it is kept")
        missing = [name for name in _ONNX_PACKAGES if importlib.util.find_spec(name) is None]
        self.onnx.setEnabled(not missing)
        self.hint = SmallLabel()
        if missing:
            self.hint.show_text(f"ONNX needs {' and '.join(missing)}: python -m pip install {' '.join(missing)}")
        self.folder = QLineEdit(str(parent_folder))
        self.folder.setAccessibleName("folder that the export is written into")
        browse = QToolButton()
        browse.setText("…")
        browse.setToolTip("Choose the folder.")
        browse.clicked.connect(self._browse)
        self.name = QLineEdit()
        self.name.setAccessibleName("name of the new folder")
        self.command = QLineEdit()
        self.command.setReadOnly(True)
        self.command.setAccessibleName("the same as a command")
        self.problem = SmallLabel()
        copy = QPushButton("Copy as a command")
        copy.clicked.connect(self._copy)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        export = self.buttons.addButton("Export", QDialogButtonBox.ButtonRole.AcceptRole)
        assert export is not None
        self.export_button = export
        self.buttons.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        into, called = QHBoxLayout(), QHBoxLayout()
        into.addWidget(QLabel("into"))
        into.addWidget(self.folder, 1)
        into.addWidget(browse)
        called.addWidget(QLabel("as"))
        called.addWidget(self.name, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.model_folder)
        layout.addWidget(self.onnx)
        layout.addWidget(self.hint)
        layout.addLayout(into)
        layout.addLayout(called)
        layout.addWidget(self.problem)
        layout.addWidget(QLabel("The same as a command:"))
        layout.addWidget(self.command)
        layout.addWidget(self.buttons)
        self._suggested = ""
        self.onnx.toggled.connect(lambda _: self._suggest())
        self.folder.textChanged.connect(lambda _: self._suggest())
        self.name.textChanged.connect(lambda _: self._show())
        self._suggest()

    @property
    def choice(self) -> ExportChoice:
        """What was chosen."""
        return ExportChoice(
            Path(self.folder.text().strip()).expanduser() / self.name.text().strip(), self.onnx.isChecked()
        )

    def _suggest(self) -> None:
        """Offer a name that is free, unless the user has typed one."""
        if self.name.text() == self._suggested:
            stem = f"{self._run.name}_onnx" if self.onnx.isChecked() else self._run.name
            folder, name, number = Path(self.folder.text().strip()).expanduser(), stem, 1
            while (folder / name).exists():
                number += 1
                name = f"{stem}_{number}"
            self._suggested = name
            self.name.setText(name)
        self._show()

    def _show(self) -> None:
        choice = self.choice
        typed = self.name.text().strip()
        problem = "Give the new folder a name." if not typed else ""
        if typed and choice.out.exists():
            problem = f"{place(choice.out)} exists already, and nothing is overwritten."
        self.problem.show_text(problem)
        self.export_button.setEnabled(not problem)
        self.command.setText(shlex.join(["napari-genesis", *choice.words(self._run.path)]))
        self.command.setCursorPosition(0)

    def _copy(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.command.text())

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder that the export is written into", self.folder.text())
        if folder:
            self.folder.setText(folder)
