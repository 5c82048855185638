"""The Studio in a real viewer, opened from the menu: its dock, its keys in the canvas, what is there the next day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtCore import Qt
from studio_driving import close, expected, press, rest, type_into, voxels

from genesis_core.phantom.thorax import make_phantom
from napari_genesis.layers import shown as layer_of
from napari_genesis.studio.canvas import NAME
from napari_genesis.studio.studio import Studio

pytestmark = pytest.mark.gui
Open = Callable[[], Studio]


@pytest.fixture
def viewer(viewer_in_a_window: Any) -> Any:
    return viewer_in_a_window


def test_without_a_scan_it_says_what_to_do(open_studio: Open, viewer: Any, qtbot: Any) -> None:
    studio = open_studio()
    assert "Open a CT or MR scan" in studio.parts.figures.words.text()
    array, meta = layer_of(make_phantom(1, shape=(48, 96, 96)).volume)
    viewer.add_layer(Layer.create(array, {**meta, "name": "came later"}, "image"))
    rest(qtbot, studio)
    assert studio.parts.scan.layers.currentText() == "came later"
    assert NAME in viewer.layers
    viewer.layers.remove("came later")
    rest(qtbot, studio)
    assert list(viewer.layers) == []
    assert "Open a CT or MR scan" in studio.parts.figures.words.text()


def test_it_shows_the_corrupted_sub_volume_in_its_place(
    open_studio: Open, viewer: Any, scan: Layer, qtbot: Any
) -> None:
    studio = open_studio()
    assert np.array_equal(voxels(viewer), expected(studio))
    for _ in range(3):
        qtbot.mouseClick(studio.parts.sample.next, Qt.MouseButton.LeftButton)
    rest(qtbot, studio)
    assert studio.session.seed == 3
    assert np.array_equal(voxels(viewer), expected(studio))
    box = studio.session.box
    assert box is not None
    assert np.allclose(viewer.layers[NAME].data_to_world((0, 0, 0)), scan.data_to_world(box.start))
    assert studio.parts.figures.cells[0][1].text() != "-"


def test_keys_reach_the_canvas_only_while_its_scan_is_active(
    open_studio: Open, viewer: Any, scan: Layer, qtbot: Any
) -> None:
    studio = open_studio()
    canvas = viewer.window._qt_viewer.canvas.native
    viewer.layers.selection.active = scan
    press(qtbot, canvas, Qt.Key.Key_N)
    assert studio.session.seed == 1
    labels = viewer.add_labels(np.zeros(scan.data.shape, "u1"), scale=scan.scale, translate=scan.translate)
    assert viewer.layers.selection.active is labels
    press(qtbot, canvas, Qt.Key.Key_N)
    assert studio.session.seed == 1
    rest(qtbot, studio)


def test_what_was_set_is_there_again_the_next_day(open_studio: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    studio = open_studio()
    studio.parts.sample.seed.setValue(12)
    type_into(qtbot, studio.parts.sample.edges[0].box, "16")
    studio.parts.sample.follow.click()
    studio.session.edit(studio.session.draft.with_enabled(1, False), "1.enabled")
    rest(qtbot, studio)
    draft = studio.session.draft
    close(viewer, studio)
    assert NAME not in viewer.layers
    again = open_studio()
    assert again.session.draft == draft
    assert again.session.seed == 12
    assert again.session.size == (16, 64, 64)
    assert not again.parts.sample.follow.isChecked()
    assert np.array_equal(voxels(viewer), expected(again))


def test_the_preview_goes_with_the_dock_and_comes_back(open_studio: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    studio = open_studio()
    dock = studio.parent()
    dock.hide()
    assert NAME not in viewer.layers
    dock.show()
    rest(qtbot, studio)
    assert NAME in viewer.layers
