"""The rounds of a review: who was added, how each began, and the Dice of the held-out cases, as a table and a plot.

Held out are the same subjects in every round, so that the figures can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import pyqtgraph as pg
from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QPalette, QShowEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from napari_genesis.studio.quiet_plot import QuietPlot, small_font, with_alpha

if TYPE_CHECKING:
    from genesis_core.training.round_chain import Round
    from genesis_core.volumes.label_volume import Colour

_HEADINGS = ("", "cases", "new", "began from", "Dice")
_TIPS = (
    "Round 0 is the training the review began with.",
    "Labelled cases it trains on, without the held-out ones.",
    "Corrected cases among them.",
    "The last checkpoint of the round before (re-warmed), or the source of round 0.",
    "Mean over the structures of the held-out cases, the same in every round.",
)
MEAN = "mean_dice"
_PREFIXES = ("held_out_", "dice_")
_HEIGHT, _ROW = 130, 22
# More lines than these cannot be told apart; the rest stands in the table's tips. The mean is the text's colour.
_LINES = 7


class RoundsPanel(QWidget):
    """Shows rounds; as high as it needs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rounds: tuple[Round, ...] = ()
        self._colours: dict[str, Colour] = {}
        self.table = _Table()
        self.plot = QuietPlot()
        self.plot.setFixedHeight(_HEIGHT)
        self.plot.getAxis("left").setWidth(38)
        self.plot.plotItem.layout.setContentsMargins(0, 4, 10, 2)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.words.setAccessibleName("what the lines are")
        self.lines: dict[str, Any] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for widget in (self.table, self.plot, self.words):
            layout.addWidget(widget)
        self.show_rounds(())

    def show_rounds(self, rounds: Sequence[Round], colours: Mapping[str, Colour] | None = None) -> None:
        """Show rounds, round 0 first. colours: of the structures by name, as in the labels."""
        self._rounds = tuple(rounds)
        self._colours = dict(colours or {})
        self.table.show_rounds(self._rounds)
        self.setVisible(bool(rounds))
        measured = [one for one in self._rounds if MEAN in one.dice]
        self.plot.setVisible(len(measured) > 1)
        self.words.setVisible(len(measured) > 1)
        self._draw()

    def _draw(self) -> None:
        from genesis_core.volumes.structure_colours import default_colours

        names = [MEAN, *(name for name in _structures(self._rounds) if name != MEAN)][: 1 + _LINES]
        by_place = default_colours(_LINES)
        for gone in set(self.lines) - set(names):
            self.plot.removeItem(self.lines.pop(gone))
        text = self.palette().color(QPalette.ColorRole.WindowText)
        parts = []
        for number, name in enumerate(names):
            if name not in self.lines:
                self.lines[name] = self.plot.plot([], [], symbol="o", symbolSize=6)
            line = self.lines[name]
            own = self._colours.get(plain_name(name)) or by_place[number - 1]
            colour = text if name == MEAN else pg.mkColor(own)
            line.setPen(pg.mkPen(colour, width=2.2 if name == MEAN else 1.4))
            line.setSymbolBrush(colour)
            line.setSymbolPen(None)
            points = [(one.number, one.dice[name]) for one in self._rounds if name in one.dice]
            line.setData([x for x, _ in points], [y for _, y in points])
            parts.append(
                f"<font color='{colour.name()}'>●</font>&nbsp;{escape(plain_name(name)).replace(' ', '&nbsp;')}"
            )
        self.words.setText(f"<small>Dice by round: {' &nbsp; '.join(parts)}</small>")
        axis = self.plot.getAxis("bottom")
        axis.setTicks([[(one.number, str(one.number)) for one in self._rounds]])
        for one in (axis, self.plot.getAxis("left")):
            one.setPen(with_alpha(text, 70))
            one.setTextPen(text)
            one.setStyle(tickFont=small_font(self))

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Follow the theme."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._draw()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Take the theme's colours, which a widget has only once it is shown."""
        super().showEvent(event)
        self._draw()


class _Table(QTableWidget):
    def __init__(self) -> None:
        super().__init__(0, len(_HEADINGS))
        self.setAccessibleName("rounds")
        self.setHorizontalHeaderLabels(list(_HEADINGS))
        for column, tip in enumerate(_TIPS):
            self.horizontalHeaderItem(column).setToolTip(tip)  # type: ignore[union-attr]
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setShowGrid(False)
        for policy in (self.setVerticalScrollBarPolicy, self.setHorizontalScrollBarPolicy):
            policy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        rows.setDefaultSectionSize(_ROW)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(3, QHeaderView.ResizeMode.Stretch)
        columns.setHighlightSections(False)

    def show_rounds(self, rounds: Sequence[Round]) -> None:
        """Show a row each; what is not known yet is told by the run's state."""
        self.setRowCount(len(rounds))
        for row, one in enumerate(rounds):
            tip = "\n".join([str(one.run), *(f"{plain_name(name)} {value:.3f}" for name, value in one.dice.items())])
            for column, text in enumerate(row_of(one)):
                item = QTableWidgetItem(text)
                item.setToolTip(tip)
                if column != 3:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(row, column, item)
        self.updateGeometry()

    def sizeHint(self) -> QSize:  # noqa: N802
        header = self.horizontalHeader()
        top = header.sizeHint().height() if header is not None else _ROW
        return QSize(200, top + _ROW * max(1, self.rowCount()) + 2 * self.frameWidth())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(100, self.sizeHint().height())


def row_of(one: Round) -> tuple[str, str, str, str, str]:
    """Return what the table says of a round."""
    began = {"previous": "last checkpoint", "source": "source", None: ""}.get(one.start, str(one.start))
    dice = f"{one.dice[MEAN]:.3f}" if MEAN in one.dice else one.state
    return str(one.number), str(one.cases or ""), str(one.corrected or ""), began, dice


def plain_name(name: str) -> str:
    """Return the name of a figure for people: "mean" or the structure's."""
    if name == MEAN:
        return "mean"
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _structures(rounds: Sequence[Round]) -> list[str]:
    return list(dict.fromkeys(name for one in rounds for name in one.dice))
