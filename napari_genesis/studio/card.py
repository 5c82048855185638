"""One corruption of a recipe as a card: header, what undoing it teaches, its settings, and what can be done to it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from genesis_core.corruptions.corruption import Corruption
from napari_genesis.forms.control import Control, SmallLabel
from napari_genesis.forms.drawing import Picture, PictureButton, paint_focus, paint_frame
from napari_genesis.forms.form import SettingsForm
from napari_genesis.studio.arrangement import (
    Shape3,
    Spacing,
    can_share,
    length_text,
    published_rate,
    share,
    size_text,
)
from napari_genesis.studio.card_header import CardHeader
from napari_genesis.studio.recipe_draft import RecipeDraft


class Card(QFrame):
    """Shows one entry of a draft; what the user does to it goes out as signals, for the whole recipe to decide.

    setting_moved(name, value, settled), rate_moved(rate, settled), switched(on), restore_wanted(), move_wanted(by).
    """

    setting_moved = Signal(str, object, bool)
    rate_moved = Signal(object, bool)
    switched = Signal(bool)
    restore_wanted = Signal()
    move_wanted = Signal(int)

    def __init__(self, kind: type[Corruption], *, in_group: bool, parent: QWidget | None = None) -> None:
        """Build the card of one corruption, folded. in_group: its rate is a share of the group's choice."""
        super().__init__(parent)
        self.kind = kind
        self.in_group = in_group
        self.index = 0
        self._shown: Any = None
        self.header = CardHeader(kind.label, in_group=in_group, parent=self)
        self.problem = SmallLabel(self)
        self.problem.setAccessibleName(f"{kind.label}: problem")
        self.body = QWidget(self)
        self.form = SettingsForm(kind, leave_out=("kind",), default_name="published default", parent=self.body)
        self.restore = _RestoreButton("Restore published defaults", self.body)
        self.restore.setToolTip("Bring all settings of this corruption back to the published defaults.")
        self.restore.setAccessibleName(f"{kind.label}: restore the published defaults")
        self.up, self.down = move_buttons(kind.label, self, self.move_wanted)
        self._arrange(kind.teaches)
        self.header.unfolded.connect(self._fold)
        self.header.switched.connect(self.switched)
        self.header.rate_moved.connect(self.rate_moved)
        self.header.refused.connect(self.problem.show_text)
        self.form.changed.connect(self.setting_moved)
        self.restore.clicked.connect(lambda: self.restore_wanted.emit())
        self._fold(False)

    @property
    def unfolded(self) -> bool:
        """Whether the settings are shown."""
        return self.header.fold.isChecked()

    @property
    def parts(self) -> tuple[QWidget, ...]:
        """The widgets that take the keyboard's focus, in their order."""
        return (*self.header.parts, *self.form.parts, self.restore, self.up, self.down)

    def unfold(self, unfolded: bool = True) -> None:
        """Show the settings, or hide them."""
        self.header.fold.setChecked(unfolded)

    def show_entry(
        self, draft: RecipeDraft, index: int, box: Shape3, spacing: Spacing | None, moves: tuple[bool, bool]
    ) -> None:
        """Show an entry of a draft. moves: whether it can go up, and down. What is shown already costs nothing."""
        entry = draft.entries[index]
        self.index = index
        rate = share(draft, index) if self.in_group else entry.rate
        can_change = can_share(draft, index) if self.in_group else entry.enabled
        published = published_rate(draft, index)
        state = (entry, rate, can_change, published, box, spacing, moves)
        if state == self._shown:
            return
        known, self._shown = self._shown, state
        self.header.rate.show_value(rate)
        self.header.rate.set_published(published)
        self.header.rate.setEnabled(can_change)
        if known is not None and known[0] != entry:
            self.problem.show_text("")
        self.header.switch.show_value(entry.enabled)
        self.body.setEnabled(entry.enabled)
        self.form.show_values(entry.corruption)
        modified = bool(self.form.modified)
        self.restore.setEnabled(modified)
        self.header.switch.embolden(modified)
        self.header.switch.setToolTip(self._tip())
        for button, possible in zip((self.up, self.down), moves, strict=True):
            button.setEnabled(possible)
        for control in self.form.controls.values():
            control.set_note(_note(control, box, spacing))

    def show_problem(self, text: str) -> None:
        """Show in words why an edit was refused; an empty text takes that away."""
        self.problem.show_text(text)

    def show_setting_again(self, name: str) -> None:
        """Bring a control back to the entry shown, after its edit was refused."""
        self.form.controls[name].show_value(getattr(self._shown[0].corruption, name))

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        super().paintEvent(event)
        paint_frame(self, 0.2)

    def _arrange(self, teaches: str) -> None:
        lesson = QLabel(teaches, self.body)
        lesson.setTextFormat(Qt.TextFormat.PlainText)
        lesson.setWordWrap(True)
        lesson.setVisible(bool(teaches))
        actions = QHBoxLayout()
        actions.addWidget(self.restore)
        actions.addStretch(1)
        actions.addWidget(self.up)
        actions.addWidget(self.down)
        body = QVBoxLayout(self.body)
        body.setContentsMargins(4, 0, 0, 2)
        body.setSpacing(5)
        body.addWidget(lesson)
        body.addWidget(self.form)
        body.addLayout(actions)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 3, 5, 3)
        layout.setSpacing(3)
        layout.addWidget(self.header)
        layout.addWidget(self.problem)
        layout.addWidget(self.body)

    def _tip(self) -> str:
        names = [self.form.controls[name].field.label for name in self.form.modified]
        about = f"Not as published: {', '.join(names)}." if names else "All settings are as published."
        return f"<qt>{self.kind.label}<br>{about}<br>Alt+Up and Alt+Down move the card.</qt>"

    def _fold(self, unfolded: bool) -> None:
        self.body.setVisible(unfolded)


class _RestoreButton(QPushButton):
    def paintEvent(self, event: Any) -> None:  # noqa: N802
        super().paintEvent(event)
        paint_focus(self)


def move_buttons(name: str, owner: QWidget, wanted: Any) -> tuple[PictureButton, PictureButton]:
    """Return buttons that move something up and down. Alt+Up and Alt+Down do the same anywhere inside `owner`.

    wanted: a signal that takes -1 for up, 1 for down.
    """
    buttons = []
    ways: tuple[tuple[Picture, int], ...] = (("up", -1), ("down", 1))
    for way, by in ways:
        keys = f"Alt+{way.capitalize()}"
        button = PictureButton(way, f"{name}: move {way} ({keys})", owner)
        button.clicked.connect(lambda _=False, by=by: wanted.emit(by))
        shortcut = QShortcut(QKeySequence(keys), owner)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(lambda by=by: wanted.emit(by))
        buttons.append(button)
    return buttons[0], buttons[1]


def _note(control: Control, box: Shape3, spacing: Spacing | None) -> str:
    """Return what a setting amounts to in the current box, in voxels and millimetres."""
    field, value = control.field, control.value
    if field.kind == "number" and field.unit == "of the axis":
        bound = {"max": "up to ", "min": "at least "}.get(field.name.partition("_")[0], "")
        return bound + size_text(value, box, spacing, least=int(field.quantity.low_open))
    if field.kind == "number" and field.unit == "voxels" and spacing is not None:
        return length_text((value, value, value), spacing)
    return field.unit if field.unit.startswith("of the ") else ""
