"""The whole way round: a review is made and ranked, a case accepted, training continued, Dice compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from qtpy.QtWidgets import QApplication
from review_driving import open_case, paint, press, rest

from genesis_core.studies.review import Review, read_states
from napari_genesis.correct.review_dock import ReviewDock
from napari_genesis.jobs.devices import Device
from napari_genesis.training.wording import about

Open = Callable[..., ReviewDock]


def test_a_review_is_made_ranked_corrected_and_continued(
    viewer: Any, open_dock: Open, workspace: Path, qtbot: Any
) -> None:
    dock = open_dock(viewer)
    parts = dock.parts
    assert parts.page == "setup"
    assert not parts.buttons.begin_button.isEnabled()
    assert parts.setup.run == workspace / "runs" / "first"
    parts.setup.choose_scans(workspace / "scans")
    parts.setup.name.setText("again")
    words = dock.command_words()
    assert words[:2] == ["rank", str(workspace / "scans")]
    press(qtbot, parts.buttons.begin_button)
    qtbot.waitUntil(lambda: dock.ranking.busy, timeout=10_000)
    assert parts.queue.bar.isVisible()
    qtbot.waitUntil(lambda: not dock.ranking.busy, timeout=60_000)
    rest(qtbot, dock)
    assert not parts.trouble.text()
    assert sorted(row.case for row in dock.rows) == ["new_0", "new_1", "new_2"]
    uncertainties = [row.uncertainty for row in dock.rows]
    assert uncertainties == sorted(uncertainties, reverse=True)

    review = Review.open(workspace / "reviews" / "again")
    dock.show_page("continue")
    assert not parts.buttons.jobs.start_button.isEnabled()
    assert "No case is accepted yet" in parts.continuing.what.text()
    paint(open_case(qtbot, dock, "new_0"), 2)
    press(qtbot, parts.buttons.accept_button)
    rest(qtbot, dock)
    assert read_states(review)["new_0"].state == "accepted"

    press(qtbot, parts.tabs["continue"])
    rest(qtbot, dock)
    assert "1 accepted case is new since round 0" in parts.continuing.what.text()
    assert parts.continuing.budget.itemText(0) == "suggested: 15 steps"
    parts.continuing.budget.setCurrentText("steps")
    # It begins with a quarter of the whole training, whatever that was.
    assert parts.continuing.choice.max_steps == 15
    parts.continuing.steps.show_value(4)
    dock.copy_command()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    assert "--continue" in clipboard.text()
    assert "--max-steps 4" in clipboard.text()
    press(qtbot, parts.buttons.jobs.start_button)
    rest(qtbot, dock)
    job = dock.round.continuing.job
    assert job is not None, parts.trouble.text()
    assert parts.continuing.run.isVisible()
    qtbot.waitUntil(lambda: not job.is_alive and job.state != "reading", timeout=120_000)
    rest(qtbot, dock)
    assert job.state == "finished", (job.view.status, job.view.words)
    qtbot.waitUntil(lambda: len(dock.read.rounds) == 2 and dock.round.continuing.job is None, timeout=10_000)
    assert about(job.view).startswith("from first, ")
    table = parts.continuing.rounds.table
    cells = [[table.item(row, column).text() for column in range(5)] for row in range(2)]
    assert [row[0] for row in cells] == ["0", "1"]
    assert cells[1][2:4] == ["1", "last checkpoint"]
    assert all(0 <= float(row[4]) <= 1 for row in cells)
    assert parts.continuing.rounds.plot.isVisible()
    assert dock.read.run == job.run.path
    assert dock.read.since == 0

    # The new model draws only when it is asked to.
    dock.show_page("queue")
    assert dock.rows == ()
    assert parts.buttons.rank_button.text() == "Rank with the new model"
    press(qtbot, parts.buttons.rank_button)
    qtbot.waitUntil(lambda: not dock.ranking.busy, timeout=60_000)
    rest(qtbot, dock)
    assert sorted(row.case for row in dock.rows if not row.earlier) == ["new_1", "new_2"]
    # What is accepted is not drawn on again, and is shown as it was drawn.
    assert [(row.case, row.state) for row in dock.rows if row.earlier] == [("new_0", "accepted")]
    assert dock.parts.said.shown == "1 left out. 1 is accepted already."
    assert "1 accepted" in parts.facts.shown


def test_a_ranking_that_is_stopped_goes_on_where_it_was(
    viewer: Any, open_dock: Open, workspace: Path, qtbot: Any
) -> None:
    dock = open_dock(viewer)
    dock.parts.setup.choose_scans(workspace / "scans")
    press(qtbot, dock.parts.buttons.begin_button)
    qtbot.waitUntil(lambda: dock.ranking.busy, timeout=10_000)
    press(qtbot, dock.parts.buttons.stop_button)
    qtbot.waitUntil(lambda: not dock.ranking.busy, timeout=60_000)
    rest(qtbot, dock)
    assert not dock.parts.trouble.text()
    press(qtbot, dock.parts.buttons.rank_button)
    qtbot.waitUntil(lambda: not dock.ranking.busy, timeout=60_000)
    rest(qtbot, dock)
    assert len(dock.rows) == 3


def test_scans_that_cannot_be_ranked_are_named(viewer: Any, open_dock: Open, workspace: Path, qtbot: Any) -> None:
    (workspace / "scans" / "broken.nii.gz").write_bytes(b"no scan")
    dock = open_dock(viewer, workspace / "reviews" / "thorax")
    press(qtbot, dock.parts.buttons.rank_button)
    qtbot.waitUntil(lambda: not dock.ranking.busy, timeout=60_000)
    rest(qtbot, dock)
    assert "broken" in dock.parts.said.shown
    assert len(dock.rows) == 3


def test_a_ranking_whose_watching_fails_is_told_and_can_be_begun_again(
    viewer: Any, open_dock: Open, workspace: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("a line of another kind")

    program = workspace / "program"
    program.write_text("#!/bin/sh\necho '{}'\n")
    program.chmod(0o755)
    monkeypatch.setattr("napari_genesis.correct.ranking.sys", SimpleNamespace(executable=str(program)))
    monkeypatch.setattr("napari_genesis.correct.ranking.read_line", broken)
    dock = open_dock(viewer, workspace / "reviews" / "thorax")
    with qtbot.capture_exceptions():
        press(qtbot, dock.parts.buttons.rank_button)
        qtbot.waitUntil(lambda: not dock.ranking.busy, timeout=20_000)
    assert "a line of another kind" in dock.parts.trouble.text()
    rest(qtbot, dock)
    assert dock.parts.buttons.rank_button.isVisible()
    assert dock.parts.buttons.rank_button.isEnabled()


def test_a_round_is_trained_where_the_preferences_say_until_another_device_is_picked(
    viewer: Any, preferences: Any, open_dock: Open, workspace: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [Device("cuda", "a GPU", 19 << 30, 24 << 30), Device("cpu", "2 cores", 19 << 30, 24 << 30)]
    monkeypatch.setattr("napari_genesis.correct.round_control.find_devices", lambda: devices)
    dock = open_dock(viewer, workspace / "reviews" / "thorax")
    page = dock.parts.continuing
    dock.show_page("continue")
    assert page.choice.device == "cpu"
    rest(qtbot, dock)
    assert page.choice.device == "cpu"
    preferences.computing.device = "cuda"
    assert page.choice.device == "cuda"
    page.device.setCurrentIndex(page.device.findData("cpu"))
    page.device.activated.emit(page.device.currentIndex())
    preferences.computing.device = "auto"
    assert page.choice.device == "cpu"
    dock.copy_command()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    assert "--device cpu" in clipboard.text()
