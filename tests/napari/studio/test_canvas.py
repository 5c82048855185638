"""The preview layer on a bare ViewerModel: made once, changed in place, dragged, and gone without a trace."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from genesis_core.phantom.thorax import make_phantom
from napari_genesis.layers import shown as layer_of
from napari_genesis.studio.canvas import NAME, CanvasPreview
from napari_genesis.studio.preview import Look
from napari_genesis.studio.scan import Box

SIZE = (8, 16, 16)


@pytest.fixture
def viewer() -> ViewerModel:
    made = ViewerModel()
    array, meta = layer_of(make_phantom(1, shape=(24, 48, 48)).volume)
    made.add_layer(Image(array, name="thorax", contrast_limits=(-160, 240), colormap="gray", **meta))
    return made


def voxels(value: float = 0.0) -> np.ndarray:
    return np.full(SIZE, value, np.float32)


class Told(list[tuple[tuple[int, int, int], bool]]):
    def __call__(self, start: tuple[int, int, int], settled: bool) -> None:
        self.append((start, settled))


def test_the_preview_lies_where_its_voxels_lie_in_the_scan(viewer: ViewerModel) -> None:
    source = viewer.layers[0]
    canvas = CanvasPreview(viewer, Told())
    canvas.show(source, Box((4, 10, 20), SIZE), voxels(), Look(), 2000)
    layer = canvas.layer
    assert np.allclose(layer.data_to_world((0, 0, 0)), source.data_to_world((4, 10, 20)))
    assert np.allclose(layer.data_to_world((7, 15, 15)), source.data_to_world((11, 25, 35)))
    assert layer.units == source.units
    assert layer.axis_labels == source.axis_labels
    assert layer.metadata["genesis"] == source.metadata["genesis"]
    assert layer.bounding_box.visible


def test_later_previews_change_the_layer_in_place(viewer: ViewerModel) -> None:
    source = viewer.layers[0]
    canvas = CanvasPreview(viewer, Told())
    canvas.show(source, Box((4, 10, 20), SIZE), voxels(1), Look(), 2000)
    layer, data = canvas.layer, canvas.layer.data
    canvas.show(source, Box((4, 10, 20), SIZE), voxels(2), Look(), 2000, settled=False)
    canvas.show(source, Box((5, 11, 21), SIZE), voxels(3), Look(), 2000)
    assert canvas.layer is layer
    assert layer.data is data
    assert (layer.data == 3).all()
    assert np.allclose(layer.data_to_world((0, 0, 0)), source.data_to_world((5, 11, 21)))
    canvas.show(source, Box((0, 0, 0), (4, 4, 4)), np.zeros((4, 4, 4), np.float32), Look(), 2000)
    assert layer.data.shape == (4, 4, 4)
    assert [one.name for one in viewer.layers] == ["thorax", NAME]


def test_the_users_choice_of_layer_and_camera_stay(viewer: ViewerModel) -> None:
    source = viewer.layers[0]
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 30, 40), 3.5
    viewer.dims.set_current_step(0, 7)
    before = (viewer.scene.camera.center, viewer.scene.camera.zoom, viewer.dims.current_step)
    canvas = CanvasPreview(viewer, Told())
    canvas.show(source, Box((4, 10, 20), SIZE), voxels(), Look(), 2000)
    assert viewer.layers.selection.active is source
    assert (viewer.scene.camera.center, viewer.scene.camera.zoom, viewer.dims.current_step) == before


def test_contrast_follows_the_scan_and_is_followed(viewer: ViewerModel) -> None:
    source = viewer.layers[0]
    canvas = CanvasPreview(viewer, Told())
    canvas.show(source, Box((4, 10, 20), SIZE), voxels(), Look(), 2000)
    assert canvas.layer.contrast_limits == [-160, 240]
    source.contrast_limits = (-900, 100)
    assert canvas.layer.contrast_limits == [-900, 100]
    canvas.layer.contrast_limits = (-200, 300)
    assert source.contrast_limits == [-200, 300]
    canvas.show(source, Box((4, 10, 20), SIZE), voxels(), Look("difference"), 2000)
    assert canvas.layer.contrast_limits == [-1000, 1000]
    assert source.contrast_limits == [-200, 300]
    source.contrast_limits = (-500, 500)
    assert canvas.layer.contrast_limits == [-1000, 1000]
    canvas.show(source, Box((4, 10, 20), SIZE), voxels(), Look("corrupted"), 2000)
    assert canvas.layer.contrast_limits == [-500, 500]
    assert canvas.layer.colormap.name == source.colormap.name


def test_the_colours_of_differences_follow_the_window_that_is_learnt(viewer: ViewerModel) -> None:
    source = viewer.layers[0]
    canvas = CanvasPreview(viewer, Told())
    for full in (2000, 200):
        canvas.show(source, Box((4, 10, 20), SIZE), voxels(), Look("difference"), full)
        assert canvas.layer.contrast_limits == [-full / 2, full / 2]
        assert canvas.layer.contrast_limits_range == [-full, full]
    assert source.contrast_limits == [-160, 240]


def test_the_layer_becomes_that_of_another_scan(viewer: ViewerModel) -> None:
    canvas = CanvasPreview(viewer, Told())
    canvas.show(viewer.layers[0], Box((4, 10, 20), SIZE), voxels(), Look("difference"), 2000)
    layer = canvas.layer
    other = viewer.add_image(np.zeros((20, 20, 20)), scale=(2, 2, 2), translate=(5, 6, 7), units="mm", name="other")
    other.contrast_limits, other.colormap = (0, 0.5), "magma"
    canvas.show(other, Box((1, 1, 1), (4, 4, 4)), np.ones((4, 4, 4), np.float32), Look(), 2000)
    assert canvas.layer is layer
    # On top again.
    assert [one.name for one in viewer.layers] == ["thorax", "other", NAME]
    assert np.allclose(layer.data_to_world((0, 0, 0)), other.data_to_world((1, 1, 1)))
    assert np.allclose(layer.data_to_world((3, 3, 3)), other.data_to_world((4, 4, 4)))
    assert (layer.contrast_limits, layer.colormap.name, layer.units) == ([0, 0.5], "magma", other.units)
    assert (layer.data == 1).all()
    viewer.layers["thorax"].contrast_limits = (0, 9)
    assert layer.contrast_limits == [0, 0.5]


def test_a_scan_that_is_deleted_leaves_a_preview_nobody_can_drag(viewer: ViewerModel) -> None:
    source = viewer.layers[0]
    canvas = CanvasPreview(viewer, Told())
    canvas.show(source, Box((4, 10, 20), SIZE), voxels(), Look(), 2000)
    viewer.layers.remove(source)
    assert not drag(viewer, source.data_to_world((8, 15, 25)))
    canvas.remove()
    assert list(viewer.layers) == []


def test_closing_leaves_nothing_behind(viewer: ViewerModel) -> None:
    callbacks = len(viewer.mouse_drag_callbacks)
    source = viewer.layers[0]
    listeners = len(source.events.contrast_limits.callbacks)
    canvas = CanvasPreview(viewer, Told())
    canvas.show(source, Box((4, 10, 20), SIZE), voxels(), Look(), 2000)
    canvas.close()
    assert list(viewer.layers) == [source]
    assert len(viewer.mouse_drag_callbacks) == callbacks
    assert len(source.events.contrast_limits.callbacks) == listeners


def test_deleting_the_layer_by_hand_is_told_and_it_can_come_back(viewer: ViewerModel) -> None:
    gone: list[bool] = []
    canvas = CanvasPreview(viewer, Told(), lambda: gone.append(True))
    canvas.show(viewer.layers[0], Box((4, 10, 20), SIZE), voxels(), Look(), 2000)
    viewer.layers.remove(canvas.layer)
    assert gone == [True]
    canvas.show(viewer.layers[0], Box((4, 10, 20), SIZE), voxels(), Look(), 2000)
    assert canvas.layer in viewer.layers


def drag(viewer: ViewerModel, begin: Any, *way: Any, **event: Any) -> bool:
    """Press, move and release as napari's canvas does; returns whether anybody took the drag."""
    told = SimpleNamespace(
        type="mouse_press", position=begin, modifiers=(), button=1, handled=False, **{"is_dragging": True, **event}
    )
    generator = viewer.mouse_drag_callbacks[-1](viewer, told)
    try:
        next(generator)
    except StopIteration:
        return False
    for position in way:
        told.type, told.position = "mouse_move", position
        next(generator)
    told.type = "mouse_release"
    with pytest.raises(StopIteration):
        next(generator)
    return True


def test_the_box_is_dragged_by_its_inside(viewer: ViewerModel) -> None:
    source = viewer.layers[0]
    told = Told()
    canvas = CanvasPreview(viewer, told)
    canvas.show(source, Box((4, 10, 20), SIZE), voxels(), Look(), 2000)
    begin = source.data_to_world((8, 15, 25))
    assert drag(viewer, begin, source.data_to_world((8, 17, 22)), source.data_to_world((8, 18, 21)))
    assert told == [((4, 12, 17), False), ((4, 13, 16), False), ((4, 13, 16), True)]
    assert viewer.scene.camera.mouse_pan


def test_a_press_outside_or_for_another_tool_is_left_alone(viewer: ViewerModel) -> None:
    source = viewer.layers[0]
    told = Told()
    canvas = CanvasPreview(viewer, told)
    canvas.show(source, Box((4, 10, 20), SIZE), voxels(), Look(), 2000)
    inside, outside = source.data_to_world((8, 15, 25)), source.data_to_world((8, 40, 40))
    assert not drag(viewer, outside)
    assert not drag(viewer, source.data_to_world((20, 15, 25)))
    labels = viewer.add_labels(np.zeros(source.data.shape, int), scale=source.scale)
    labels.mode = "paint"
    assert not drag(viewer, inside)
    labels.mode = "pan_zoom"
    assert drag(viewer, inside)
    canvas.draggable = False
    assert not drag(viewer, inside)
    assert told == []


def test_coronal_drags_move_along_the_displayed_axes(viewer: ViewerModel) -> None:
    source = viewer.layers[0]
    told = Told()
    canvas = CanvasPreview(viewer, told)
    canvas.show(source, Box((4, 10, 20), SIZE), voxels(), Look(), 2000)
    viewer.dims.order = (1, 0, 2)
    assert drag(viewer, source.data_to_world((8, 15, 25)), source.data_to_world((10, 15, 24)))
    assert told[-1] == ((6, 10, 19), True)
