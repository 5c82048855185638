"""The Studio beside a viewer without a window, driven as a user drives it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QFileDialog
from studio_driving import expected, press, rest, type_into, voxels

from genesis_core.corruptions.recipe import Recipe
from genesis_core.phantom.thorax import make_phantom
from napari_genesis.studio.canvas import NAME
from napari_genesis.studio.studio import Studio

pytestmark = pytest.mark.gui
Open = Callable[[], Studio]


def test_switching_a_card_off_changes_what_is_drawn(open_studio: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    studio = open_studio()
    studio.parts.recipe.presets.setCurrentText("paper")
    studio.parts.recipe.presets.activated.emit(1)
    rest(qtbot, studio)
    assert studio.session.draft.recipe() == Recipe.paper()
    first = studio.parts.cards.cards[0]
    qtbot.mouseClick(first.header.switch, Qt.MouseButton.LeftButton)
    rest(qtbot, studio)
    assert not studio.session.draft.entries[0].enabled
    assert "changed" in studio.parts.recipe.presets.currentText()
    assert np.array_equal(voxels(viewer), expected(studio))
    press(qtbot, studio.parts.sample.swipe, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    rest(qtbot, studio)
    assert studio.session.draft.recipe() == Recipe.paper()
    assert studio.parts.recipe.presets.currentText() == "paper"


def test_keys_choose_what_the_canvas_shows(open_studio: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    studio = open_studio()
    where = studio.parts.sample.swipe
    original = np.clip(np.asarray(scan.data, float), -1000, 1000)
    box = studio.session.box
    assert box is not None
    inside = original[tuple(slice(s, s + n) for s, n in zip(box.start, box.size, strict=True))]
    press(qtbot, where, Qt.Key.Key_1)
    rest(qtbot, studio)
    assert np.allclose(voxels(viewer), inside, atol=0.01)
    press(qtbot, where, Qt.Key.Key_3)
    rest(qtbot, studio)
    assert np.allclose(voxels(viewer), expected(studio) - inside, atol=0.02)
    assert scan.contrast_limits == [-1000, 400]
    press(qtbot, where, Qt.Key.Key_4)
    rest(qtbot, studio)
    assert studio.session.look.view == "difference"
    press(qtbot, where, Qt.Key.Key_2)
    press(qtbot, where, Qt.Key.Key_N)
    press(qtbot, where, Qt.Key.Key_N)
    press(qtbot, where, Qt.Key.Key_P)
    rest(qtbot, studio)
    assert studio.session.seed == 1
    assert np.array_equal(voxels(viewer), expected(studio))
    press(qtbot, where, Qt.Key.Key_S)
    rest(qtbot, studio)
    half = box.size[2] // 2
    assert np.allclose(voxels(viewer)[:, :, :half], inside[:, :, :half], atol=0.01)
    assert np.array_equal(voxels(viewer)[:, :, half:], expected(studio)[:, :, half:])


def test_the_original_is_looked_at_while_the_button_or_space_is_held(
    open_studio: Open, viewer: Any, scan: Layer, qtbot: Any
) -> None:
    studio = open_studio()
    button = studio.parts.thumbnails.buttons["original"]
    qtbot.mousePress(button, Qt.MouseButton.LeftButton)
    rest(qtbot, studio)
    assert studio.session.look.view == "original"
    # Let go outside of the button: it was only looked at.
    qtbot.mouseMove(button, QPoint(-50, -50))
    qtbot.mouseRelease(button, Qt.MouseButton.LeftButton, pos=QPoint(-50, -50))
    rest(qtbot, studio)
    assert studio.session.look.view == "corrupted"
    assert np.array_equal(voxels(viewer), expected(studio))
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    rest(qtbot, studio)
    assert studio.session.look.view == "original"
    QApplication.setActiveWindow(studio.window())
    for view in ("difference", "corrupted"):
        picture = studio.parts.thumbnails.buttons[view]
        studio.show_view(view)
        picture.setFocus()
        qtbot.keyPress(picture, Qt.Key.Key_Space)
        assert studio.session.look.view == "original"
        qtbot.keyRelease(picture, Qt.Key.Key_Space)
        assert studio.session.look.view == view
    # Whoever goes elsewhere with the key held lets it go there.
    qtbot.keyPress(picture, Qt.Key.Key_Space)
    studio.parts.sample.next.setFocus()
    assert studio.session.look.view == "corrupted"
    assert studio.session.seed == 0


def test_the_box_follows_the_slice_and_the_slab_shows_all(
    open_studio: Open, viewer: Any, scan: Layer, qtbot: Any
) -> None:
    studio = open_studio()
    viewer.dims.set_current_step(0, 60)
    rest(qtbot, studio)
    box = studio.session.box
    assert box is not None
    assert box.start[0] + box.size[0] == 61
    assert np.array_equal(voxels(viewer), expected(studio))
    qtbot.mouseClick(studio.parts.sample.slab, Qt.MouseButton.LeftButton)
    rest(qtbot, studio)
    assert voxels(viewer).shape == (32, 112, 112)
    assert "4 boxes" in studio.parts.figures.words.text()
    viewer.dims.order = (1, 0, 2)
    rest(qtbot, studio)
    assert voxels(viewer).shape == (64, 64, 112)


def test_a_recipe_is_saved_and_opened_as_the_file_that_trains(
    open_studio: Open, viewer: Any, scan: Layer, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = open_studio()
    studio.session.edit(studio.session.draft.with_rate(0, 0.25), "0.rate")
    path = tmp_path / "mine"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    press(qtbot, studio.parts.sample.swipe, Qt.Key.Key_W)
    saved = Recipe.read(tmp_path / "mine.yaml")
    assert saved.name == "mine"
    assert saved.steps[0].probability == 0.25
    assert studio.session.draft.recipe() == saved
    assert studio.parts.recipe.presets.currentText() == "mine"
    # The ending was added here, so the dialogue has not asked: nothing is replaced.
    before = (tmp_path / "mine.yaml").read_bytes()
    studio.session.load(Recipe.paper())
    studio.files.save_recipe()
    assert (tmp_path / "mine.yaml").read_bytes() == before
    assert "exists" in studio.parts.trouble.text()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "mine.yaml"), ""))
    studio.files.open_recipe()
    assert studio.session.draft.recipe() == saved
    (tmp_path / "mine.yaml").write_text("steps: [{kind: blur}]")
    studio.files.open_recipe()
    assert "'kind' = 'blur' is not a corruption" in studio.parts.trouble.text()
    assert studio.session.draft.recipe() == saved
    rest(qtbot, studio)


def test_command_and_python_land_on_the_clipboard(open_studio: Open, scan: Layer, qtbot: Any) -> None:
    studio = open_studio()
    for action in studio.parts.recipe.more.menu().actions():
        if action.text() == "Copy as command":
            action.trigger()
    assert "napari-genesis corrupt SCAN.nii.gz --recipe genesis" in QApplication.clipboard().text()
    studio.parts.recipe.copy_python.emit()
    assert "gc.Recipe.genesis()" in QApplication.clipboard().text()


def test_two_recipes_are_compared_by_the_swipe(open_studio: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    studio = open_studio()
    studio.parts.recipe.compare_action.trigger()
    studio.session.load(Recipe.paper())
    studio.swipe()
    rest(qtbot, studio)
    scan_, box = studio.session.scan, studio.session.box
    assert scan_ is not None
    assert box is not None
    original = scan_.unit(box)
    left = scan_.map.from_unit(Recipe.genesis()(original, seed=0))
    right = scan_.map.from_unit(Recipe.paper()(original, seed=0))
    assert np.array_equal(voxels(viewer)[:, :, :32], left[:, :, :32])
    assert np.array_equal(voxels(viewer)[:, :, 32:], right[:, :, 32:])
    assert "genesis" in studio.parts.recipe.compare_action.text()
    assert "Recipe B (genesis), MSE of returning the input" in studio.parts.figures.words.text()


def test_a_renamed_scan_keeps_its_place_and_a_second_can_be_chosen(
    open_studio: Open, viewer: Any, scan: Layer, qtbot: Any
) -> None:
    studio = open_studio()
    scan.name = "renamed"
    assert studio.parts.scan.layers.currentText() == "renamed"
    other = viewer.add_image(np.linspace(0, 700, 40 * 70 * 80).reshape(40, 70, 80), scale=(2, 1, 1), name="mr")
    assert studio.parts.scan.layers.count() == 2
    studio.parts.scan.choose(other)
    rest(qtbot, studio)
    assert studio.session.layer is other
    assert studio.parts.scan.modality.currentData() == "mr"
    assert np.array_equal(voxels(viewer), expected(studio))
    assert studio.parts.sample.extent.text() == ""


def test_a_scan_of_several_frames_shows_the_one_displayed(open_studio: Open, viewer: Any, qtbot: Any) -> None:
    frames = np.stack([make_phantom(seed, shape=(48, 96, 96)).volume.array for seed in (1, 2)])
    units = ("pixel", "mm", "mm", "mm")
    viewer.add_image(frames, name="frames", scale=(1, 4, 3, 3), units=units, contrast_limits=(-1000, 400))
    viewer.dims.set_current_step(0, 0)
    studio = open_studio()
    assert np.array_equal(voxels(viewer), expected(studio))
    first = voxels(viewer).copy()
    viewer.dims.set_current_step(0, 1)
    rest(qtbot, studio)
    assert studio.session.scan is not None
    assert np.array_equal(studio.session.scan.volume.array, frames[1])
    assert np.array_equal(voxels(viewer), expected(studio))
    assert not np.array_equal(voxels(viewer), first)
    viewer.dims.set_current_step(1, 45)
    rest(qtbot, studio)
    assert studio.session.box is not None
    assert studio.session.box.start[0] == 14


def test_other_voxels_in_the_layer_are_noticed(open_studio: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    studio = open_studio()
    scan.data = scan.data + 100
    rest(qtbot, studio)
    assert studio.session.scan is not None
    assert studio.session.scan.volume.array is scan.data
    assert np.array_equal(voxels(viewer), expected(studio))


def test_a_window_typed_and_the_usual_one_again(open_studio: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    studio = open_studio()
    type_into(qtbot, studio.parts.scan.high.box, "300")
    rest(qtbot, studio)
    assert voxels(viewer).max() <= 300.01
    type_into(qtbot, studio.parts.scan.low.box, "400")
    assert "upper end must lie above" in studio.parts.trouble.text()
    qtbot.mouseClick(studio.parts.scan.usual, Qt.MouseButton.LeftButton)
    rest(qtbot, studio)
    assert (studio.parts.scan.low.value, studio.parts.scan.high.value) == (-1000, 1000)
    assert np.array_equal(voxels(viewer), expected(studio))
    assert not studio.parts.trouble.isVisible()


def test_the_contact_sheet_becomes_a_layer_beside_the_scan(
    open_studio: Open, viewer: Any, scan: Layer, qtbot: Any
) -> None:
    from napari_genesis.studio.sheet_dialogue import SheetDialogue

    studio = open_studio()
    qtbot.mouseClick(studio.parts.sheet, Qt.MouseButton.LeftButton)
    [dialogue] = studio.findChildren(SheetDialogue)
    qtbot.waitUntil(dialogue.add_button.isEnabled, timeout=120_000)
    # Another scan is worked on meanwhile; the sheet is still of this one.
    other = viewer.add_image(scan.data[:40], scale=(9, 9, 9), name="other")
    studio.parts.scan.choose(other)
    rest(qtbot, studio)
    assert studio.session.layer is other
    qtbot.mouseClick(dialogue.add_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(viewer.layers) == 4)
    [sheet] = [layer for layer in viewer.layers if layer.name.startswith("contact sheet")]
    assert sheet.data.shape == (32, 3 * 64 + 2 * 4, 4 * 64 + 3 * 4)
    assert sheet.units == scan.units
    assert np.allclose(sheet.scale, scan.scale)
    assert sheet.extent.world[0][2] > scan.extent.world[1][2]
    # It is no scan to corrupt.
    assert studio.parts.scan.layers.count() == 2
    dialogue.close()
    rest(qtbot, studio)


def test_statistics_fill_up_and_name_the_speed(open_studio: Open, scan: Layer, qtbot: Any) -> None:
    studio = open_studio()
    qtbot.mouseClick(studio.parts.measure, Qt.MouseButton.LeftButton)
    plot = studio.parts.statistics.plot
    qtbot.waitUntil(lambda: "sub-volumes a second" in plot.speed.text(), timeout=120_000)
    qtbot.waitUntil(lambda: "200 draws" in plot.caption.text(), timeout=20_000)


def test_without_live_updates_a_button_computes(open_studio: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    from napari.settings import get_plugin_settings

    studio = open_studio()
    before = voxels(viewer).copy()
    settings = get_plugin_settings("napari-genesis")
    settings.studio.live_updates = False
    assert studio.parts.update_now.isVisible()
    studio.parts.sample.next.click()
    rest(qtbot, studio)
    assert np.array_equal(voxels(viewer), before)
    qtbot.mouseClick(studio.parts.update_now, Qt.MouseButton.LeftButton)
    rest(qtbot, studio)
    assert np.array_equal(voxels(viewer), expected(studio))
    settings.studio.live_updates = True
    assert not studio.parts.update_now.isVisible()


def test_a_thin_scan_is_padded_and_shown(open_studio: Open, viewer: Any, qtbot: Any) -> None:
    viewer.add_image(np.linspace(0, 900, 40 * 50).reshape(1, 40, 50), name="one slice")
    studio = open_studio()
    assert viewer.layers[NAME].data.shape == (32, 64, 64)
    assert studio.session.box is not None
    assert studio.session.box.start == (-15, -12, -7)


def test_figures_of_a_restoration_stay_beside_it(
    open_studio: Open, scan: Layer, qtbot: Any, model_folder: Path
) -> None:
    studio = open_studio()
    studio.choose_model(model_folder)
    rest(qtbot, studio)
    told = [[cell.text() for cell in row] for row in studio.parts.figures.cells]
    assert all(text not in ("", "–") for row in told for text in row)
    qtbot.keyClick(studio, Qt.Key.Key_4)
    studio.show_view("restored")
    rest(qtbot, studio)
    assert [[cell.text() for cell in row] for row in studio.parts.figures.cells] == told


def test_a_model_that_ended_meanwhile_is_listed_when_the_studio_is_seen_again(
    open_studio: Open, scan: Layer, qtbot: Any, model_folder: Path, plugin_settings: Any, tmp_path: Path
) -> None:
    from napari.settings import get_plugin_settings

    get_plugin_settings("napari-genesis").files.workspace = str(tmp_path)
    studio = open_studio()
    studio.hide()
    shutil.copytree(model_folder, tmp_path / "runs" / "new" / "model")
    studio.show()
    models = studio.parts.model.models
    qtbot.waitUntil(lambda: models.findText("new") > 0, timeout=10_000)


def test_why_a_folder_is_no_model_is_said_until_another_one_is_chosen(
    open_studio: Open, scan: Layer, qtbot: Any, model_folder: Path, tmp_path: Path
) -> None:
    studio = open_studio()
    note = studio.parts.figures.note
    studio.choose_model(tmp_path)
    rest(qtbot, studio)
    studio.session.choose_seed(3)
    rest(qtbot, studio)
    assert str(tmp_path) in note.text()
    assert note.isVisible()
    studio.choose_model(model_folder)
    rest(qtbot, studio)
    assert not note.isVisible()


def test_a_scan_that_comes_after_an_image_that_is_none_is_looked_at(
    open_studio: Open, viewer: Any, scan: Layer, qtbot: Any
) -> None:
    viewer.layers.clear()
    viewer.add_image(np.zeros((40, 50)), name="photograph")
    studio = open_studio()
    assert studio.session.is_refused
    viewer.add_layer(scan)
    rest(qtbot, studio)
    assert studio.session.layer is scan
    assert studio.session.scan is not None
    # What is being looked at is not left for what comes later.
    viewer.add_image(np.zeros((30, 40, 50)), name="later")
    rest(qtbot, studio)
    assert studio.session.layer is scan
