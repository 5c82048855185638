"""Opening, choosing and saving in a real viewer, as a user does; the pictures are kept to be looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Layer
from napari.resources._icons import _theme_path
from napari.utils.notifications import Notification, notification_manager
from qtpy.QtCore import QDir, Qt, QTimer
from qtpy.QtWidgets import QApplication, QDialog, QFileDialog, QListWidget

from genesis_core.errors import OutputExistsError, VolumeError
from genesis_core.volumes.dicom.listing import list_series, thumbnail
from genesis_core.volumes.grid import same_grid
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.reading import read_volume
from napari_genesis import layers
from napari_genesis.dicom_dialogue import SeriesChoice
from napari_genesis.view.windows import CT_WINDOWS
from napari_genesis.waiting import without_freezing

PICTURES = Path(__file__).resolve().parents[2] / "build" / "screenshots"
PLUGIN = "napari-genesis"

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    made = make_napari_viewer(show=True)
    # napari's own start registers where its icons lie; this fixture does not.
    QDir.addSearchPath("theme_dark", str(_theme_path("dark")))
    made.window._qt_window.resize(1280, 800)
    return made


@pytest.fixture
def told() -> Any:
    seen: list[Notification] = []
    notification_manager.notification_ready.connect(seen.append)
    yield seen
    notification_manager.notification_ready.disconnect(seen.append)


def picture(viewer: Any, name: str) -> np.ndarray:
    QApplication.processEvents()
    PICTURES.mkdir(parents=True, exist_ok=True)
    image: np.ndarray = viewer.screenshot(path=str(PICTURES / f"{name}.png"), canvas_only=False, flash=False)
    return image


@pytest.mark.parametrize(
    ("name", "shown_as"),
    [
        ("ct/torso_totalseg_3mm.nii.gz", "opened_ct"),
        ("mri/ms_long_patient01_study1_FLAIR.nii.gz", "opened_mr_oblique"),
        ("mri/stroke_T1.nii.gz", "opened_mr_oblique_19"),
    ],
)
def test_a_scan_opens_without_a_warning_of_wrong_slicing(
    name: str, shown_as: str, viewer: Any, real_data: Path, recwarn: pytest.WarningsRecorder
) -> None:
    [layer] = viewer.open(real_data / name, plugin=PLUGIN)
    assert [str(unit) for unit in viewer.layers.extent.units] == ["millimeter"] * 3
    for order in ((0, 1, 2), (1, 0, 2), (2, 0, 1)):
        viewer.dims.order = order
    viewer.dims.order = (0, 1, 2)
    assert picture(viewer, shown_as).std() > 0
    assert not [one for one in recwarn if "Non-orthogonal" in str(one.message)]
    assert tuple(layer.scale) == pytest.approx(read_volume(real_data / name).spacing[::-1])


def test_the_contrast_slider_of_a_ct_reaches_lung_and_bone(viewer: Any, real_data: Path) -> None:
    [layer] = viewer.open(real_data / "ct" / "torso_totalseg_3mm.nii.gz", plugin=PLUGIN)
    assert layer.contrast_limits == [-160, 240]
    assert layer.contrast_limits_range == [-1000, 1000]
    layer.contrast_limits = CT_WINDOWS["Bone"].limits
    copy = viewer.add_layer(Layer.create(*layer.as_layer_data_tuple()))
    assert copy.contrast_limits == layer.contrast_limits == [-500, 1300]
    assert copy.contrast_limits_range == [-1000, 1300]


def test_of_frames_the_one_shown_is_saved(
    viewer: Any, real_data: Path, tmp_path: Path, told: list[Notification], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise VolumeError("frame.nii.gz: cannot be written (No space left on device)")

    path = real_data / "awkward" / "fmri_4d.nii.gz"
    [layer] = viewer.open(path, plugin=PLUGIN)
    viewer.dims.set_current_step(0, 7)
    with monkeypatch.context() as failing:
        failing.setattr("genesis_core.volumes.writing.write_volume", full)
        with pytest.raises(VolumeError, match="No space left"):
            layer.save(str(tmp_path / "frame.nii.gz"), plugin=PLUGIN)
    # Nothing is said to be saved that is not.
    assert not [one for one in told if "was saved" in one.message]
    [written] = layer.save(str(tmp_path / "frame.nii.gz"), plugin=PLUGIN)
    again, source = read_volume(written), read_volume(path, frame=7)
    np.testing.assert_array_equal(again.array, source.array)
    np.testing.assert_allclose(again.affine, source.affine, rtol=0, atol=1e-5)
    assert "the frame shown was saved, 7" in told[-1].message


def test_a_scan_and_its_labels_lie_on_each_other(viewer: Any, real_data: Path) -> None:
    case = real_data / "labelled" / "totalseg_multiorgan"
    [image] = viewer.open(case / "images" / "ct_a.nii.gz", plugin=PLUGIN)
    [labels] = viewer.open(case / "labels" / "ct_a.nii.gz", plugin=PLUGIN)
    assert same_grid(layers.volume_from_layer(image).geometry, layers.volume_from_layer(labels).geometry)
    picture(viewer, "opened_ct_with_labels")


def test_frames_and_a_scan_share_the_viewer_in_millimetres(viewer: Any, real_data: Path) -> None:
    viewer.open(real_data / "awkward" / "fmri_4d.nii.gz", plugin=PLUGIN)
    viewer.open(real_data / "labelled" / "spinal_cord_mr" / "images" / "t2.nii.gz", plugin=PLUGIN)
    assert viewer.dims.ndim == 4
    assert [str(unit) for unit in viewer.layers.extent.units][1:] == ["millimeter"] * 3


def test_a_refused_file_adds_no_layer_and_speaks_once(viewer: Any, real_data: Path, told: list[Notification]) -> None:
    viewer.window._qt_viewer._qt_open([str(real_data / "awkward" / "truncated.nii.gz")], False, plugin=PLUGIN)
    assert len(viewer.layers) == 0
    assert [one.message[:32] for one in told] == ["truncated.nii.gz was not opened:"]


def test_labels_painted_on_an_oblique_scan_are_saved_on_its_grid(viewer: Any, real_data: Path, tmp_path: Path) -> None:
    path = real_data / "mri" / "stroke_T1.nii.gz"
    viewer.open(path, plugin=PLUGIN)
    viewer._new_labels()
    painted = viewer.layers[-1]
    painted.data[70, 80:90, 60:64] = 2
    [written] = viewer.layers.save(str(tmp_path / "painted.nii.gz"), selected=True, plugin=PLUGIN)
    labels, scan = read_labels(written), read_volume(path)
    assert labels.geometry.shape == scan.shape
    np.testing.assert_allclose(labels.geometry.affine, scan.affine, rtol=0, atol=1e-5)
    assert np.count_nonzero(labels.as_map() == 2) == 40


def test_napari_asks_before_overwriting_and_its_answer_counts(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def typed(name: str) -> None:
        def choose(*_: Any, filter: str, **__: Any) -> tuple[str, str]:
            return str(tmp_path / name), next(one for one in filter.split(";;") if ".nii.gz" in one)

        monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
        viewer.window._qt_viewer._save_layers_dialog(selected=True)

    layer = viewer.add_image(np.zeros((4, 5, 6), np.int16), units="mm")
    path = tmp_path / "scan.nii.gz"
    typed("scan.nii.gz")
    layer.data = layer.data + 7
    typed("scan.nii.gz")
    assert read_volume(path).array.min() == 7
    layer.data = layer.data + 7
    # Given "scan", the dialogue never asked about scan.nii.gz; nor did anybody where a script or a plugin saves.
    with pytest.raises(OutputExistsError):
        typed("scan")
    for name in ("scan", "scan.nii.gz"):
        with pytest.raises(OutputExistsError):
            layer.save(str(tmp_path / name), plugin=PLUGIN)
    assert read_volume(path).array.min() == 7


def test_a_layer_of_the_same_name_is_replaced_in_place(viewer: Any, real_data: Path) -> None:
    [scan] = viewer.open(real_data / "mri" / "stroke_T1.nii.gz", plugin=PLUGIN)
    made = layers.put(viewer, layers.like(scan, scan.data[10:20], "box", start=(10, 0, 0)))
    made.contrast_limits = (5, 50)
    made.rotate, made.shear = 30, (0.1, 0, 0)
    again = layers.put(viewer, layers.like(scan, scan.data[30:40], "box", start=(30, 0, 0)))
    assert again is made
    assert len(viewer.layers) == 2
    assert made.contrast_limits == [5, 50]
    np.testing.assert_allclose(made.translate - scan.translate, (30 * scan.scale[0], 0, 0), atol=1e-9)
    np.testing.assert_array_equal(made.data, scan.data[30:40])
    # However the user turned the last result, this one lies on its scan.
    whole, part = layers.volume_from_layer(scan), layers.volume_from_layer(made)
    np.testing.assert_allclose(part.affine[:3, :3], whole.affine[:3, :3], atol=1e-9)


def in_dialogue(act: Callable[[QDialog], None]) -> None:
    """Let `act` use the dialogue that is about to block."""

    def wait() -> None:
        dialogue = QApplication.activeModalWidget()
        if isinstance(dialogue, QDialog):
            act(dialogue)
        else:
            QTimer.singleShot(20, wait)

    QTimer.singleShot(20, wait)


def test_several_series_are_chosen_by_keyboard(viewer: Any, real_data: Path, qtbot: Any) -> None:
    seen: list[str] = []

    def choose(dialogue: QDialog) -> None:
        rows = dialogue.findChild(QListWidget)
        qtbot.waitUntil(lambda: not rows.item(0).icon().isNull())
        qtbot.wait(500)
        dialogue.grab().save(str(PICTURES / "dicom_dialogue_in_napari.png"))
        seen.extend(rows.item(row).text() for row in range(rows.count()))
        qtbot.keyClick(rows, Qt.Key.Key_Home)
        qtbot.keyClick(rows, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
        qtbot.keyClick(rows, Qt.Key.Key_Return)

    in_dialogue(choose)
    added = viewer.open(real_data / "dicom", plugin=PLUGIN)
    assert len(seen) == 5
    assert len(added) == 2
    assert seen[0].splitlines()[0] == added[0].name


def test_a_cancelled_choice_opens_nothing_and_is_no_error(
    viewer: Any, real_data: Path, qtbot: Any, told: list[Notification]
) -> None:
    in_dialogue(lambda dialogue: qtbot.keyClick(dialogue, Qt.Key.Key_Escape))
    assert viewer.open(real_data / "dicom", plugin=PLUGIN) == []
    assert told == []


def test_the_choice_shows_thumbnails_and_what_cannot_be_opened(
    real_data: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def drawn(one: Any) -> Any:
        threads.append(threading.current_thread())
        if len(threads) == 2:
            raise VolumeError("this slice cannot be decoded")
        return thumbnail(one)

    monkeypatch.setattr("napari_genesis.dicom_dialogue.thumbnail", drawn)
    choice = SeriesChoice(list_series(real_data / "dicom"))
    qtbot.addWidget(choice.dialog)
    choice.dialog.show()
    qtbot.waitUntil(lambda: not choice.pending)
    # The window is free meanwhile, and one that fails costs no other.
    assert threading.main_thread() not in threads
    assert len(threads) == 5
    assert [choice.list.item(row).toolTip() for row in range(3)] == ["", "this slice cannot be decoded", ""]
    # Of all, the one with most slices is chosen first.
    assert [one.slices for one in choice.chosen] == [51]
    choice.list.selectAll()
    assert choice.open_button.text() == "Open 5 series"
    choice.list.clearSelection()
    assert not choice.open_button.isEnabled()
    PICTURES.mkdir(parents=True, exist_ok=True)
    assert choice.dialog.grab().save(str(PICTURES / "dicom_dialogue.png"))


def test_the_window_is_painted_while_a_file_is_read(qtbot: Any) -> None:
    beats: list[int] = []
    enough = threading.Event()

    def beat() -> None:
        beats.append(1)
        if len(beats) == 5:
            enough.set()

    timer = QTimer()
    timer.timeout.connect(beat)
    timer.start(5)
    # The work ends only once the window's own timer has run: it would wait for ever in a frozen one.
    assert without_freezing(lambda: enough.wait(60))
    timer.stop()
    with pytest.raises(ValueError, match="as it was raised"):
        without_freezing(lambda: (_ for _ in ()).throw(ValueError("as it was raised")))
