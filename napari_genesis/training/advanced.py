"""The settings few people need, folded away: preset, name, and forms made from the settings' own declarations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from genesis_core.errors import SettingsError
from genesis_core.training.pretrain_settings import PretrainSettings
from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.drawing import PictureButton
from napari_genesis.forms.form import SettingsForm
from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.training.draft import PRESET_NAMES, PRESET_WORDS, PretrainDraft

# Group of the settings -> its heading and the fields that are shown, in their order of declaration.
_SHOWN: dict[str, tuple[str, tuple[str, ...]]] = {
    "network": ("network", ("width", "depth", "norm")),
    "sampling": ("sub-volumes", ("patch_size", "flips", "flip_probability", "filter", "min_tissue", "max_tries")),
    "training": (
        "training",
        (
            "batch_size", "accumulate", "optimiser", "learning_rate", "weight_decay", "schedule", "warmup", "clip_norm",
            "validate_every", "patience", "checkpoint_every", "keep", "ema", "precision", "threads",
        ),
    ),
    "data": ("scans", ("modality", "spacing", "validation_fraction", "cache")),
    "": ("whole run", ("loss", "validation_samples", "seed")),
}  # fmt: skip


class AdvancedSettings(QWidget):
    """A fold with everything else. edited(draft): the user changed something in it; what does not fit is refused."""

    edited = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._draft = PretrainDraft()
        self._preset: str | None = None
        self.forms: dict[str, SettingsForm] = {}
        self.fold = PictureButton("fold", "advanced settings", self)
        self.title = QLabel("advanced")
        self.summary = SmallLabel()
        self.body = QWidget()
        self.body.hide()
        self.preset = QComboBox()
        pass_wheel_on(self.preset)
        self.preset.setAccessibleName("preset")
        for row, name in enumerate(PRESET_NAMES):
            self.preset.addItem(name.replace("_", " "), name)
            self.preset.setItemData(row, PRESET_WORDS.get(name, ""), 3)
        self.preset_words = SmallLabel()
        self.name = QLineEdit()
        self.name.setAccessibleName("name of the run")
        self.name.setToolTip("The run's folder in the workspace; empty: the next free name.")
        self.problem = SmallLabel()
        self._forms = QVBoxLayout()
        self._forms.setSpacing(4)
        self._arrange()
        self.fold.toggled.connect(self._unfold)
        self.preset.activated.connect(lambda _: self._edit(self._draft.with_preset(self.preset.currentData())))
        self.name.editingFinished.connect(self._named)

    def show_draft(self, draft: PretrainDraft, free_name: str) -> None:
        """Show a draft, without a signal. free_name: what the run is called if the user gives no name."""
        self._draft = draft
        with QSignalBlocker(self.preset):
            self.preset.setCurrentIndex(self.preset.findData(draft.preset))
        self.preset_words.show_text(PRESET_WORDS.get(draft.preset, ""))
        self.name.setPlaceholderText(free_name)
        if not self.name.hasFocus():
            self.name.setText(draft.name)
        changed = [key.rpartition(".")[2].replace("_", " ") for key in draft.changed]
        parts = ([] if draft.preset == "standard" else [draft.preset]) + changed
        self.summary.show_text(", ".join(parts))
        if self.fold.isChecked():
            self._fill()

    def _arrange(self) -> None:
        head = QGridLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(self.fold, 0, 0)
        head.addWidget(self.title, 0, 1)
        head.addWidget(self.summary, 0, 2)
        head.setColumnStretch(2, 1)
        rows = QGridLayout()
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

    def _fill(self) -> None:
        """Make the forms of the preset, when they are first looked at, and show the draft's values in them."""
        draft = self._draft
        if draft.preset != self._preset:
            self._preset = draft.preset
            self._make(draft.base())
        settings = draft.settings(None, None)
        for group, form in self.forms.items():
            form.show_values(getattr(settings, group) if group else settings)

    def _make(self, base: PretrainSettings) -> None:
        while (item := self._forms.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.forms = {}
        for group, (heading, names) in _SHOWN.items():
            settings = getattr(base, group) if group else base
            model = with_defaults(type(settings), {name: getattr(settings, name) for name in names})
            hidden = [name for name in model.model_fields if name not in names]
            form = SettingsForm(model, leave_out=hidden, default_name="preset", parent=self.body)
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
        base = draft.base()
        known = getattr(getattr(base, group) if group else base, name)
        if value == known:
            changed = {one: set_to for one, set_to in draft.changed.items() if one != key}
            draft = PretrainDraft(**{**draft.__dict__, "changed": changed})
        self._edit(draft)

    def _named(self) -> None:
        name = self.name.text().strip()
        if name != self._draft.name:
            self._edit(PretrainDraft(**{**self._draft.__dict__, "name": name}))

    def _edit(self, draft: PretrainDraft) -> None:
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
