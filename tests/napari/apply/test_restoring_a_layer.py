"""Restoring the open layer: restored scan and residual on its own grid, its colours, limits and threshold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apply_driving import core_restores, rest, run, write_model
from napari.layers import Labels, Layer
from qtpy.QtCore import Qt

from genesis_core.inference.restore import RESIDUAL_LIMITS, Restoration
from genesis_core.pictures.slices import signed_difference
from napari_genesis.apply.apply_dock import ApplyDock
from napari_genesis.layers import volume_from_layer

pytestmark = pytest.mark.gui
Open = Callable[..., ApplyDock]
RESIDUAL, RESTORED = "restoration residual of thorax (restorer)", "restored thorax (restorer)"
LABELS = "residual above threshold, thorax (restorer)"


@pytest.fixture
def dock(open_dock: Open, scan: Layer, qtbot: Any) -> ApplyDock:
    made = open_dock("restorer")
    run(qtbot, made)
    return made


@pytest.fixture
def expected(models: Path, scan: Layer) -> Restoration:
    return core_restores(models / "runs" / "restorer", volume_from_layer(scan))


def test_it_restores_as_the_core_does(dock: ApplyDock, viewer: Any, scan: Layer, expected: Restoration) -> None:
    restored, residual = viewer.layers[RESTORED], viewer.layers[RESIDUAL]
    assert np.array_equal(restored.data, expected.restored.array)
    assert np.array_equal(residual.data, expected.residual.array)
    for layer in (restored, residual):
        assert np.allclose(layer.data_to_world((3, 4, 5)), scan.data_to_world((3, 4, 5)))
        assert layer.units == scan.units
    assert restored.contrast_limits == scan.contrast_limits
    assert not dock.parts.table.isVisible()


def test_the_residual_is_called_by_its_name_and_its_limits_are_stated(dock: ApplyDock, viewer: Any) -> None:
    names = " ".join(layer.name for layer in viewer.layers)
    assert not any(word in names for word in ("anomal", "unusual", "lesion"))
    assert dock.parts.residual.limits.isVisible()
    assert dock.parts.residual.limits.shown == RESIDUAL_LIMITS
    assert RESIDUAL_LIMITS not in dock.parts.notes.text()
    assert "SSIM" in dock.parts.residual.figures.shown


def test_the_colours_are_symmetric_and_those_of_every_other_picture(dock: ApplyDock, viewer: Any) -> None:
    residual = viewer.layers[RESIDUAL]
    low, high = residual.contrast_limits
    assert low == -high < 0
    assert residual.contrast_limits_range[0] == -residual.contrast_limits_range[1]
    shares = np.array([[-1.0, -0.5, 0.0, 0.5, 1.0]])
    drawn = residual.colormap.map((shares[0] + 1) / 2)[:, :3] * 255
    assert np.allclose(drawn, signed_difference(shares, 1.0)[0], atol=1)


def test_the_threshold_counts_live_and_becomes_labels(
    dock: ApplyDock, viewer: Any, scan: Layer, expected: Restoration, qtbot: Any
) -> None:
    panel = dock.parts.residual
    residual = expected.residual.array
    assert panel.editor is not None
    threshold = float(panel.editor.value)
    told = [panel.count.text()]
    assert told[0].startswith(f"{int((np.abs(residual) > threshold).sum()):,} voxels above")
    slider = panel.editor.slider
    assert slider is not None
    slider.setSliderPosition(slider.maximum() // 4)
    slider.dragged.emit(slider.maximum() // 4)
    rest(qtbot, dock)
    threshold = float(panel.editor.value)
    brighter, darker = int((residual > threshold).sum()), int((residual < -threshold).sum())
    ml = float(np.prod(expected.residual.spacing)) / 1000
    assert panel.count.text().replace("\u00a0", " ") == (
        f"{brighter + darker:,} voxels above, {(brighter + darker) * ml:,.4g} ml: "
        f"restored brighter {brighter * ml:,.4g} ml, darker {darker * ml:,.4g} ml"
    )
    qtbot.mouseClick(panel.make, Qt.MouseButton.LeftButton)
    rest(qtbot, dock)
    labels = viewer.layers[LABELS]
    assert isinstance(labels, Labels)
    assert np.array_equal(labels.data == 1, residual > threshold)
    assert np.array_equal(labels.data == 2, residual < -threshold)
    assert np.allclose(labels.data_to_world((3, 4, 5)), scan.data_to_world((3, 4, 5)))
    assert f"{threshold:g} HU" in labels.features["structure"][0]


def test_other_thresholds_replace_the_labels_and_their_names(dock: ApplyDock, viewer: Any, qtbot: Any) -> None:
    panel = dock.parts.residual
    seen = []
    for share in (4, 2):
        assert panel.editor is not None
        assert panel.editor.slider is not None
        panel.editor.slider.dragged.emit(panel.editor.slider.maximum() // share)
        rest(qtbot, dock)
        qtbot.mouseClick(panel.make, Qt.MouseButton.LeftButton)
        rest(qtbot, dock)
        seen.append((viewer.layers[LABELS].data.sum(), viewer.layers[LABELS].features["structure"][0]))
    assert len(viewer.layers) == 4
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]


def test_a_second_result_keeps_the_colours_the_user_chose(
    dock: ApplyDock, viewer: Any, qtbot: Any, models: Path, scan: Layer
) -> None:
    residual = viewer.layers[RESIDUAL]
    residual.contrast_limits = (-50, 50)
    dock.parts.options.overlap.editor.moved.emit(0.1, True)
    run(qtbot, dock)
    assert len(viewer.layers) == 3
    assert residual.contrast_limits == [-50, 50]
    expected = core_restores(models / "runs" / "restorer", volume_from_layer(scan), overlap=0.1)
    assert np.array_equal(residual.data, expected.residual.array)


def test_the_result_goes_with_its_scan(dock: ApplyDock, viewer: Any, scan: Layer) -> None:
    viewer.layers.remove(scan)
    assert not dock.parts.results_section.isVisible()
    assert not dock.parts.residual.make.isEnabled()
    # The residual is the user's by now; only what hung on the scan is gone.
    assert RESIDUAL in viewer.layers
    assert not dock.parts.start.isEnabled()
    assert "Open a scan" in dock.parts.status.text()


def test_a_constant_scan_has_a_threshold_too(open_dock: Open, viewer: Any, qtbot: Any, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "mr", "restoration", preprocessing={"modality": "mr"})
    viewer.add_image(np.ones((8, 20, 20), np.float32), name="flat", units=("mm",) * 3)
    dock = open_dock()
    dock.choice.add_folder(folder)
    run(qtbot, dock)
    low, high = viewer.layers["restoration residual of flat (mr)"].contrast_limits
    assert low == -high < 0
    assert dock.parts.residual.count.text()
