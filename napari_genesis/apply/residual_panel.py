"""What there is to say and do about a restoration residual: its limits, its size, and a threshold that becomes labels.

Voxels are counted in a thread of their own, so that the slider never waits for them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from genesis_core.inference.restore import RESIDUAL_LIMITS
from napari_genesis.apply.layer_work import RestoredLayer, above, threshold_labels
from napari_genesis.apply.results import warm_labels
from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.number import NumberEditor
from napari_genesis.forms.quantity import Quantity
from napari_genesis.studio.computing import LatestOnly

_WIDEST = "12,345 HU"
_NAMES = {"mae_hu": "mean absolute error {:.4g} HU", "mae_scan_units": "mean absolute error {:.4g} in scan units"}


class ResidualPanel(QWidget):
    """labels_ready(array, threshold): 1 restored brighter, 2 darker by more than the threshold (a number in words).

    `lane` is its thread, to be closed with the dock.
    """

    labels_ready = Signal(object, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.figures = SmallLabel()
        self.limits = SmallLabel()
        self.limits.show_text(RESIDUAL_LIMITS)
        self.editor: NumberEditor | None = None
        self.count = QLabel()
        self.count.setWordWrap(True)
        self.count.setTextFormat(Qt.TextFormat.PlainText)
        self.count.setAccessibleName("voxels above the threshold")
        self.make = QPushButton("Make Labels")
        self.make.setToolTip("A Labels layer of the voxels above the threshold: restored brighter, restored darker.")
        self.make.clicked.connect(self._make)
        self.problem = SmallLabel()
        self.lane = LatestOnly("genesis-apply-threshold", self)
        self.lane.finished.connect(self._finished)
        self._residual: NDArray[np.float32] | None = None
        self._ml = 0.0
        self._unit = ""
        self._row = QHBoxLayout()
        self._row.setSpacing(4)
        self._row.addWidget(QLabel("threshold"))
        below = QHBoxLayout()
        below.addWidget(self.count, 1)
        below.addWidget(self.make)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.figures)
        layout.addWidget(self.limits)
        layout.addLayout(self._row)
        layout.addWidget(self.problem)
        layout.addLayout(below)

    def show_restored(self, result: RestoredLayer) -> None:
        """Show a restoration; the threshold begins where about one voxel in a hundred lies above it."""
        restoration = result.restoration
        residual = restoration.residual
        self._residual = residual.array
        self._ml = math.prod(residual.spacing) / 1000
        self._unit = result.unit
        self.figures.show_text(_figures(restoration.metrics))
        if self.editor is not None:
            self._row.removeWidget(self.editor)
            self.editor.hide()
            self.editor.deleteLater()
        quantity = _quantity(result.highest, result.unit)
        self.editor = NumberEditor(quantity, widest=_WIDEST)
        self.editor.name_for_screen_readers("threshold", "Absolute residual above which voxels are counted.")
        self.editor.moved.connect(lambda value, settled: self._recount())
        self.editor.refused.connect(self.problem.show_text)
        assert quantity.scale is not None
        first = quantity.scale.value_at(quantity.scale.place_of(result.threshold))
        self.editor.show_value(first)
        self.editor.reset_wanted.connect(lambda editor=self.editor: self._reset(editor, first))
        self._row.addWidget(self.editor, 1)
        self._recount()

    def forget(self) -> None:
        """Let go of the residual: the scan or the layer is gone."""
        self.lane.discard()
        self._residual = None
        self.make.setEnabled(False)
        if self.editor is not None:
            self.editor.setEnabled(False)

    def _reset(self, editor: NumberEditor, value: float) -> None:
        editor.show_value(value)
        self._recount()

    def _recount(self) -> None:
        residual, editor = self._residual, self.editor
        if residual is None or editor is None:
            return
        threshold = float(editor.value)
        self.make.setEnabled(True)
        self.lane.submit(lambda: (threshold, above(residual, threshold)))

    def _make(self) -> None:
        residual, editor = self._residual, self.editor
        if residual is None or editor is None:
            return
        threshold = float(editor.value)
        # A count that waits must come too: it goes along.
        self.lane.submit(lambda: (threshold, above(residual, threshold), _labels(residual, threshold)))

    def _finished(self, result: Any) -> None:
        threshold, (brighter, darker), *labels = result
        # A number and its unit stay on one line.
        self.count.setText(self._words(brighter, darker).replace(" ml", "\u00a0ml"))
        if labels:
            self.labels_ready.emit(labels[0], f"{threshold:g} {self._unit}".strip())

    def _words(self, brighter: int, darker: int) -> str:
        total = brighter + darker
        return (
            f"{total:,} voxels above, {total * self._ml:,.4g} ml: restored brighter {brighter * self._ml:,.4g} ml, "
            f"darker {darker * self._ml:,.4g} ml"
        )


def _labels(residual: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    warm_labels()
    return threshold_labels(residual, threshold)


def _quantity(highest: float, unit: str) -> Quantity:
    """Return thresholds from 0 to a round value not below the largest residual."""
    if highest <= 0:
        return Quantity(whole=False, low=0.0, high=1.0, unit=unit, shows_unit=bool(unit))
    step = 10 ** (math.floor(math.log10(highest)) - 1)
    high = float(f"{math.ceil(highest / step) * step:.12g}")
    return Quantity(whole=False, low=0.0, high=high, unit=unit, shows_unit=bool(unit))


def _figures(metrics: dict[str, float]) -> str:
    told = [text.format(metrics[name]) for name, text in _NAMES.items() if name in metrics]
    psnr = metrics.get("psnr", math.nan)
    told.append("PSNR infinite" if math.isinf(psnr) else f"PSNR {psnr:.1f} dB")
    told.append(f"SSIM {metrics['ssim']:.3f}")
    return "Restored against the scan: " + ", ".join(told) + "."
