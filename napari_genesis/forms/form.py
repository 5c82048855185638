"""A form for a settings model: one control for each field a user can change, in the order they are declared."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import BaseModel
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_genesis.forms.control import Control
from napari_genesis.forms.fields import form_fields


class SettingsForm(QWidget):
    """The form of one model.

    changed(name, value, settled): the user changed a field; settled is False while a slider is dragged. The form keeps
    what it shows and nothing else: whoever owns the settings decides, and shows the outcome with `show_values`.
    """

    changed = Signal(str, object, bool)

    def __init__(
        self,
        model: type[BaseModel],
        *,
        leave_out: Collection[str] = (),
        default_name: str = "default",
        parent: QWidget | None = None,
    ) -> None:
        """Build the form. leave_out: names of fields without a control. default_name: what defaults are called."""
        super().__init__(parent)
        self.controls: dict[str, Control] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        for field in form_fields(model):
            if field.name in leave_out:
                continue
            control = Control(field, default_name, self)
            control.changed.connect(self.changed)
            self.controls[field.name] = control
            layout.addWidget(control)

    @property
    def modified(self) -> tuple[str, ...]:
        """The names of the fields that differ from their defaults."""
        return tuple(name for name, control in self.controls.items() if control.modified)

    @property
    def parts(self) -> tuple[QWidget, ...]:
        """The widgets that take the keyboard's focus, in their order."""
        return tuple(part for control in self.controls.values() for part in control.parts)

    def show_values(self, settings: BaseModel) -> None:
        """Show the values of a model of this form's class, without a signal."""
        for name, control in self.controls.items():
            control.show_value(getattr(settings, name))
