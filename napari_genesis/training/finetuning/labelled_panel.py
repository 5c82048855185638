"""The labelled folder a fine-tuning learns from: what its check says of layout, cases, structures and problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

from napari_genesis.forms.control import SmallLabel
from napari_genesis.jobs.labelled_check import FoundProblem, LabelledCheck, LabelledChecking
from napari_genesis.training.finetuning.structures_list import StructuresList
from napari_genesis.training.path_line import PathLine, PathTarget
from napari_genesis.training.text_dialogue import TextDialogue

# Problems told at once; the table tells them all.
_PROBLEMS_SHOWN = 3
_TIP = (
    "nnU-Net, the Decathlon, BIDS, DICOM with RTSTRUCT or SEG, folders of images and labels, folders of masks,\n"
    "or a table (.csv) of images and labels. The layout is recognised."
)
_SEVERITY = {"left_out": "left out", "warning": "warning", "note": "note"}


class LabelledPanel(PathTarget):
    """chosen(path or None): another folder. checked(): more is known of it. ticked(names): structures were chosen.

    renamed(names): numbers of labels were named, see `StructuresList`.
    """

    chosen = Signal(object)
    checked = Signal()
    ticked = Signal(object)
    renamed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.check: LabelledCheck | None = None
        self._chosen: Sequence[str] = ()
        self._options: Sequence[str] = ()
        self._names: Mapping[int, str] = {}
        self.checking = LabelledChecking(self)
        self.checking.progressed.connect(self._take)
        self.place = PathLine("labelled folder", _TIP)
        self.line = self.place.line
        self.place.chosen.connect(self.choose)
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.summary.setAccessibleName("what the folder holds")
        self.table = QPushButton("Table…")
        self.table.setToolTip("Every problem with what to do about it, and every case.")
        self.table.clicked.connect(self._show_table)
        self.layouts = QPushButton("Layouts…")
        self.layouts.setToolTip("Why the folder was not recognised, and how one has to look.")
        self.layouts.clicked.connect(self._show_layouts)
        self.problems = SmallLabel()
        self.problems.setAccessibleName("problems of the folder")
        self.structures = StructuresList()
        self.structures.ticked.connect(self._tick)
        self.structures.renamed.connect(self._rename)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(3)
        layout.addWidget(self.place, 0, 0, 1, 2)
        layout.addWidget(self.summary, 1, 0)
        layout.addWidget(self.table, 1, 1)
        layout.addWidget(self.layouts, 1, 1)
        layout.addWidget(self.problems, 2, 0, 1, 2)
        layout.addWidget(self.structures, 3, 0, 1, 2)
        layout.setColumnStretch(0, 1)
        self._show()

    @property
    def path(self) -> Path | None:
        """The folder that is chosen."""
        return self.place.path

    @property
    def usable(self) -> int:
        """How many cases are known that can be trained on, with a structure that is ticked."""
        return 0 if self.check is None or not self.structures.chosen else self.check.usable

    def choose(
        self,
        path: Path | None,
        chosen: Sequence[str] = (),
        options: Sequence[str] | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        """Choose a folder or a table, and check it.

        chosen: structures to tick, empty for all. options: how it is to be read, as the check takes it; None: as before
        where it is the same folder, else as recognised. names: of its numbers; None: likewise.
        """
        same = path == self.place.path
        self._options = (self._options if same else ()) if options is None else options
        self._names = (self._names if same else {}) if names is None else names
        self._chosen = tuple(chosen)
        self.check = None
        self.place.show_path(path)
        if path is None:
            self.checking.stop()
        else:
            self.checking.start(path, self._options)
        self._show()
        self.chosen.emit(path)

    def read_as(self, options: Sequence[str]) -> None:
        """Check the folder again if it is to be read in another way."""
        if list(options) != list(self._options):
            self.choose(self.path, self.structures.chosen, options)

    def _take(self, check: LabelledCheck) -> None:
        self.check = check
        self._show()
        self.checked.emit()

    def _tick(self, names: Sequence[str]) -> None:
        self._chosen = tuple(names)
        self.ticked.emit(names)

    def _rename(self, names: Mapping[int, str]) -> None:
        self._names = names
        self._chosen = self.structures.chosen
        self.renamed.emit(names)

    def _show(self) -> None:
        check = self.check
        known = check is not None and check.done
        self.table.setVisible(known and bool(check is not None and check.summary))
        self.layouts.setVisible(check is not None and "\n" in check.problem)
        self.structures.show_structures(() if check is None else check.structures, self._chosen, self._names)
        self.problems.show_text("")
        if self.path is None:
            self.summary.setText("No folder yet.")
        elif check is None or not check.done:
            self.summary.setText("Checking…")
        elif check.problem:
            words = check.problem.partition("\n")[0].removeprefix(f"{self.path}: ")
            self.summary.setText(words[:1].upper() + words[1:])
        else:
            self.summary.setText(_counted(check))
            self.problems.show_text("\n".join(_told(check.problems)))

    def _show_table(self) -> None:
        from napari_genesis.training.finetuning.labelled_dialogue import LabelledDialogue

        if self.check is not None:
            LabelledDialogue(self.check, parent=self).show()

    def _show_layouts(self) -> None:
        if self.check is not None:
            head, _, text = self.check.problem.partition("\n")
            TextDialogue("Layouts of labelled folders", head, text, parent=self).show()


def _counted(check: LabelledCheck) -> str:
    layout = str(check.summary.get("layout", ""))
    subjects = check.subjects
    parts = [f"{check.usable:,} cases of {subjects:,} {'subject' if subjects == 1 else 'subjects'} usable"]
    if check.summary.get("test"):
        parts.append(f"{check.summary['test']:,} kept for tests")
    parts.append(f"{check.left_out:,} left out")
    channels = check.summary.get("channels") or ()
    if len(channels) > 1:
        parts.append(f"channels {', '.join(map(str, channels))}")
    return f"{layout[:1].upper()}{layout[1:]}: {', '.join(parts)}."


def _told(problems: Sequence[FoundProblem]) -> list[str]:
    told = []
    for one in problems[:_PROBLEMS_SHOWN]:
        # The names of those that are left out say nothing without the table; that of a single one does.
        who = f"{one.cases[0]}: " if one.severity == "left_out" and len(one.cases) == 1 else ""
        told.append(f"{_SEVERITY.get(one.severity, one.severity)}: {who}{one.text} {one.fix}".replace("\n", " "))
    more = len(problems) - len(told)
    return [*told, f"and {more:,} more: see the table"] if more > 0 else told
