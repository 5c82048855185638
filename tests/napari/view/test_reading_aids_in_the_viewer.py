"""Letters, head and windows in a real viewer, measured in its pictures; the pictures are kept to be looked at."""

from __future__ import annotations

import copy
import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels, Layer
from napari.resources._icons import build_theme_svgs
from qtpy.QtCore import QDir, QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.thorax import Phantom, make_phantom
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.volume import Volume
from napari_genesis.layers import shown
from napari_genesis.sample_data import thorax_phantom
from napari_genesis.view.watching import watch
from napari_genesis.view.window_bar import WindowBar
from napari_genesis.view.windows import CT_WINDOWS

PICTURES = Path(__file__).resolve().parents[3] / "build" / "screenshots"
PLANES = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
# How far from the middle of the picture, as a share of its size, something lies that is said to be on one side.
CLEARLY = 0.02

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(0)


@pytest.fixture(autouse=True)
def _drawn_once(phantom: Phantom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sample data show copies of one phantom: drawing it takes longer than most of what is tested here."""
    monkeypatch.setattr("genesis_core.phantom.thorax.make_phantom", lambda seed: copy.deepcopy({0: phantom}[seed]))


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    # napari's own start draws its icons and registers where they lie; its fixture does not.
    for theme in ("dark", "light"):
        QDir.addSearchPath(f"theme_{theme}", build_theme_svgs(theme, "builtin"))
    made = make_napari_viewer(show=True)
    made.window._qt_window.resize(1280, 800)
    watch(made)
    return made


def picture(viewer: Any, name: str) -> None:
    QApplication.processEvents()
    PICTURES.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(path=str(PICTURES / f"{name}.png"), canvas_only=False, flash=False)


def letters(viewer: Any) -> dict[str, str]:
    """Which edge each letter shown is at."""
    found = {}
    for side in ("top", "bottom", "left", "right"):
        overlay = viewer.canvas.overlays.get(f"orientation_{side}")
        if overlay is not None and overlay.visible:
            found[overlay.text] = side
    return found


def side_of(viewer: Any, layer: Any) -> set[str]:
    """Toward which edges of the canvas a layer lies, shown alone, by its pixels in a picture of the canvas."""
    seen = [(one, one.visible) for one in viewer.layers]
    wanted = [(overlay, overlay.visible) for overlay in viewer.canvas.overlays.values()]
    for one, _ in seen:
        one.visible = one is layer
    for overlay, _ in wanted:
        overlay.visible = False
    QApplication.processEvents()
    drawn = viewer.screenshot(canvas_only=True, flash=False)[..., :3].max(-1) > 40
    for one, visible in [*seen, *wanted]:
        one.visible = visible
    assert drawn.any()
    y, x = (np.mean(index) / size - 0.5 for index, size in zip(np.nonzero(drawn), drawn.shape, strict=True))
    sides = {"top": y < -CLEARLY, "bottom": y > CLEARLY, "left": x < -CLEARLY, "right": x > CLEARLY}
    return {side for side, there in sides.items() if there}


def add_end(viewer: Any, volume: Volume, letter: str) -> Any:
    """Add labels of the voxels toward one direction of the patient, found in the patient's own millimetres."""
    axis, sign = {"S": (0, 1), "I": (0, -1), "P": (1, 1), "A": (1, -1), "L": (2, 1), "R": (2, -1)}[letter]
    z, y, x = np.ogrid[tuple(slice(n) for n in volume.array.shape)]
    along = sign * sum(index * step for index, step in zip((z, y, x), volume.affine[axis, :3], strict=True))
    end = (along > np.quantile(along[::4, ::4, ::4], 0.8)).astype(np.uint8)
    data, place = shown(Volume(end, volume.geometry))
    return viewer.add_layer(Labels(data, **place, name=letter, opacity=1.0))


def add_phantom(viewer: Any) -> list[Layer]:
    return [viewer.add_layer(Layer.create(*one)) for one in thorax_phantom()]


@pytest.mark.parametrize("plane", list(PLANES))
def test_the_phantom_lies_as_the_letters_say(plane: str, viewer: Any, phantom: Phantom) -> None:
    add_phantom(viewer)[1].opacity = 0.2
    viewer.dims.order = PLANES[plane]
    picture(viewer, f"view_phantom_{plane}")
    found = letters(viewer)
    expected = {"axial": "APRL", "coronal": "SIRL", "sagittal": "SIAP"}[plane]
    assert found == dict(zip(expected, ("top", "bottom", "left", "right"), strict=True))
    for letter, edge in found.items():
        marker = add_end(viewer, phantom.volume, letter)
        viewer.dims.order = PLANES[plane]
        assert side_of(viewer, marker) == {edge}, letter
        viewer.layers.remove(marker)


def test_the_liver_is_on_the_left_of_axial_and_coronal_pictures_and_low_in_coronal_ones(viewer: Any) -> None:
    image, labels = add_phantom(viewer)
    liver = viewer.add_layer(
        Labels((labels.data == LABELS["liver"]).astype(np.uint8), scale=image.scale, translate=image.translate)
    )
    middle = np.argwhere(liver.data).mean(0).astype(int)
    viewer.dims.current_step = tuple(middle)
    assert "left" in side_of(viewer, liver)
    viewer.dims.order = PLANES["coronal"]
    assert side_of(viewer, liver) == {"left", "bottom"}


def test_from_the_front_in_3d_the_left_of_the_patient_is_on_the_right(viewer: Any, phantom: Phantom) -> None:
    add_phantom(viewer)
    marker = add_end(viewer, phantom.volume, "L")
    viewer.dims.ndisplay = 3
    viewer.scene.camera.set_view_direction((0, 1, 0), (1, 0, 0))
    assert letters(viewer) == {}
    assert side_of(viewer, marker) == {"right"}
    viewer.dims.ndisplay = 2
    assert len(letters(viewer)) == 4


@pytest.mark.parametrize("plane", list(PLANES))
def test_an_oblique_mr_lies_as_the_letters_say(plane: str, viewer: Any, real_data: Path) -> None:
    path = real_data / "mri" / "stroke_T1.nii.gz"
    viewer.open(path, plugin="napari-genesis")
    viewer.dims.order = PLANES[plane]
    picture(viewer, f"view_stroke_T1_{plane}")
    volume = read_volume(path)
    for letter, edge in letters(viewer).items():
        marker = add_end(viewer, volume, letter)
        # Pitched by 19 degrees: its ends lean over the middle, but most of them lies where it is said to.
        assert edge in side_of(viewer, marker), letter
        viewer.layers.remove(marker)
    assert len(letters(viewer)) == 4


@pytest.mark.parametrize("plane", list(PLANES))
def test_a_real_ct_for_the_eye(plane: str, viewer: Any, real_data: Path) -> None:
    [layer] = viewer.open(real_data / "ct" / "torso_totalseg_3mm.nii.gz", plugin="napari-genesis")
    layer.contrast_limits = CT_WINDOWS["Bone"].limits
    viewer.dims.order = PLANES[plane]
    picture(viewer, f"view_torso_ct_{plane}")
    assert len(letters(viewer)) == 4


def test_letters_are_part_of_pictures_and_survive_a_change_of_theme(viewer: Any) -> None:
    add_phantom(viewer)
    QApplication.processEvents()

    def edge_pixels() -> Any:
        seen = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
        middle = seen.shape[0] // 2
        return seen[middle - 15 : middle + 15, :40]

    dark = edge_pixels()
    assert dark.max() > 200
    viewer.canvas.overlays.orientation_left.visible = False
    QApplication.processEvents()
    assert edge_pixels().max() < 50
    viewer.canvas.overlays.orientation_left.visible = True
    viewer.theme = "light"
    QApplication.processEvents()
    light = edge_pixels()
    # Pale on a patch that is darker than the white around it.
    assert light.min() < 120
    picture(viewer, "view_phantom_light")


def drag(viewer: Any, right: int, up: int, button: Any, modifier: Any) -> None:
    """Drag in the canvas with Qt's own events, as a mouse does."""
    canvas = viewer.window._qt_viewer.canvas.native
    start = QPoint(300, 300)
    steps = [(QEvent.Type.MouseButtonPress, start, button, button)]
    steps += [
        (QEvent.Type.MouseMove, start + QPoint(right * i // 4, -up * i // 4), Qt.MouseButton.NoButton, button)
        for i in range(1, 5)
    ]
    steps += [(QEvent.Type.MouseButtonRelease, start + QPoint(right, -up), button, Qt.MouseButton.NoButton)]
    for kind, place, pressed, held in steps:
        where = QPointF(place), QPointF(canvas.mapToGlobal(place))
        QApplication.sendEvent(canvas, QMouseEvent(kind, *where, pressed, held, modifier))
        # napari takes at most one move in five milliseconds.
        QApplication.processEvents()


CONTROL = Qt.KeyboardModifier.ControlModifier
NO_KEY = Qt.KeyboardModifier.NoModifier


def test_dragging_with_ctrl_sets_the_window_and_not_the_camera(viewer: Any, qtbot: Any) -> None:
    image, labels = add_phantom(viewer)
    assert viewer.layers.selection.active is labels
    QApplication.processEvents()
    image.contrast_limits = (-160, 240)
    low, high = image.contrast_limits_range
    step = (high - low) / 1000
    zoom, centre = viewer.scene.camera.zoom, viewer.scene.camera.center
    drag(viewer, 100, 40, Qt.MouseButton.LeftButton, CONTROL)
    wanted = (40 + 40 * step - 200 - 50 * step, 40 + 40 * step + 200 + 50 * step)
    qtbot.waitUntil(lambda: image.contrast_limits == pytest.approx(wanted), timeout=3000)
    assert (viewer.scene.camera.zoom, viewer.scene.camera.center) == (zoom, centre)
    # Out of the slider's reach, which grows.
    drag(viewer, 0, 250, Qt.MouseButton.LeftButton, CONTROL)
    drag(viewer, 250, 250, Qt.MouseButton.LeftButton, CONTROL)
    qtbot.waitUntil(lambda: image.contrast_limits_range[1] > high, timeout=3000)
    assert image.contrast_limits_range[1] >= image.contrast_limits[1]


def test_napari_s_own_mouse_is_left_as_it_was(viewer: Any, qtbot: Any) -> None:
    image, labels = add_phantom(viewer)
    QApplication.processEvents()
    limits = list(image.contrast_limits)
    centre, zoom = viewer.scene.camera.center, viewer.scene.camera.zoom
    drag(viewer, 60, 0, Qt.MouseButton.LeftButton, NO_KEY)
    qtbot.waitUntil(lambda: viewer.scene.camera.center != centre, timeout=3000)
    drag(viewer, 0, 60, Qt.MouseButton.RightButton, NO_KEY)
    qtbot.waitUntil(lambda: viewer.scene.camera.zoom != zoom, timeout=3000)
    # A brush at work is not disturbed.
    labels.mode = "paint"
    drag(viewer, 60, 60, Qt.MouseButton.LeftButton, CONTROL)
    assert image.contrast_limits == limits


def test_the_window_bar_in_a_dock(viewer: Any) -> None:
    image, _ = add_phantom(viewer)
    bar = WindowBar(image)
    dock = viewer.window.add_dock_widget(bar, name="Window", area="right")
    QApplication.processEvents()
    bar.names.activated.emit(bar.names.findText("Lung"))
    picture(viewer, "window_bar_dark")
    viewer.theme = "light"
    image.contrast_limits = (-200, 300)
    picture(viewer, "window_bar_light")
    assert bar.width() <= 340
    assert bar.names.currentText() == ""
    bar.set_layer(None)
    viewer.window.remove_dock_widget(dock)


def test_viewers_opened_and_closed_are_freed(make_napari_viewer: Any) -> None:
    gone = []
    for _ in range(3):
        viewer = make_napari_viewer(show=True)
        watch(viewer)
        add_phantom(viewer)
        viewer.dims.order = PLANES["coronal"]
        QApplication.processEvents()
        gone.append(weakref.ref(viewer))
        viewer.close()
        del viewer
        QApplication.processEvents()
    gc.collect()
    assert [one() for one in gone] == [None, None, None]
