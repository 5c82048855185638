"""The Studio used for long: nothing leaks, nothing grows, and what the user does to the viewer is survived."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest
from napari.layers import Layer
from qtpy.QtWidgets import QApplication
from studio_driving import close, rest

from genesis_core.phantom.thorax import make_phantom
from napari_genesis.layers import shown as layer_of
from napari_genesis.studio.canvas import NAME
from napari_genesis.studio.studio import Studio

pytestmark = pytest.mark.gui
Open = Callable[[], Studio]
# Bytes that two hundred moves, or twenty docks, may cost beside what the first ones needed: a box is half a megabyte.
_GROWTH = 48 << 20


@pytest.fixture
def viewer(viewer_in_a_window: Any) -> Any:
    return viewer_in_a_window


def memory() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def own_threads() -> list[str]:
    return sorted(one.name for one in threading.enumerate() if one.name.startswith("genesis"))


@pytest.mark.slow
def test_two_hundred_slider_moves_leave_one_layer_and_no_memory(
    open_studio: Open, viewer: Any, scan: Layer, qtbot: Any
) -> None:
    studio = open_studio()
    card = studio.parts.cards.cards[0]
    layer = viewer.layers[NAME]

    def move(share: float) -> None:
        card.rate_moved.emit(share, False)
        QApplication.processEvents()

    for n in range(40):
        move(n % 20 / 20)
    rest(qtbot, studio)
    before = memory()
    for n in range(200):
        move(n % 20 / 20)
    rest(qtbot, studio)
    assert viewer.layers[NAME] is layer
    assert len(viewer.layers) == 2
    assert memory() - before < _GROWTH
    scan_, box = studio.session.scan, studio.session.box
    assert scan_ is not None
    assert box is not None
    expected = studio.session.draft.recipe()(scan_.unit(box), seed=studio.session.seed)
    assert np.array_equal(layer.data, scan_.map.from_unit(expected))


@pytest.mark.slow
def test_twenty_docks_opened_and_closed_leave_nothing(open_studio: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    callbacks = len(viewer.mouse_drag_callbacks)
    listeners = len(scan.events.contrast_limits.callbacks)
    gone: list[weakref.ref[Studio]] = []
    sizes = []
    for _ in range(20):
        studio = open_studio()
        assert NAME in viewer.layers
        gone.append(weakref.ref(studio))
        close(viewer, studio)
        session = studio.session
        del studio
        assert session.join(30)
        del session
        sizes.append(memory())
    assert [layer.name for layer in viewer.layers] == ["thorax"]
    assert not own_threads()
    # The reading aids of the viewer stay with it.
    assert len(viewer.mouse_drag_callbacks) <= callbacks + 1
    # napari drops dead listeners when something happens.
    scan.contrast_limits = (-900, 300)
    assert len(scan.events.contrast_limits.callbacks) == listeners
    # The last one may still be named by a Qt event that waits.
    assert not [one for one in gone[:-1] if one() is not None]
    assert sizes[-1] - sizes[4] < _GROWTH


def test_the_scan_is_deleted_in_the_middle_of_a_computation(
    open_studio: Open, viewer: Any, scan: Layer, qtbot: Any
) -> None:
    studio = open_studio()
    for seed in range(30):
        studio.session.choose_seed(seed)
    viewer.layers.remove(scan)
    rest(qtbot, studio)
    assert list(viewer.layers) == []
    assert studio.session.scan is None


def test_the_viewer_is_emptied_and_filled_again(open_studio: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    studio = open_studio()
    viewer.layers.clear()
    rest(qtbot, studio)
    array, meta = layer_of(make_phantom(2, shape=(48, 96, 96)).volume)
    viewer.add_layer(Layer.create(array, {**meta, "name": "again"}, "image"))
    rest(qtbot, studio)
    assert viewer.layers[NAME].data.shape == (32, 64, 64)


def test_a_volume_is_shown_without_a_word(open_studio: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    studio = open_studio()
    viewer.dims.ndisplay = 3
    studio.session.choose_seed(4)
    rest(qtbot, studio)
    viewer.dims.ndisplay = 2
    rest(qtbot, studio)
    assert not studio.parts.trouble.isVisible()


@pytest.mark.slow
def test_deleting_the_scan_that_is_worked_on_goes_on_with_the_next(
    open_studio: Open, viewer: Any, scan: Layer, qtbot: Any
) -> None:
    studio = open_studio()
    preview = viewer.layers[NAME]
    other = viewer.add_image(scan.data[:40], scale=(9, 9, 9), units="mm", name="other")
    rest(qtbot, studio)
    viewer.layers.remove(scan)
    rest(qtbot, studio)
    # napari's canvas draws both; a preview made anew in the same moment ended the process here.
    viewer.screenshot(flash=False)
    assert studio.session.layer is other
    assert list(viewer.layers) == [other, preview]
