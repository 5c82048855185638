"""What a watched viewer does as its layers, axes and camera change; on the viewer's model, without a window."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils._proxies import PublicOnlyProxy

from genesis_core.volumes.volume import Geometry, Volume
from napari_genesis.layers import ORIGIN_KEY, LayerOrigin, shown
from napari_genesis.view.watching import letters_shown, show_letters, watch
from napari_genesis.view.window_drag import drag_window

DEFAULT = ("towards", "down", "right")


@pytest.fixture
def viewer() -> Any:
    made = ViewerModel()
    watch(made)
    return made


def scan(shape: tuple[int, int, int] = (6, 7, 8)) -> Image:
    data, place = shown(Volume(np.zeros(shape, np.float32), Geometry(shape, (1.0, 1.0, 2.0))))
    return Image(data, **place)


def letters(viewer: Any) -> str:
    """The letters at the top, bottom, left and right edge; a dot where none is shown."""
    overlays = viewer.canvas.overlays
    sides = [overlays.get(f"orientation_{side}") for side in ("top", "bottom", "left", "right")]
    return "".join(one.text if one is not None and one.visible else "." for one in sides)


def orientation(viewer: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in viewer.scene.camera.orientation)


def test_letters_follow_the_displayed_axes(viewer: Any) -> None:
    viewer.add_layer(scan())
    assert letters(viewer) == "APRL"
    viewer.dims.order = (1, 0, 2)
    assert letters(viewer) == "SIRL"
    viewer.dims.order = (2, 0, 1)
    assert letters(viewer) == "SIAP"
    viewer.dims.transpose()
    assert letters(viewer) == "APIS"
    viewer.dims.order = (0, 1, 2)
    assert letters(viewer) == "APRL"
    viewer.dims.roll()
    assert letters(viewer) == "SIAP"


def test_letters_follow_a_flip_and_nothing_flips_back(viewer: Any) -> None:
    viewer.add_layer(scan())
    viewer.scene.camera.orientation2d = ("down", "left")
    assert letters(viewer) == "APLR"
    viewer.dims.set_current_step(0, 2)
    viewer.add_layer(scan())
    assert orientation(viewer)[1:] == ("down", "left")
    assert letters(viewer) == "APLR"
    viewer.dims.order = (1, 0, 2)
    viewer.scene.camera.orientation2d = ("down", "right")
    assert letters(viewer) == "ISRL"
    viewer.dims.order = (0, 1, 2)
    assert letters(viewer) == "APLR"


def test_the_head_is_up_and_the_axial_view_as_it_was(viewer: Any) -> None:
    viewer.add_layer(scan())
    before = viewer.scene.camera.orientation2d
    for order in ((1, 0, 2), (2, 0, 1)):
        viewer.dims.order = order
        assert [str(one) for one in viewer.scene.camera.orientation2d] == ["up", "right"]
    viewer.dims.order = (0, 1, 2)
    assert viewer.scene.camera.orientation2d == before


def test_a_camera_set_otherwise_in_the_preferences_is_what_axial_keeps() -> None:
    viewer = ViewerModel()
    viewer.scene.camera.orientation = ("towards", "up", "left")
    watch(viewer)
    viewer.add_layer(scan())
    assert letters(viewer) == "PALR"
    viewer.dims.order = (1, 0, 2)
    assert letters(viewer) == "SILR"


def test_turning_the_camera_moves_neither_centre_nor_zoom(viewer: Any) -> None:
    other = ViewerModel()
    for one in (viewer, other):
        one.add_layer(scan())
        one.dims.order = (1, 0, 2)
    assert viewer.scene.camera.center == other.scene.camera.center
    assert viewer.scene.camera.zoom == other.scene.camera.zoom


def test_in_3d_the_letters_are_off_and_come_back(viewer: Any) -> None:
    viewer.add_layer(scan())
    viewer.dims.order = (1, 0, 2)
    viewer.dims.ndisplay = 3
    assert letters(viewer) == "...."
    assert orientation(viewer)[1:] == ("up", "right")
    viewer.dims.ndisplay = 2
    assert letters(viewer) == "SIRL"


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_3d_shows_the_patient_not_a_mirror_image(order: tuple[int, ...], viewer: Any) -> None:
    viewer.add_layer(scan())
    viewer.dims.order = order
    viewer.dims.ndisplay = 3
    camera = viewer.scene.camera
    # In (x, y, z): toward left, posterior and superior, which is right-handed.
    look = camera.calculate_nd_view_direction(3, viewer.dims.displayed)[::-1]
    up = camera.calculate_nd_up_direction(3, viewer.dims.displayed)[::-1]
    horizontal = np.eye(3)[2 - viewer.dims.displayed[2]]
    assert np.cross(look, up) == pytest.approx(horizontal)


def test_other_images_get_no_letters_and_no_turned_camera(viewer: Any) -> None:
    viewer.add_layer(Image(np.zeros((6, 7, 8))))
    viewer.dims.order = (1, 0, 2)
    assert letters(viewer) == "...."
    assert orientation(viewer) == DEFAULT
    assert not [name for name in viewer.canvas.overlays if name.startswith("orientation")]


def test_when_the_last_scan_goes_everything_is_as_before(viewer: Any) -> None:
    viewer.add_layer(Image(np.zeros((6, 7, 8))))
    viewer.dims.order = (1, 0, 2)
    layer = viewer.add_layer(scan())
    assert letters(viewer) == "SIRL"
    viewer.layers.remove(layer)
    assert letters(viewer) == "...."
    assert orientation(viewer) == DEFAULT


def test_labels_of_a_scan_count_as_it(viewer: Any) -> None:
    origin = LayerOrigin(Geometry((6, 7, 8), (1.0, 1.0, 1.0)))
    viewer.add_layer(Labels(np.zeros((6, 7, 8), np.uint8), metadata={ORIGIN_KEY: origin}))
    assert letters(viewer) == "APRL"


def test_frames_over_time_are_lettered_by_the_axes_of_space(viewer: Any) -> None:
    data = np.zeros((3, 6, 7, 8), np.float32)
    viewer.add_layer(Image(data, metadata={ORIGIN_KEY: LayerOrigin(Geometry((6, 7, 8), (1.0, 1.0, 1.0)))}))
    assert letters(viewer) == "APRL"
    viewer.dims.order = (0, 2, 1, 3)
    assert letters(viewer) == "SIRL"
    viewer.dims.order = (1, 2, 0, 3)
    assert letters(viewer) == "..RL"


def test_a_scan_beside_a_flat_picture_is_lettered_by_its_own_axes(viewer: Any) -> None:
    viewer.add_layer(Image(np.zeros((7, 8))))
    viewer.add_layer(scan())
    assert letters(viewer) == "APRL"


def test_watching_again_or_through_a_proxy_changes_nothing(viewer: Any) -> None:
    counted = [len(viewer.dims.events.order.callbacks), len(viewer.layers.events.inserted.callbacks)]
    watch(viewer)
    watch(PublicOnlyProxy(viewer))
    watch(None)
    assert [len(viewer.dims.events.order.callbacks), len(viewer.layers.events.inserted.callbacks)] == counted
    assert viewer.mouse_drag_callbacks.count(drag_window) == 1


def test_a_viewer_with_scans_in_it_is_lettered_at_once() -> None:
    viewer = ViewerModel()
    viewer.add_layer(scan())
    viewer.dims.order = (1, 0, 2)
    watch(PublicOnlyProxy(viewer))
    assert letters(viewer) == "SIRL"
    assert orientation(viewer)[1:] == ("up", "right")


def test_letters_can_be_hidden_and_shown(viewer: Any) -> None:
    viewer.add_layer(scan())
    show_letters(PublicOnlyProxy(viewer), False)
    viewer.dims.order = (1, 0, 2)
    assert letters(viewer) == "...."
    assert not letters_shown(viewer)
    show_letters(viewer, True)
    assert letters(viewer) == "SIRL"


def test_the_text_of_the_user_stays(viewer: Any) -> None:
    viewer.canvas.overlays.text.text = "Case 7"
    viewer.canvas.overlays.text.visible = True
    viewer.add_layer(scan())
    assert (viewer.canvas.overlays.text.text, viewer.canvas.overlays.text.visible) == ("Case 7", True)


def test_the_user_may_style_the_letters(viewer: Any) -> None:
    viewer.add_layer(scan())
    viewer.canvas.overlays.orientation_left.font_size = 30
    viewer.dims.order = (1, 0, 2)
    assert viewer.canvas.overlays.orientation_left.font_size == 30


def test_a_forgotten_viewer_is_freed() -> None:
    def used() -> weakref.ref[Any]:
        viewer = ViewerModel()
        watch(viewer)
        viewer.add_layer(scan())
        viewer.dims.order = (1, 0, 2)
        # napari's settings hold a viewer's model by bound methods only, weakly.
        return weakref.ref(viewer)

    gone = used()
    gc.collect()
    assert gone() is None
