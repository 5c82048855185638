"""A held-out case in an otherwise empty viewer, and the scan that is opened after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_genesis.apply.target_panel import TargetPanel
from napari_genesis.jobs.view import NamedColour, PreviewArrays
from napari_genesis.training.preview_layers import PreviewLayers

pytestmark = pytest.mark.gui


def test_the_first_scan_opened_beside_a_preview_is_looked_at_and_alone_offered(qtbot: Any) -> None:
    viewer = ViewerModel()
    previews = PreviewLayers(viewer)
    maps = np.ones((1, 8, 16, 16), np.uint8)
    arrays = {"case_image": maps * np.float32(0.5), "case_reference": maps, "case_prediction": maps}
    previews.show("run", PreviewArrays(1, arrays, "a", (1.0, 1.0, 1.0), (NamedColour("lung", (1, 2, 3)),)), None)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=5000)
    scan = viewer.add_image(np.zeros((10, 20, 20), np.int16), translate=(500, -300, 40))
    middle = (504.5, -290.5, 49.5)
    qtbot.waitUntil(lambda: abs(viewer.dims.point[0] - middle[0]) <= 1, timeout=5000)
    assert np.allclose(viewer.scene.camera.center[-2:], middle[1:], atol=1)
    target = TargetPanel()
    qtbot.addWidget(target)
    target.show_layers(list(viewer.layers))
    assert target.layers == (scan,)
    assert target.combos[0].count() == 1
    # Only the first: from then on what is looked at is for the user to choose.
    viewer.add_image(np.zeros((10, 20, 20), np.int16), translate=(-500, 300, 40))
    qtbot.wait(50)
    assert abs(viewer.dims.point[0] - middle[0]) <= 1
    previews.close()
