"""The Runs dock as a user meets it: sorting, filtering, comparing, acting, deleting, and what is remembered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QMessageBox
from runs_driving import Docks, choose, texts, write_run
from training_runs import prepared, wait_for_state, wait_for_step

from genesis_core.model.folder import load_model
from napari_genesis.jobs.json_lines import Answer
from napari_genesis.jobs.queues import application_jobs
from napari_genesis.runs import asking, errands
from napari_genesis.runs.cells import COLUMNS
from napari_genesis.runs.runs_dock import RunsDock
from napari_genesis.training.narrow_dock import WIDTH

OpenDock = Callable[[], RunsDock]
NAMES = [column.name for column in COLUMNS]
pytestmark = pytest.mark.gui


@pytest.fixture
def runs(workspace: Path) -> Path:
    folder = workspace / "runs"
    write_run(folder / "lung", age=300)
    write_run(folder / "lung_failed", state="failed", step=40, message="out of memory", age=200)
    write_run(folder / "liver", "segmentation", held_out=0.83, source="../lung", age=100)
    write_run(folder / "liver_scratch", "segmentation", held_out=0.71, rate=0.0003, age=50)
    return folder


def click_heading(qtbot: Any, dock: RunsDock, name: str) -> None:
    headings = dock.parts.runs.headings
    place = headings.sectionViewportPosition(NAMES.index(name)) + 8
    port = headings.viewport()
    qtbot.mouseClick(port, Qt.MouseButton.LeftButton, pos=port.rect().topLeft().__class__(place, 6))


def answer(monkeypatch: pytest.MonkeyPatch, said: list[str], yes: bool) -> None:
    def confirm(_parent: object, question: str, facts: str) -> bool:
        said.append(f"{question} {facts}")
        return yes

    monkeypatch.setattr("napari_genesis.runs.removals.confirm_delete", confirm)


def test_the_latest_run_comes_first_and_a_click_on_a_heading_sorts(qtbot: Any, open_dock: OpenDock, runs: Path) -> None:
    dock = open_dock()
    assert texts(dock) == ["liver_scratch", "liver", "lung_failed", "lung"]
    click_heading(qtbot, dock, "name")
    assert texts(dock) == ["liver", "liver_scratch", "lung", "lung_failed"]
    click_heading(qtbot, dock, "figure")
    # Results of whole cases first, then losses by how far they are below the mean's.
    assert texts(dock)[:3] == ["liver", "liver_scratch", "lung"]
    click_heading(qtbot, dock, "figure")
    assert texts(dock)[-1] == "liver"


def test_the_filter_looks_through_every_column(qtbot: Any, open_dock: OpenDock, runs: Path) -> None:
    dock = open_dock()
    qtbot.keyClicks(dock.parts.filter, "fine-tune 0.71")
    assert texts(dock) == ["liver_scratch"]
    assert dock.parts.count.text().startswith("1 of 4 runs")
    dock.parts.filter.clear()
    assert len(texts(dock)) == 4


def test_a_run_tells_what_it_is_worth_and_made_of_and_why_it_failed(
    qtbot: Any, open_dock: OpenDock, runs: Path
) -> None:
    dock = open_dock()
    choose(qtbot, dock, "liver")
    assert dock.parts.head.text() == "liver"
    assert dock.parts.result.text() == "Mean Dice of whole held-out cases: 0.830."
    told = {heading.shown: text.toolTip() for heading, text in dock.parts.facts.rows if text.isVisible()}
    assert "lung" in told["source"]
    assert "rate 0.001" in told["made of"]
    choose(qtbot, dock, "lung_failed")
    qtbot.waitUntil(lambda: "out of memory" in dock.parts.facts.trouble.text())


def test_several_runs_are_compared_by_curves_and_by_the_settings_that_differ(
    qtbot: Any, open_dock: OpenDock, runs: Path
) -> None:
    dock = open_dock()
    choose(qtbot, dock, "liver", "liver_scratch")
    assert dock.parts.head.text() == "2 runs compared"
    dock.parts.settings.copy_button.click()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    lines = clipboard.text().splitlines()
    assert lines[0].split("\t") == ["setting", "liver_scratch", "liver"]
    assert "training.learning_rate\t0.0003\t0.001" in lines
    assert "best\t0.710\t0.830" in lines
    assert not any(line.startswith("seed") for line in lines)
    drawn = [line for line in dock.parts.curves.lines if line.xData is not None and len(line.xData)]
    assert len(drawn) == 2


def test_the_selection_stays_while_runs_come_and_go_and_goes_with_its_folder(
    qtbot: Any, open_dock: OpenDock, runs: Path
) -> None:
    dock = open_dock()
    choose(qtbot, dock, "liver")
    write_run(runs / "newest")
    dock.look()
    qtbot.waitUntil(lambda: "newest" in texts(dock), timeout=10_000)
    assert [row.run.name for row in dock.parts.runs.chosen] == ["liver"]
    shutil.rmtree(runs / "liver")
    qtbot.keyClick(dock.parts.runs, Qt.Key.Key_F5)
    qtbot.waitUntil(lambda: "liver" not in texts(dock), timeout=10_000)
    qtbot.waitUntil(lambda: dock.parts.head.text().startswith("Choose a run"), timeout=5_000)
    assert not dock.parts.facts.isVisible()
    assert not dock.parts.run_actions.actions["delete"].isEnabled()


def test_an_empty_workspace_says_what_to_do(open_dock: OpenDock) -> None:
    assert "No runs in" in open_dock().parts.head.text()


def test_enter_gives_the_details_room(qtbot: Any, open_dock: OpenDock, runs: Path) -> None:
    dock = open_dock()
    choose(qtbot, dock, "liver")
    dock.parts.split.setSizes([500, 0])
    assert dock.parts.split.sizes()[1] == 0
    qtbot.keyClick(dock.parts.runs, Qt.Key.Key_Return)
    assert dock.parts.split.sizes()[1] > 100


def test_delete_asks_sets_aside_and_is_undone(
    qtbot: Any, open_dock: OpenDock, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock, said = open_dock(), list[str]()
    choose(qtbot, dock, "lung")
    answer(monkeypatch, said, yes=False)
    qtbot.keyClick(dock.parts.runs, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: len(said) == 1, timeout=10_000)
    assert "lung is what liver started from" in said[0]
    assert (runs / "lung").is_dir()
    answer(monkeypatch, said, yes=True)
    qtbot.keyClick(dock.parts.runs, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: "lung" not in texts(dock), timeout=10_000)
    assert not (runs / "lung").exists()
    dock.parts.run_actions.menu.aboutToShow.emit()
    assert [action.text() for action in dock.errands.removals.put_back_menu.actions()] == ["lung"]
    dock.parts.done.button.click()
    qtbot.waitUntil(lambda: "lung" in texts(dock), timeout=10_000)
    assert (runs / "lung" / "run.yaml").is_file()


def test_the_question_keeps_the_run_unless_delete_itself_is_pressed(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[QMessageBox] = []

    def press_enter(box: QMessageBox) -> int:
        seen.append(box)
        default = box.defaultButton()
        assert default is not None
        default.click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", press_enter)
    parent = QMessageBox()
    qtbot.addWidget(parent)
    assert not asking.confirm_delete(parent, "Delete?", "all of it")
    assert seen


def test_a_run_goes_on_stops_and_cannot_be_deleted_meanwhile(
    qtbot: Any, open_dock: OpenDock, workspace: Path, trained: Path
) -> None:
    run = prepared(trained.parent.parent / "scans" / "thorax", workspace / "runs" / "endless")
    dock = open_dock()
    choose(qtbot, dock, "endless")
    assert dock.parts.runs.chosen[0].state == "not started"
    actions = dock.parts.run_actions
    qtbot.mouseClick(actions.buttons["resume"], Qt.MouseButton.LeftButton)
    job = application_jobs().jobs[0]
    wait_for_step(qtbot, job, 2)
    dock.look()
    qtbot.waitUntil(lambda: dock.parts.runs.chosen[0].state == "running", timeout=20_000)
    qtbot.waitUntil(actions.buttons["stop"].isVisible, timeout=5_000)
    assert not actions.actions["delete"].isEnabled()
    assert "stop it first" in actions.actions["delete"].toolTip()
    qtbot.mouseClick(actions.buttons["stop"], Qt.MouseButton.LeftButton)
    wait_for_state(qtbot, job, "stopped")
    dock.look()
    qtbot.waitUntil(actions.buttons["resume"].isVisible, timeout=10_000)
    assert json.loads(run.status_file.read_text())["state"] == "stopped"


def test_other_docks_are_opened_with_the_run(qtbot: Any, open_dock: OpenDock, runs: Path, docks: Docks) -> None:
    dock = open_dock()
    choose(qtbot, dock, "liver")
    dock.parts.run_actions.actions["duplicate"].trigger()
    dock.parts.run_actions.actions["watch"].trigger()
    choose(qtbot, dock, "lung")
    dock.parts.run_actions.actions["duplicate"].trigger()
    assert docks.opened == ["napari-genesis: Fine-tune"] * 2 + ["napari-genesis: Pretrain"]
    assert docks.dock.calls == [
        ("load_settings", runs / "liver"),
        ("show_run", runs / "liver"),
        ("load_settings", runs / "lung"),
    ]
    assert not dock.parts.run_actions.actions["apply"].isEnabled()
    review = dock.parts.run_actions.actions["review"]
    assert review.toolTip() == "Only what segments proposes anything to review."
    choose(qtbot, dock, "liver")
    assert not review.isEnabled()
    (runs / "liver" / "model").mkdir()
    (runs / "liver" / "model" / "model.yaml").touch()
    dock.look()
    qtbot.waitUntil(review.isEnabled, timeout=10_000)
    qtbot.mouseClick(dock.parts.run_actions.buttons["review"], Qt.MouseButton.LeftButton)
    assert docks.opened[-1] == "napari-genesis: Review"
    assert docks.dock.calls[-1] == ("review_model", runs / "liver")


def test_the_columns_that_matter_most_fit_into_the_dock(qtbot: Any, open_dock: OpenDock, runs: Path) -> None:
    view = open_dock().parts.runs
    room = WIDTH - 12 - view.verticalScrollBar().sizeHint().width()
    assert NAMES[:5] == ["name", "state", "task", "figure", "time"]
    assert sum(column.width for column in COLUMNS[:5]) <= room
    assert sum(view.columnWidth(number) for number in range(5)) <= view.viewport().width()


def test_a_long_name_has_what_a_wider_dock_leaves_until_its_column_is_set(
    qtbot: Any, open_dock: OpenDock, runs: Path
) -> None:
    name = "liver_from_genesis_review_round_2"
    write_run(runs / name, "segmentation")
    dock = open_dock()
    view = dock.parts.runs
    needed = view.fontMetrics().horizontalAdvance(name)
    assert view.columnWidth(0) < needed
    dock.resize(600, 720)
    qtbot.waitUntil(lambda: view.columnWidth(0) > needed, timeout=5_000)
    assert sum(view.columnWidth(number) for number in range(5)) <= view.viewport().width()
    # No choice of the user's: not kept as one.
    assert not view.arrangement().widths
    view.setColumnWidth(0, 120)
    dock.resize(700, 720)
    QApplication.processEvents()
    assert view.columnWidth(0) == 120
    assert view.arrangement().widths == {"name": 120}


def test_a_finished_run_is_repeated_and_a_failed_one_goes_on_as_a_command(
    qtbot: Any, open_dock: OpenDock, runs: Path
) -> None:
    dock = open_dock()
    choose(qtbot, dock, "liver", "lung_failed")
    dock.parts.run_actions.actions["command"].trigger()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    assert set(clipboard.text().splitlines()) == {
        f"napari-genesis finetune --config {runs / 'liver' / 'run.yaml'} --out {runs / 'liver_2'}",
        f"napari-genesis pretrain --resume --out {runs / 'lung_failed'}",
    }


def test_a_model_is_exported_beside_the_window_and_opens_elsewhere(
    qtbot: Any,
    open_dock: OpenDock,
    add_trained: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = add_trained("trained")
    dock = open_dock()
    choose(qtbot, dock, "trained")
    dialogue = asking.ExportDialogue(dock.parts.runs.chosen[0].run, tmp_path / "exports")
    qtbot.addWidget(dialogue)
    dialogue.onnx.setChecked(True)
    assert dialogue.name.text() == "trained_onnx"
    assert dialogue.command.text().endswith(f"--out {tmp_path / 'exports' / 'trained_onnx'} --onnx")
    dialogue.model_folder.setChecked(True)
    assert dialogue.choice.out == tmp_path / "exports" / "trained"
    dock.errands.export(dock.parts.runs.chosen[0].run, dialogue.choice)
    assert dock.parts.work.isVisible()
    qtbot.waitUntil(lambda: not dock.parts.work.isVisible(), timeout=60_000)
    assert "was exported to" in dock.parts.done.text.text(), dock.parts.trouble.text()
    assert load_model(tmp_path / "exports" / "trained").card == load_model(run).card
    dialogue.name.setText("other")
    assert dialogue.export_button.isEnabled()
    dialogue.name.setText("trained")
    assert not dialogue.export_button.isEnabled()
    failed = Answer(done=True, problem="no space left on the disk")
    monkeypatch.setattr(dock.errands.exporting, "start", lambda _words: dock.errands.exporting.answered.emit(failed))
    dock.errands.export(dock.parts.runs.chosen[0].run, dialogue.choice)
    assert not dock.parts.work.isVisible()
    assert "no space left" in dock.parts.trouble.text()


def test_tensorboard_is_opened_once_it_answers_and_ends_with_the_dock(
    qtbot: Any, open_dock: OpenDock, add_trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    add_trained("trained")
    opened: list[str] = []
    monkeypatch.setattr(errands, "_browse", lambda address, **_: opened.append(address))
    dock = open_dock()
    choose(qtbot, dock, "trained")
    dock.parts.run_actions.actions["tensorboard"].trigger()
    qtbot.waitUntil(lambda: bool(opened), timeout=60_000)
    (board,) = dock.errands.boards
    assert opened == [board.address]
    assert board.answers()
    dock.errands.close()
    assert not board.answers()


def test_how_the_table_is_arranged_is_remembered(qtbot: Any, open_dock: OpenDock, runs: Path) -> None:
    dock = open_dock()
    menu = dock.parts.runs.columns_menu()
    next(action for action in menu.actions() if action.text() == "size").trigger()
    next(action for action in menu.actions() if action.text() == "source").trigger()
    dock.parts.runs.setColumnWidth(0, 200)
    click_heading(qtbot, dock, "name")
    dock.hide()
    again = open_dock()
    view = again.parts.runs
    assert view.isColumnHidden(NAMES.index("size"))
    assert not view.isColumnHidden(NAMES.index("source"))
    assert view.columnWidth(0) == 200
    assert texts(again) == ["liver", "liver_scratch", "lung", "lung_failed"]


def test_a_workspace_that_cannot_be_read_is_said_and_comes_back(
    qtbot: Any, open_dock: OpenDock, workspace: Path
) -> None:
    (workspace / "runs").rmdir()
    (workspace / "runs").write_text("no folder")
    dock = open_dock()
    assert "no such folder" in dock.parts.unreadable.text()
    (workspace / "runs").unlink()
    write_run(workspace / "runs" / "lung")
    dock.look()
    qtbot.waitUntil(lambda: texts(dock) == ["lung"], timeout=10_000)
    assert not dock.parts.unreadable.isVisible()
