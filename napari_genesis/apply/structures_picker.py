"""Which structures are kept: boxes to tick in a list that can be filtered; and the organ rules, where they fit."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_genesis.apply.structure_rows import ROW, SWATCH, swatch

# More rows than these scroll inside the list, which would else push everything else out of sight.
_MOST_ROWS = 8
# Fewer structures than these are seen at a glance, and need no filter.
_FILTERED = 9
_RULES = (
    "What anatomy says about SuPreM's 32 classes, as published with them: one piece an organ, lungs told apart by "
    "their side and filled, the portal vein cut below the pancreas, tumours and cysts not too small or too many, and "
    "some only within their organ. Every change is listed with the result."
)


class StructuresPicker(QWidget):
    """ticked(names): the user ticked or unticked some; all that are ticked, in the order of the card. ruled(on)."""

    ticked = Signal(object)
    ruled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("filter")
        self.filter.setAccessibleName("filter the structures")
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(lambda _: self._show_matching())
        self.all, self.none = _button("all", "Keep all that the list shows."), _button("none", "Untick all it shows.")
        self.all.clicked.connect(lambda: self._tick_shown(Qt.CheckState.Checked))
        self.none.clicked.connect(lambda: self._tick_shown(Qt.CheckState.Unchecked))
        self.list = _List()
        self.list.itemChanged.connect(lambda _: self.ticked.emit(self.chosen))
        self.rules = QCheckBox("organ rules")
        self.rules.setToolTip(f"<qt>{escape(_RULES)}</qt>")
        self.rules.setAccessibleDescription(_RULES)
        self.rules.clicked.connect(self.ruled)
        head = QHBoxLayout()
        head.setSpacing(3)
        head.addWidget(self.filter, 1)
        head.addStretch(0)
        head.addWidget(self.all)
        head.addWidget(self.none)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(22, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.list)
        layout.addWidget(self.rules)

    @property
    def chosen(self) -> tuple[str, ...]:
        """Those that are ticked."""
        return tuple(item.text() for item in self._items() if item.checkState() == Qt.CheckState.Checked)

    def show_structures(
        self, structures: Sequence[tuple[str, Sequence[int]]], chosen: Sequence[str], *, rules: bool
    ) -> None:
        """Offer structures (name, colour), of which some are ticked; no signal. rules: offer the organ rules too."""
        self.rules.setVisible(rules)
        names = [name for name, _ in structures]
        with QSignalBlocker(self.list):
            if names != [item.text() for item in self._items()]:
                self.list.clear()
                for name, colour in structures:
                    item = QListWidgetItem(swatch(colour), name)
                    item.setFlags(
                        Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable
                    )
                    item.setToolTip(name)
                    item.setSizeHint(QSize(60, ROW))
                    self.list.addItem(item)
                self.filter.clear()
                self.filter.setVisible(len(names) >= _FILTERED)
                self.list.updateGeometry()
            for item in self._items():
                item.setCheckState(Qt.CheckState.Checked if item.text() in chosen else Qt.CheckState.Unchecked)

    def show_rules(self, on: bool) -> None:
        """Show whether the organ rules are applied; no signal."""
        self.rules.setChecked(on)

    def _items(self) -> list[QListWidgetItem]:
        return [item for row in range(self.list.count()) if (item := self.list.item(row)) is not None]

    def _show_matching(self) -> None:
        wanted = self.filter.text().strip().lower().replace(" ", "_")
        for item in self._items():
            item.setHidden(wanted not in item.text().lower().replace(" ", "_"))

    def _tick_shown(self, state: Qt.CheckState) -> None:
        with QSignalBlocker(self.list):
            for item in self._items():
                if not item.isHidden():
                    item.setCheckState(state)
        viewport = self.list.viewport()
        if viewport is not None:
            viewport.update()
        self.ticked.emit(self.chosen)


class _List(QListWidget):
    """As high as its rows, up to a few; Space ticks the row that has the focus."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("structures to keep")
        self.setIconSize(QSize(SWATCH, SWATCH))
        self.setUniformItemSizes(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(200, ROW * min(max(1, self.count()), _MOST_ROWS) + 2 * self.frameWidth())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(100, self.sizeHint().height())


def _button(text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    button.setAccessibleName(f"{text} structures")
    return button
