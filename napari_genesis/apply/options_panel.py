"""How a model is applied: the command's own settings as a few controls, by default as the core has them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from genesis_core.cli.segment_settings import SegmentSettings
from genesis_core.inference.postprocessing import ALL
from napari_genesis.apply.words_picker import WordsPicker
from napari_genesis.forms.control import Control, FieldLabel
from napari_genesis.forms.fields import FormField

_AXES = ("x", "y", "z")
_LABELS = {"flips": "mirrored too", "largest_component": "largest piece", "fill_holes": "fill holes"}


class OptionsPanel(QWidget):
    """changed(name, value): the user changed a setting."""

    changed = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.overlap = Control(_field("overlap"), parent=self)
        self.uncertainty = Control(_field("uncertainty"), parent=self)
        self.uncertainty.editor.setToolTip("Show the uncertainty, and the spread between predictions, as layers.")
        for control in (self.overlap, self.uncertainty):
            control.changed.connect(lambda name, value, settled: self.changed.emit(name, value) if settled else None)
        self.flips = WordsPicker(_LABELS["flips"])
        self.largest_component = WordsPicker(_LABELS["largest_component"], ALL)
        self.fill_holes = WordsPicker(_LABELS["fill_holes"], ALL)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(22, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self.overlap)
        self._rows: list[QWidget] = []
        for name in _LABELS:
            row = self._row(name)
            self._rows.append(row)
            layout.addWidget(row)
        layout.addWidget(self.uncertainty)

    def show_settings(self, settings: SegmentSettings, structures: Sequence[str] | None) -> None:
        """Show settings, for a model with these structures; None for one that restores, which has fewer options."""
        self.overlap.show_value(settings.overlap)
        self.uncertainty.show_value(settings.uncertainty)
        for widget in (*self._rows, self.uncertainty):
            widget.setVisible(structures is not None)
        self.flips.show_words(_AXES, settings.flips)
        for picker, chosen in (
            (self.largest_component, settings.largest_component),
            (self.fill_holes, settings.fill_holes),
        ):
            picker.show_words(structures or (), chosen)

    def _row(self, name: str) -> QWidget:
        picker: WordsPicker = getattr(self, name)
        row = QWidget(self)
        label = FieldLabel(_LABELS[name], row)
        tip = f"<qt>{escape(_field(name).description)}</qt>"
        label.setToolTip(tip)
        picker.setToolTip(tip)
        picker.moved.connect(lambda words, name=name: self.changed.emit(name, words))
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 22, 0)
        layout.setSpacing(4)
        layout.addWidget(label)
        layout.addWidget(picker, 1)
        return row


def _field(name: str) -> FormField:
    return FormField.of(name, SegmentSettings.model_fields[name])
