"""The row that sets the window of an image, by itself."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from genesis_core.volumes.volume import Geometry
from napari_genesis.layers import ORIGIN_KEY, LayerOrigin
from napari_genesis.view.window_bar import WindowBar
from napari_genesis.view.windows import CT_WINDOWS, PERCENTILES

pytestmark = pytest.mark.gui

SHAPE = (6, 7, 8)


def ct() -> Image:
    values = np.linspace(-1000, 1000, np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    origin = LayerOrigin(Geometry(SHAPE, (1.0, 1.0, 1.0)), modality="ct")
    return Image(values, contrast_limits=(-160, 240), metadata={ORIGIN_KEY: origin})


@pytest.fixture
def bar(qtbot: Any) -> WindowBar:
    made = WindowBar()
    qtbot.addWidget(made)
    return made


def choose(bar: WindowBar, name: str) -> None:
    bar.names.activated.emit(bar.names.findText(name))


@pytest.mark.parametrize("name", list(CT_WINDOWS))
def test_a_name_sets_the_window_and_widens_the_slider(name: str, bar: WindowBar) -> None:
    layer = ct()
    bar.set_layer(layer)
    choose(bar, name)
    low, high = CT_WINDOWS[name].limits
    assert tuple(layer.contrast_limits) == (low, high)
    assert layer.contrast_limits_range[0] <= low
    assert layer.contrast_limits_range[1] >= high
    assert (bar.names.currentText(), bar.level.value, bar.width_box.value) == (
        name,
        CT_WINDOWS[name].level,
        CT_WINDOWS[name].width,
    )


def test_the_bar_follows_napari_s_own_slider(bar: WindowBar) -> None:
    layer = ct()
    bar.set_layer(layer)
    assert bar.names.currentText() == "Soft tissue"
    layer.contrast_limits = (0, 300)
    assert bar.names.currentIndex() == -1
    assert (bar.level.value, bar.width_box.value) == (150, 300)
    layer.contrast_limits = (0, 80)
    assert bar.names.currentText() == "Brain"


def test_numbers_are_typed(bar: WindowBar, qtbot: Any) -> None:
    layer = ct()
    bar.set_layer(layer)
    for box, typed in ((bar.level.box, "50"), (bar.width_box.box, "350")):
        box.selectAll()
        qtbot.keyClicks(box, typed)
        qtbot.keyClick(box, Qt.Key.Key_Return)
    assert tuple(layer.contrast_limits) == (-125, 225)
    assert bar.names.currentText() == "Mediastinum"


def test_the_number_not_typed_keeps_its_digits(bar: WindowBar, qtbot: Any) -> None:
    layer = ct()
    bar.set_layer(layer)
    layer.contrast_limits = (0.125, 300.5)
    bar.level.box.selectAll()
    qtbot.keyClicks(bar.level.box, "100")
    qtbot.keyClick(bar.level.box, Qt.Key.Key_Return)
    assert np.diff(layer.contrast_limits) == pytest.approx(300.375)
    assert np.mean(layer.contrast_limits) == pytest.approx(100)


def test_a_width_is_never_zero(bar: WindowBar, qtbot: Any) -> None:
    layer = ct()
    bar.set_layer(layer)
    bar.width_box.box.selectAll()
    qtbot.keyClicks(bar.width_box.box, "0")
    qtbot.keyClick(bar.width_box.box, Qt.Key.Key_Return)
    assert layer.contrast_limits[0] < layer.contrast_limits[1]


def test_small_values_are_shown_with_their_digits(bar: WindowBar) -> None:
    layer = Image(np.linspace(0, 0.01, np.prod(SHAPE)).reshape(SHAPE), contrast_limits=(0.002, 0.004))
    bar.set_layer(layer)
    assert (bar.level.box.text(), bar.width_box.box.text()) == ("0.003", "0.002")


def test_percentiles_are_of_the_voxels_there_are_now(bar: WindowBar) -> None:
    origin = LayerOrigin(Geometry(SHAPE, (1.0, 1.0, 1.0)), modality="mr")
    layer = Image(np.random.default_rng(0).random(SHAPE), metadata={ORIGIN_KEY: origin})
    bar.set_layer(layer)
    layer.data = layer.data * 1000
    choose(bar, PERCENTILES)
    assert layer.contrast_limits[1] == pytest.approx(np.percentile(layer.data, 99.5))
    assert bar.names.currentText() == PERCENTILES


def test_without_a_grey_image_the_bar_is_off(bar: WindowBar) -> None:
    assert not bar.isEnabled()
    bar.set_layer(ct())
    bar.set_layer(Image(np.zeros((*SHAPE, 3), np.uint8), rgb=True))
    assert not bar.isEnabled()
    assert bar.layer is None


def test_another_layer_takes_over(bar: WindowBar) -> None:
    first, second = ct(), ct()
    bar.set_layer(first)
    bar.set_layer(second)
    choose(bar, "Bone")
    assert tuple(first.contrast_limits) == (-160, 240)
    first.contrast_limits = (0, 10)
    assert bar.names.currentText() == "Bone"


def test_a_layer_is_not_kept_alive_by_the_bar(bar: WindowBar) -> None:
    layer = ct()
    bar.set_layer(layer)
    gone = weakref.ref(layer)
    del layer
    gc.collect()
    assert gone() is None
    choose(bar, "Lung")
    bar.set_layer(ct())


def test_the_wheel_changes_nothing(bar: WindowBar, qtbot: Any) -> None:
    layer = ct()
    bar.set_layer(layer)
    bar.show()
    before = tuple(layer.contrast_limits)
    for box in (bar.names, bar.level.box, bar.width_box.box):
        middle = QPointF(box.rect().center())
        turned = QWheelEvent(
            middle,
            QPointF(box.mapToGlobal(box.rect().center())),
            QPoint(),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(box, turned)
        assert not turned.isAccepted()
    assert tuple(layer.contrast_limits) == before
    assert bar.names.currentText() == "Soft tissue"


def test_everything_has_a_name_for_screen_readers(bar: WindowBar) -> None:
    assert [one.accessibleName() for one in (bar.names, bar.level.box, bar.width_box.box)] == [
        "Window",
        "Level",
        "Width",
    ]
