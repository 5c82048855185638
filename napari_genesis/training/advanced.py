"""The settings few people need, folded away: preset, name, and forms made from the settings' own declarations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo
from qtpy.QtCore import QSignalBlocker, Qt, QTimer, Signal
from qtpy.QtWidgets import QApplication, QComboBox, QGridLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from genesis_core.errors import SettingsError
from genesis_core.settings import Settings
from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.drawing import PictureButton
from napari_genesis.forms.form import SettingsForm
from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.training.training_draft import TrainingDraft

# Group of the settings ("" for the whole) -> its heading and the fields that are shown, in their order of declaration.
Shown = Mapping[str, tuple[str, tuple[str, ...]]]
# Every training has these.
TRAINING_FIELDS = (
    "batch_size", "accumulate", "optimiser", "learning_rate", "weight_decay", "schedule", "warmup", "clip_norm",
    "validate_every", "patience", "checkpoint_every", "keep", "ema", "precision", "compile", "activation_checkpointing",
    "on_out_of_memory", "threads",
)  # fmt: skip
# Milliseconds after which forms that could not be made anew, because one is typed into, are tried again.
_LATER = 500


class AdvancedSettings(QWidget):
    """A fold with everything else. edited(draft): the user changed something in it; what does not fit is refused.

    shown: which settings. default_name: what a form's way back leads to, such as "preset".
    """

    edited = Signal(object)

    def __init__(
        self, draft: TrainingDraft, shown: Shown, default_name: str = "preset", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._draft = draft
        self._fields = shown
        self._default_name = default_name
        self._base: Settings | None = None
        # What held for a field when it was last not changed, by group and name: where the way back leads.
        self._unchanged: dict[tuple[str, str], Any] = {}
        self._made: object = None
        self.forms: dict[str, SettingsForm] = {}
        self.fold = PictureButton("fold", "advanced settings", self)
        self.title = QLabel("advanced")
        self.summary = SmallLabel()
        self.body = QWidget()
        self.body.hide()
        self.preset = QComboBox()
        pass_wheel_on(self.preset)
        self.preset.setAccessibleName("preset")
        for row, (name, words) in enumerate(draft.presets.items()):
            self.preset.addItem(name.replace("_", " "), name)
            self.preset.setItemData(row, words, Qt.ItemDataRole.ToolTipRole)
        self.preset_words = SmallLabel()
        self.name = QLineEdit()
        self.name.setAccessibleName("name of the run")
        self.name.setToolTip("The run's folder in the workspace; empty: the next free name.")
        self.problem = SmallLabel()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_LATER)
        self._later.timeout.connect(lambda: self._unfold(self.fold.isChecked()))
        self._forms = QVBoxLayout()
        self._forms.setSpacing(4)
        self._arrange(bool(draft.presets))
        self.fold.toggled.connect(self._unfold)
        self.preset.activated.connect(lambda _: self._edit(self._draft.with_preset(self.preset.currentData())))
        self.name.editingFinished.connect(self._named)

    def show_draft(self, draft: TrainingDraft, free_name: str, base: Settings | None = None) -> None:
        """Show a draft, without a signal. free_name: what the run is called if the user gives no name.

        base: the settings that hold where nothing is changed, if others than the draft's own do.
        """
        self._draft = draft
        self._base = base
        if base is not None:
            for group, defaults in self._defaults().items():
                self._unchanged |= {(group, name): value for name, value in defaults.items()}
        with QSignalBlocker(self.preset):
            self.preset.setCurrentIndex(self.preset.findData(draft.preset))
        self.preset_words.show_text(draft.presets.get(draft.preset, ""))
        self.name.setPlaceholderText(free_name)
        if not self.name.hasFocus():
            self.name.setText(draft.name)
        changed = [key.rpartition(".")[2].replace("_", " ") for key in draft.changed]
        parts = ([] if draft.preset in ("", "standard") else [draft.preset]) + changed
        self.summary.show_text(", ".join(parts))
        if self.fold.isChecked():
            self._fill()

    def _arrange(self, has_presets: bool) -> None:
        head = QGridLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(self.fold, 0, 0)
        head.addWidget(self.title, 0, 1)
        head.addWidget(self.summary, 0, 2)
        head.setColumnStretch(2, 1)
        rows = QGridLayout()
        if has_presets:
            rows.addWidget(QLabel("preset"), 0, 0)
            rows.addWidget(self.preset, 0, 1)
            rows.addWidget(self.preset_words, 1, 0, 1, 2)
        rows.addWidget(QLabel("name"), 2, 0)
        rows.addWidget(self.name, 2, 1)
        rows.setColumnStretch(1, 1)
        body = QVBoxLayout(self.body)
        body.setContentsMargins(4, 0, 0, 0)
        body.addLayout(rows)
        body.addWidget(self.problem)
        body.addLayout(self._forms)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(head)
        layout.addWidget(self.body)

    def _unfold(self, unfolded: bool) -> None:
        self.body.setVisible(unfolded)
        if unfolded:
            self._fill()

    def _defaults(self) -> dict[str, dict[str, Any]]:
        """Return what each field is where nothing is changed; of those that are, what it was before, or is declared."""
        base, declared = self._base, self._draft.base()
        found: dict[str, dict[str, Any]] = {}
        for group, (_, names) in self._fields.items():
            own = _part(declared, group)
            known = own if base is None else _part(base, group)
            # A network of another kind may have no such field.
            found[group] = {
                name: self._unchanged.get((group, name), getattr(own, name))
                if self._is_changed(group, name)
                else getattr(known, name, getattr(own, name))
                for name in names
            }
        return found

    def _fill(self) -> None:
        """Make the forms of what holds by default, when they are first looked at, and show the draft's values."""
        defaults = self._defaults()
        if defaults != self._made:
            if self._is_typed_into():
                # What is being typed would go with its form: later.
                self._later.start()
            else:
                self._made = defaults
                self._make(defaults)
        settings, declared = self._draft.resolved(), self._draft.base()
        for group, form in self.forms.items():
            part = _part(settings, group)
            values = {
                name: getattr(part, name, value) if self._base is None or self._is_changed(group, name) else value
                for name, value in defaults[group].items()
            }
            form.show_values(_part(declared, group).model_copy(update=values))

    def _is_typed_into(self) -> bool:
        focus = QApplication.focusWidget()
        return focus is not None and any(form.isAncestorOf(focus) for form in self.forms.values())

    def _is_changed(self, group: str, name: str) -> bool:
        return (f"{group}.{name}" if group else name) in self._draft.changed

    def _make(self, defaults: Mapping[str, Mapping[str, Any]]) -> None:
        while (item := self._forms.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.forms = {}
        declared = self._draft.base()
        for group, (heading, names) in self._fields.items():
            model = with_defaults(type(_part(declared, group)), defaults[group])
            hidden = [name for name in model.model_fields if name not in names]
            form = SettingsForm(model, leave_out=hidden, default_name=self._default_name, parent=self.body)
            form.changed.connect(lambda name, value, settled, group=group: self._change(group, name, value, settled))
            label = QLabel(heading)
            font = label.font()
            font.setBold(True)
            label.setFont(font)
            self._forms.addWidget(label)
            self._forms.addWidget(form)
            self.forms[group] = form

    def _change(self, group: str, name: str, value: Any, settled: bool) -> None:
        if not settled:
            return
        key = f"{group}.{name}" if group else name
        try:
            draft = self._draft.with_change(key, value)
        except SettingsError as problem:
            self.problem.show_text(str(problem))
            self._fill()
            return
        if value == self._defaults()[group][name]:
            draft = draft.without_change(key)
        self._edit(draft)

    def _named(self) -> None:
        name = self.name.text().strip()
        if name != self._draft.name:
            self._edit(replace(self._draft, name=name))

    def _edit(self, draft: TrainingDraft) -> None:
        self.problem.show_text("")
        self._draft = draft
        self.edited.emit(draft)


def with_defaults(model: type[BaseModel], defaults: Mapping[str, Any]) -> type[BaseModel]:
    """Return a settings model with other defaults: what a form takes for unchanged, and goes back to."""
    fields: dict[str, Any] = {}
    for name, value in defaults.items():
        info = model.model_fields[name]
        fields[name] = (info.annotation, FieldInfo.merge_field_infos(info, default=value))
    made: type[BaseModel] = create_model(model.__name__, __base__=model, **fields)
    return made


def _part(settings: Any, group: str) -> Any:
    return getattr(settings, group) if group else settings
