"""The places of the open case to look at: which kind, which one of how many, next and previous."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QToolButton, QWidget

from napari_genesis.correct.kept import PlaceKind
from napari_genesis.forms.wheel import pass_wheel_on

if TYPE_CHECKING:
    from genesis_core.studies.review import Place

_KINDS: dict[PlaceKind, tuple[str, str]] = {
    "uncertain": ("uncertain places", "Where the model is least sure, the worst first."),
    "random": ("random places", "Anywhere: a fair sample, which also shows confident mistakes."),
    "stratified": ("stratified places", "One on each structure's surface, and one in the background."),
}


class PlacesPanel(QWidget):
    """gone_to(Place): a place is to be shown. kind_chosen(kind)."""

    gone_to = Signal(object)
    kind_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._places: Sequence[Place] = ()
        self._at = -1
        self.kinds = QComboBox()
        pass_wheel_on(self.kinds)
        self.kinds.setAccessibleName("kind of places")
        for row, (kind, (words, tip)) in enumerate(_KINDS.items()):
            self.kinds.addItem(words, kind)
            self.kinds.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)
        self.kinds.activated.connect(lambda _: self._choose())
        self.back, self.next = QToolButton(), QToolButton()
        for button, text, name, key, steps in (
            (self.back, "◂", "previous place", "Shift+J", -1),
            (self.next, "▸", "next place", "J", 1),
        ):
            button.setText(text)
            button.setAccessibleName(name)
            button.setToolTip(f"{name.capitalize()}: {key}")
            button.clicked.connect(lambda _=False, steps=steps: self.step(steps))
        self.count = QLabel()
        self.count.setAccessibleName("place")
        self.count.setMinimumWidth(self.fontMetrics().horizontalAdvance("8 of 8 "))
        self.count.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.kinds, 1)
        for widget in (self.back, self.count, self.next):
            layout.addWidget(widget)
        self.show_places(())

    @property
    def kind(self) -> PlaceKind:
        """The kind that is chosen."""
        return self.kinds.currentData()  # type: ignore[no-any-return]

    @property
    def _mine(self) -> list[Place]:
        return [place for place in self._places if place.kind == self.kind]

    def choose(self, kind: PlaceKind) -> None:
        """Choose a kind, without a signal."""
        with QSignalBlocker(self.kinds):
            self.kinds.setCurrentIndex(self.kinds.findData(kind))

    def show_places(self, places: Sequence[Place]) -> None:
        """Begin with the places of another case; none of them is looked at yet."""
        self._places, self._at = tuple(places), -1
        self._say()

    def step(self, steps: int) -> None:
        """Go to the place so many further, round and round."""
        mine = self._mine
        if mine:
            self._at = (self._at + steps) % len(mine) if self._at >= 0 else 0 if steps > 0 else len(mine) - 1
            self._say()
            self.gone_to.emit(mine[self._at])

    def _choose(self) -> None:
        self._at = -1
        self._say()
        self.kind_chosen.emit(self.kind)
        self.step(1)

    def _say(self) -> None:
        mine = self._mine
        for button in (self.back, self.next):
            button.setEnabled(bool(mine))
        at = f"{self._at + 1}" if self._at >= 0 else "–"
        self.count.setText(f"{at} of {len(mine)}" if mine else "none")
