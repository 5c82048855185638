"""The Fine-tune dock in a real viewer, driven as a user drives it, with real, tiny trainings."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dock_driving import drop, press
from finetune_driving import STRUCTURES, set_up, start, tiny_draft, wait_for_plan, without_names
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QLineEdit
from training_runs import prepared, wait_for_state, wait_for_step

from genesis_core.model.card import ModelCard, read_card
from genesis_core.model.folder import save_model
from genesis_core.networks.registry import create_network
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.training.run_folder import RunFolder
from napari_genesis.jobs.preparing import prepare_run
from napari_genesis.training.finetuning.finetune_dock import FinetuneDock
from napari_genesis.training.finetuning.held_out_panel import HeldOutDialogue
from napari_genesis.training.finetuning.keeping import read_draft
from napari_genesis.training.training_dock import WIDTH

pytestmark = pytest.mark.gui
Open = Callable[[], FinetuneDock]


def test_a_dropped_folder_shows_structures_and_plan_and_trains(
    open_finetune: Open, viewer: Any, labelled: Path, qtbot: Any
) -> None:
    dock = open_finetune()
    assert dock.width() == WIDTH
    setup = dock.setup
    assert not dock.controls.start_button.isEnabled()
    drop(setup.data, labelled)
    qtbot.waitUntil(lambda: setup.data.usable == 3, timeout=30_000)
    assert "3 cases of 3 subjects usable, 0 left out" in setup.data.summary.text()
    rows = [setup.data.structures.table.item(row, 0) for row in range(3)]
    assert [item.text() for item in rows] == list(STRUCTURES)
    assert setup.data.structures.table.item(0, 1).text() == "3 of 3"
    wait_for_plan(qtbot, dock)
    shown = {name.text(): value for name, value in setup.plan.cells if name.isVisible()}
    assert shown["held out"].text() == "every subject once, in 3 trainings"
    assert "Under 20 subjects" in shown["held out"].toolTip() or "under 20 subjects" in shown["held out"].toolTip()
    qtbot.waitUntil(lambda: "3 trainings" in setup.estimate.text(), timeout=10_000)
    # Untick one: another plan.
    rows[2].setCheckState(Qt.CheckState.Unchecked)
    assert setup.draft.structures == ("lung_right", "lung_left")
    wait_for_plan(qtbot, dock)
    assert "liver" not in setup.plan.plan.reasons["data.structures"]
    assert not setup.planning.busy
    job = start(qtbot, dock, labelled)
    wait_for_step(qtbot, job, 11)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=10_000)
    image, prediction, reference = viewer.layers
    assert [layer.name for layer in viewer.layers] == [
        f"finetune_1: {kind}" for kind in ("image", "prediction", "reference")
    ]
    assert list(prediction.features["structure"]) == list(STRUCTURES)
    assert np.allclose(prediction.colormap.color_dict[1][:3], np.array(STRUCTURES["lung_right"]) / 255, atol=1e-6)
    assert tuple(image.scale) == tuple(prediction.scale) == tuple(reference.scale)
    assert np.array_equal(image.translate, prediction.translate)
    assert set(np.unique(reference.data)) == {0, 1, 2, 3}
    assert reference.contour == 1
    before, active = np.array(prediction.data), viewer.layers.selection.active
    viewer.dims.set_current_step(0, 3)
    camera = tuple(viewer.camera.center)
    qtbot.waitUntil(lambda: not np.array_equal(prediction.data, before), timeout=30_000)
    assert list(viewer.layers) == [image, prediction, reference]
    assert (viewer.layers.selection.active, viewer.dims.current_step[0], tuple(viewer.camera.center)) == (
        active,
        3,
        camera,
    )
    page = dock.page
    assert list(page.dice.lines) == list(STRUCTURES)
    qtbot.waitUntil(lambda: len(page.dice.mean.xData) >= 2, timeout=20_000)
    assert "lung_right" in page.dice.words.text()
    press(qtbot, dock.controls.stop_button)
    wait_for_state(qtbot, job, "stopped")
    reached = job.view.step
    assert (job.run.checkpoints / "last.pt").is_file()
    press(qtbot, dock.controls.resume_button)
    wait_for_step(qtbot, job, reached + 3)
    press(qtbot, dock.controls.stop_button)
    wait_for_state(qtbot, job, "stopped")


def test_folds_are_shown_one_by_one_and_the_end_tells_how_good_it_is(
    open_finetune: Open, viewer: Any, labelled: Path, qtbot: Any
) -> None:
    dock = open_finetune()
    job = start(qtbot, dock, labelled, steps=6, folds=3)
    qtbot.waitUntil(lambda: len(job.view.folds) >= 2, timeout=60_000)
    page = dock.page
    assert page.fold_row.isVisible()
    wait_for_state(qtbot, job, "finished")
    assert job.view.step == 18
    assert "3 folds, 18 steps in all" in page.progress.head.text()
    assert len(job.view.held_out) == 3
    assert "3 whole held-out scans" in page.held_out.words.text()
    assert f"{job.view.scores['mean_dice']:.3f}" in page.held_out.words.text()
    assert page.fold.count() == 4
    assert "held-out Dice" in page.fold.itemText(1)
    page.fold.setCurrentIndex(1)
    page.fold.activated.emit(1)
    assert page.shown is job.view.folds[0]
    # Names of the folder, not pseudonyms, for whoever has the folder.
    qtbot.waitUntil(lambda: bool(page.held_out.names), timeout=10_000)
    page.held_out.cases.click()
    (dialogue,) = page.held_out.findChildren(HeldOutDialogue)
    assert {dialogue.table.item(row, 0).text() for row in range(3)} == {f"patient_{number}" for number in range(3)}
    dialogue.close()
    press(qtbot, page.apply)
    apply = next(one for name, one in viewer.window.dock_widgets.items() if name.startswith("Apply"))
    assert apply.choice.entry.path == job.run.path
    assert len(apply.choice.entry.cards) == 3
    dock.review_model()
    review = next(one for name, one in viewer.window.dock_widgets.items() if name.startswith("Review"))
    qtbot.waitUntil(lambda: review.choice.has_looked, timeout=10_000)
    assert review.parts.setup.run == job.run.path
    assert review.choice.folder is None


def test_numbers_without_names_are_named_in_the_list_and_the_model_has_the_names(
    open_finetune: Open, labelled: Path, tmp_path: Path, qtbot: Any
) -> None:
    dock = open_finetune()
    folder = without_names(labelled, tmp_path / "numbers")
    set_up(qtbot, dock, folder, steps=2)
    structures = dock.setup.data.structures
    assert structures.names == ("label 1", "label 2", "label 3")
    assert "F2" in structures.hint.shown
    for row, name in enumerate(("right lung", "right lung", "liver")):
        item = structures.table.item(row, 0)
        structures.table.setCurrentItem(item)
        structures.table.editItem(item)
        editor = structures.table.findChild(QLineEdit)
        editor.setText(name)
        qtbot.keyClick(editor, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: not structures.table.findChildren(QLineEdit), timeout=5_000)
    # No two of one name.
    assert structures.names == ("right lung", "label 2", "liver")
    structures.table.item(1, 0).setCheckState(Qt.CheckState.Unchecked)
    assert dock.setup.draft.structures == ("right lung", "liver")
    assert dock.setup.draft.names == {1: "right lung", 2: "label 2", 3: "liver"}
    wait_for_plan(qtbot, dock)
    assert dock.setup.plan.plan.reasons["data.structures"].startswith("right lung (drawn in 3 of 3")
    dock.copy_command()
    assert "data.names={1: right lung, 2: label 2, 3: liver}" in QApplication.clipboard().text()
    press(qtbot, dock.controls.start_button)
    wait_for_state(qtbot, dock.job, "finished")
    card = read_card(dock.job.run.model / "model.yaml")
    assert [(one.name, one.value) for one in card.structures] == [("right lung", 1), ("liver", 3)]
    # The next day, and for a run like it, they are there again; another folder has its own.
    assert read_draft(dock._state_file).names == {1: "right lung", 2: "label 2", 3: "liver"}
    dock.load_settings(dock.job.run.path)
    qtbot.waitUntil(lambda: dock.setup.can_start, timeout=30_000)
    assert structures.chosen == ("right lung", "liver")
    dock.setup.data.choose(labelled)
    qtbot.waitUntil(lambda: dock.setup.can_start, timeout=30_000)
    assert structures.names == tuple(STRUCTURES)
    assert not dock.setup.draft.names
    assert not structures.table.item(0, 0).flags() & Qt.ItemFlag.ItemIsEditable


def test_a_wrong_folder_is_named_before_anything_is_started(open_finetune: Open, tmp_path: Path, qtbot: Any) -> None:
    dock = open_finetune()
    data = dock.setup.data
    folder = tmp_path / "cohort"
    folder.mkdir()
    drop(data, folder)
    qtbot.waitUntil(lambda: "Not a labelled folder" in data.summary.text(), timeout=30_000)
    assert data.layouts.isVisible()
    assert dock.controls.why_not.shown == "No case of this folder can be learnt from."
    assert not dock.controls.start_button.isEnabled()
    data.line.setText(str(tmp_path / "nowhere"))
    data.line.editingFinished.emit()
    qtbot.waitUntil(lambda: data.summary.text() == "No such folder", timeout=30_000)
    assert not dock.controls.start_button.isEnabled()
    assert not (tmp_path / "workspace" / "runs").exists()


@pytest.mark.slow
def test_two_runs_queue_a_killed_one_says_why_and_a_deleted_one_that_it_is_gone(
    open_finetune: Open, labelled: Path, qtbot: Any
) -> None:
    dock = open_finetune()
    first = start(qtbot, dock, labelled)
    wait_for_step(qtbot, first, 3)
    dock.show_run(None)
    set_up(qtbot, dock, labelled)
    assert dock.controls.start_button.text() == "Start when free"
    second = start(qtbot, dock, labelled)
    assert second.state == "queued"
    assert "Waits for finetune_1" in dock.page.progress.note.text()
    # What is planned when it starts is not there yet.
    assert "plan" not in (second.run.path / "run.yaml").read_text()
    os.kill(first.view.status.pid, signal.SIGKILL)
    wait_for_state(qtbot, first, "interrupted")
    wait_for_step(qtbot, second, 2)
    dock.show_run(first.run.path)
    assert "killed (SIGKILL)" in dock.page.progress.trouble.text()
    second.stop()
    wait_for_state(qtbot, second, "stopped")
    shutil.rmtree(first.run.path)
    dock.show_run(first.run.path)
    wait_for_state(qtbot, first, "gone")
    assert "folder is gone" in dock.page.progress.head.text()


@pytest.mark.slow
def test_closing_the_viewer_stops_the_run_with_a_checkpoint(
    open_finetune: Open, viewer: Any, labelled: Path, qtbot: Any
) -> None:
    dock = open_finetune()
    job = start(qtbot, dock, labelled)
    wait_for_step(qtbot, job, 2)
    run = RunFolder(job.run.path)
    asked = viewer.window._qt_window._window._task_status_manager.get_status()
    assert any("the Fine-tune dock can let it go on" in text for text in asked)
    viewer.close()
    qtbot.waitUntil(lambda: run.status().state == "stopped", timeout=30_000)
    assert (run.checkpoints / "last.pt").is_file()


def test_a_run_is_duplicated_with_changes_and_another_kind_is_refused(
    open_finetune: Open, open_dock: Callable[[], Any], labelled: Path, scans: Path, tmp_path: Path, qtbot: Any
) -> None:
    dock = open_finetune()
    draft = replace(tiny_draft(labelled, 7), structures=("liver",))
    run = prepare_run(draft.settings(tmp_path / "runs" / "one"))
    pretrained = prepared(scans, tmp_path / "runs" / "two", 5)
    dock.load_settings(run.path)
    assert dock.job is None
    qtbot.waitUntil(lambda: dock.setup.can_start, timeout=30_000)
    assert dock.setup.draft.settings(None) == draft.settings(None)
    assert dock.setup.data.structures.chosen == ("liver",)
    assert "patch size" in dock.setup.advanced.summary.shown
    dock.copy_command()
    assert "--structures liver" in QApplication.clipboard().text()
    dock.load_settings(pretrained.path)
    assert "Pretrain dock" in dock.trouble.text()
    dock.load_settings(tmp_path / "nowhere")
    assert "no such run folder" in dock.trouble.text()
    other = open_dock()
    other.load_settings(pretrained.path)
    qtbot.waitUntil(lambda: other.setup.can_start, timeout=30_000)
    assert (other.setup.draft.budget, other.setup.draft.steps) == ("steps", 5)
    assert other.setup.draft.settings(None, None).network.width == 2
    other.load_settings(run.path)
    assert "Fine-tune dock" in other.trouble.text()


def test_a_checkpoint_is_imported_and_a_source_told_with_its_licence(
    open_finetune: Open, labelled: Path, tmp_path: Path, qtbot: Any
) -> None:
    dock = open_finetune()
    source = dock.setup.source
    file = tmp_path / "Genesis_Tiny.pt"
    file.write_bytes(b"no checkpoint")
    drop(source, file)
    assert "published checkpoint" in source.offer.text()
    assert not dock.setup.can_start
    press(qtbot, source.do_import)
    qtbot.waitUntil(lambda: bool(source.trouble.text()), timeout=30_000)
    assert "cannot be imported" in source.trouble.text()
    model = tmp_path / "workspace" / "models" / "genesis"
    network = create_network(UNet3DSettings(width=2, depth=2), seed=0)
    card = ModelCard(
        name="genesis",
        task="restoration",
        network=UNet3DSettings(width=2, depth=2),
        activation="sigmoid",
        patch_size=(16, 24, 24),
        licence="academic, non-commercial use only",
    )
    save_model(model, network, card)
    dock.setup.load(replace(tiny_draft(labelled), source=model, changed={"folds": 1}))
    assert "Not for commercial use" in source.licence.text()
    assert "licence: academic" in source.facts.shown
    wait_for_plan(qtbot, dock)
    assert "2: the source's" in dock.setup.plan.plan.reasons["network.width"]
    assert f"--source {model}" in " ".join(dock.setup.draft.words(None))
    qtbot.waitUntil(lambda: source.choice.currentText().startswith("genesis: restores"), timeout=10_000)


@pytest.mark.slow
def test_real_scans_are_checked_and_planned(open_finetune: Open, real_data: Path, qtbot: Any) -> None:
    dock = open_finetune()
    drop(dock.setup.data, real_data / "labelled" / "hippocampus_mr")
    wait_for_plan(qtbot, dock)
    assert "48 cases of 48 subjects usable, 0 left out" in dock.setup.data.summary.text()
    assert dock.setup.data.structures.names == ("label 1", "label 2")
    rows = {name.text(): value.text() for name, value in dock.setup.plan.cells}
    assert rows["held out"] == "20% of the subjects"


def test_what_was_chosen_is_there_again_the_next_day(
    open_finetune: Open, viewer: Any, labelled: Path, qtbot: Any
) -> None:
    dock = open_finetune()
    drop(dock.setup.data, labelled)
    qtbot.waitUntil(lambda: dock.setup.can_start, timeout=30_000)
    dock.setup.data.structures.table.item(0, 0).setCheckState(Qt.CheckState.Unchecked)
    dock.setup.budget.setCurrentIndex(2)
    dock.setup.budget.activated.emit(2)
    viewer.window.remove_dock_widget(dock)
    dock.close()
    again = open_finetune()
    assert again.setup.draft.labelled == labelled
    qtbot.waitUntil(lambda: again.setup.can_start, timeout=30_000)
    assert again.setup.data.structures.chosen == ("lung_left", "liver")
    assert again.setup.budget.currentText() == "a night (8 h)"
