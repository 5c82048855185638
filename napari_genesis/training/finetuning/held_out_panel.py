"""The Dice of whole held-out scans, once a model has been scored on them: in a line, and case by case in a table."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from genesis_core.errors import GenesisError
from napari_genesis.jobs.view import RunView
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.training.finetuning.dice_data import mean_of, structures_of
from napari_genesis.training.reading_table import ReadingTable

Names = Mapping[str, str]
# More structures than these stand in the table alone.
_NAMED = 8


class HeldOutPanel(QWidget):
    """Shows what a run reached on cases it never learnt from; hidden before the first of them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: RunView | None = None
        self._names: Names = {}
        self._named_for: Path | None = None
        self.lane = LatestOnly("genesis-case-names", self)
        self.lane.finished.connect(self._take_names)
        self.words = QLabel()
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.words.setWordWrap(True)
        self.words.setAccessibleName("Dice of held-out scans")
        self.cases = QPushButton("Cases…")
        self.cases.setToolTip("The Dice of every held-out scan, the worst first.")
        self.cases.clicked.connect(self._show_cases)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.addWidget(self.words, 1)
        layout.addWidget(self.cases, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    @property
    def names(self) -> Names:
        """What the user's folder calls the cases, by their pseudonyms; empty where it is not known."""
        return self._names

    def show_run(self, view: RunView) -> None:
        """Show a run as it is now."""
        self._view = view
        self.setVisible(bool(view.held_out))
        if not view.held_out:
            return
        self._ask_names(view)
        colours = {one.name: pg.mkColor(one.colour).name() for one in structures_of(view)}
        scores = view.scores
        parts = []
        if "mean_dice" in scores:
            parts.append(f"<b>mean&nbsp;{scores['mean_dice']:.3f}</b>")
        dice = [(key.removeprefix("dice_"), value) for key, value in scores.items() if key.startswith("dice_")]
        for name, value in dice[:_NAMED]:
            mark = f"<font color='{colours.get(name, '')}'>■</font>&nbsp;" if name in colours else ""
            parts.append(f"{mark}{escape(name).replace(' ', '&nbsp;')}&nbsp;{value:.3f}")
        count = len(view.held_out)
        scans = "scan" if count == 1 else "scans"
        folds = f", by {view.of_folds} models that never saw them" if view.of_folds > 1 and scores else ""
        so_far = "" if scores else " so far"
        self.words.setText(f"Dice of {count:,} whole held-out {scans}{folds}{so_far}<br>{' &nbsp; '.join(parts)}")

    def _ask_names(self, view: RunView) -> None:
        folder = view.facts.scans if view.facts is not None else None
        if folder is not None and folder != self._named_for:
            self._named_for, self._names = folder, {}
            self.lane.submit(lambda: _names_in(folder))

    def _take_names(self, names: Names) -> None:
        self._names = names

    def _show_cases(self) -> None:
        if self._view is not None:
            HeldOutDialogue(self._view, self._names, parent=self).show()


class HeldOutDialogue(QDialog):
    """Every held-out case with its Dice per structure, the worst first. names: what the user's folder calls them."""

    def __init__(self, view: RunView, names: Names, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Held-out cases of {view.name}")
        self.resize(720, 460)
        structures = list(dict.fromkeys(name for dice in view.held_out.values() for name in dice))
        means = {case: mean_of(dice) for case, dice in view.held_out.items()}
        ranked = sorted(view.held_out, key=lambda case: 2.0 if means[case] is None else means[case] or 0.0)
        rows = [
            (
                names.get(case, case),
                _figure(means[case]),
                *(_figure(view.held_out[case].get(name)) for name in structures),
            )
            for case in ranked
        ]
        self.table = ReadingTable(("case", "mean", *structures), rows, (), stretched=0)
        for row in range(self.table.rowCount()):
            for column in range(1, self.table.columnCount()):
                item = self.table.item(row, column)
                assert isinstance(item, QTableWidgetItem)
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        head = QLabel(
            "Dice of whole scans, segmented by a model that never learnt from them. A dash: neither the reference nor "
            "the model draws the structure, or nobody looked for it."
        )
        head.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(head)
        layout.addWidget(self.table)
        layout.addWidget(buttons)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _names_in(folder: Path) -> Names:
    """Return what a labelled folder calls its cases, by their pseudonyms; nothing if it cannot be read here."""
    from genesis_core.volumes.labelled.finding import find_labelled

    try:
        return {case.id: case.name for case in find_labelled(folder).cases}
    except (GenesisError, OSError):
        # The folder lies elsewhere: pseudonyms do.
        return {}
