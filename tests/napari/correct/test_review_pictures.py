"""The dock in every real state, as pictures to look at; GENESIS_REVIEW_WORKSPACE names a workspace of real scans."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from review_driving import open_case, paint, picture, press, rest

from napari_genesis.correct.review_dock import ReviewDock

pytestmark = [pytest.mark.gui, pytest.mark.slow]


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Path:
    """A workspace of real scans (a run and a folder "scans") if there is one, else the synthetic one."""
    given = os.environ.get("GENESIS_REVIEW_WORKSPACE")
    # Its path stands in the pictures: a short one, below pytest's --basetemp.
    folder = tmp_path.parent / "thighs"
    shutil.rmtree(folder, ignore_errors=True)
    return Path(shutil.copytree(given or trained, folder))


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_state_has_its_picture(
    viewer_in_a_window: Any, open_dock: Callable[..., ReviewDock], workspace: Path, qtbot: Any, theme: str
) -> None:
    viewer = viewer_in_a_window
    viewer.theme = theme
    dock = open_dock(viewer)
    parts = dock.parts

    def taken(name: str) -> None:
        rest(qtbot, dock)
        qtbot.wait(300)
        picture(viewer, f"review_{name}_{theme}")

    parts.setup.choose_scans(workspace / "scans")
    taken("setup")
    press(qtbot, parts.buttons.begin_button)
    qtbot.waitUntil(lambda: dock.ranking.latest.total > 0, timeout=60_000)
    taken("ranking")
    qtbot.waitUntil(lambda: not dock.ranking.busy, timeout=240_000)
    rest(qtbot, dock)
    first, second = dock.rows[0].case, dock.rows[1].case
    labels = open_case(qtbot, dock, first)
    paint(labels, dock.work.case.structures[-1].value, tuple(size // 2 for size in labels.data.shape), 16)
    parts.case.tools.fit.click()
    rest(qtbot, dock)
    parts.case.tools.largest.click()
    qtbot.wait(2500)
    taken("case")
    dock.cases.flag()
    rest(qtbot, dock)
    parts.case.note.setText("edge of the tumour corrected")
    dock.cases.accept()
    rest(qtbot, dock)
    open_case(qtbot, dock, second)
    taken("next_case")
    dock.show_page("queue")
    taken("queue")
    press(qtbot, parts.tabs["continue"])
    taken("continue")
    parts.continuing.budget.setCurrentText("steps")
    parts.continuing.steps.show_value(30)
    press(qtbot, parts.buttons.jobs.start_button)
    rest(qtbot, dock)
    job = dock.round.continuing.job
    assert job is not None
    qtbot.waitUntil(lambda: job.view.step >= 5 or not job.is_alive, timeout=240_000)
    taken("training")
    qtbot.waitUntil(lambda: not job.is_alive, timeout=240_000)
    rest(qtbot, dock)
    qtbot.wait(500)
    taken("rounds")
    assert job.state == "finished", (job.view.status, job.view.words)
    dock.show_page("queue")
    taken("anew")
