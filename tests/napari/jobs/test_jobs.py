"""Jobs as they live: started, watched, stopped, paused, killed, left alone and found again. Real, tiny trainings.

The slow ones are lived through in the dock as well (tests/napari/training), among the tests that always run.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from training_runs import ENDLESS, prepared, wait_for_state, wait_for_step

from genesis_core.training.run_folder import RunFolder
from napari_genesis.jobs.found_runs import find_runs
from napari_genesis.jobs.last_words import KEPT
from napari_genesis.jobs.queues import Jobs


def test_a_job_trains_and_its_view_follows(jobs: Jobs, scans: Path, tmp_path: Path, qtbot: Any) -> None:
    job = jobs.add(prepared(scans, tmp_path / "runs" / "one", steps=12), "cpu")
    assert job.state == "starting"
    wait_for_state(qtbot, job, "finished")
    view = job.view
    assert np.array_equal(view.steps, np.arange(1, 13))
    assert np.isfinite(view.losses).all()
    assert [event["step"] for event in view.validations] == [0, 5, 10, 12]
    assert {"return_mean", "return_input", "spread"} <= set(view.figures)
    assert view.preview is not None
    assert view.preview.step == 12
    assert view.preview.arrays["restored"].shape == (2, 16, 16, 16)
    assert view.pace is not None
    assert view.pace.volumes_per_second > 0
    assert view.facts is not None
    assert (view.facts.recipe, view.facts.batch) == ("genesis", 1)
    assert view.words == ()


@pytest.mark.slow
def test_stopped_it_keeps_a_checkpoint_and_goes_on_from_it(jobs: Jobs, scans: Path, tmp_path: Path, qtbot: Any) -> None:
    job = jobs.add(prepared(scans, tmp_path / "run"), "cpu")
    wait_for_step(qtbot, job, 3)
    job.stop()
    assert job.state == "stopping"
    wait_for_state(qtbot, job, "stopped")
    reached = job.view.step
    assert (job.run.checkpoints / "last.pt").is_file()
    jobs.resume(job)
    wait_for_step(qtbot, job, reached + 3)
    # Nothing was trained twice.
    assert np.array_equal(job.view.steps, np.arange(1, len(job.view.steps) + 1))
    job.stop()
    wait_for_state(qtbot, job, "stopped")


def test_a_stop_is_heard_however_early_it_comes(jobs: Jobs, scans: Path, tmp_path: Path, qtbot: Any) -> None:
    job = jobs.add(prepared(scans, tmp_path / "run"), "cpu")
    job.stop()
    wait_for_state(qtbot, job, "stopped")
    assert job.view.step == 0


@pytest.mark.slow
def test_two_jobs_of_one_device_train_one_after_the_other(jobs: Jobs, scans: Path, tmp_path: Path, qtbot: Any) -> None:
    first, second, third = (jobs.add(prepared(scans, tmp_path / name), "cpu") for name in ("a", "b", "c"))
    assert [job.state for job in (first, second, third)] == ["starting", "queued", "queued"]
    assert jobs.ahead_of(third) == [first, second]
    assert second.run.status().state == "queued"
    jobs.cancel(second)
    assert second.run.status().state == "stopped"
    assert jobs.ahead_of(third) == [first]
    wait_for_step(qtbot, first, 1)
    first.stop()
    wait_for_state(qtbot, first, "stopped")
    wait_for_step(qtbot, third, 1)
    assert second.state == "stopped"
    third.stop()
    wait_for_state(qtbot, third, "stopped")


@pytest.mark.slow
def test_a_pause_frees_the_device_for_the_user_not_for_the_queue(
    jobs: Jobs, scans: Path, tmp_path: Path, qtbot: Any
) -> None:
    first = jobs.add(prepared(scans, tmp_path / "a"), "cpu")
    second = jobs.add(prepared(scans, tmp_path / "b", steps=2), "cpu")
    wait_for_step(qtbot, first, 1)
    jobs.pause(first)
    wait_for_state(qtbot, first, "paused")
    assert second.state == "queued"
    jobs.start_now(second)
    wait_for_state(qtbot, second, "finished")
    jobs.resume(first)
    wait_for_step(qtbot, first, first.view.step + 1)
    first.stop()
    wait_for_state(qtbot, first, "stopped")


def test_jobs_of_two_devices_do_not_wait_for_each_other(jobs: Jobs) -> None:
    jobs.auto_device = "cuda:0"
    assert jobs.key("auto") == jobs.key("cuda") == "cuda:0"
    assert jobs.key("cpu") == "cpu"
    jobs.note_others({Path("elsewhere"): "auto"})
    assert jobs.is_busy("cuda")
    assert not jobs.is_busy("cpu")


@pytest.mark.slow
def test_a_killed_child_says_why(jobs: Jobs, scans: Path, tmp_path: Path, qtbot: Any) -> None:
    job = jobs.add(prepared(scans, tmp_path / "run"), "cpu")
    wait_for_step(qtbot, job, 6)
    os.kill(job.view.status.pid, signal.SIGKILL)
    wait_for_state(qtbot, job, "interrupted")
    assert "killed (SIGKILL)" in job.view.words[0]
    # Another napari, later, knows as much.
    another = Jobs()
    later = another.look_at(job.run.path)
    wait_for_state(qtbot, later, "interrupted")
    qtbot.waitUntil(lambda: bool(later.view.words))
    assert "killed (SIGKILL)" in later.view.words[0]
    assert np.array_equal(later.view.steps, job.view.steps)
    # Resumed and ended at once, it is no accident, and the folder says so.
    jobs.resume(job)
    assert not (job.run.path / KEPT).exists()
    job.stop_now()
    wait_for_state(qtbot, job, "stopped")
    assert "at once" in job.view.status.message
    assert job.view.words == ()
    assert (job.run.checkpoints / "last.pt").is_file()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte, where this user may mount one."""
    place = tmp_path / "small disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root on Linux only")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_is_named_and_with_room_the_run_goes_on(
    jobs: Jobs, scans: Path, small_disk: Path, qtbot: Any
) -> None:
    job = jobs.add(prepared(scans, small_disk / "run", steps=12), "cpu")
    qtbot.waitUntil(lambda: job.state in ("failed", "interrupted") and bool(job.view.words), timeout=60_000)
    assert any("the disk is full: free some space" in line for line in job.view.words), job.view.words
    subprocess.run(["mount", "-o", "remount,size=100m", small_disk], check=True)
    jobs.resume(job)
    wait_for_state(qtbot, job, "finished")
    assert np.array_equal(job.view.steps, np.arange(1, 13))


def test_one_that_cannot_begin_says_why_without_names(jobs: Jobs, tmp_path: Path, qtbot: Any) -> None:
    data = tmp_path / "Mustermann Erika"
    data.mkdir()
    job = jobs.add(prepared(data, tmp_path / "run"), "cpu")
    wait_for_state(qtbot, job, "failed")
    assert "no scans in this folder" in job.view.status.message
    assert any("no scans in this folder" in line for line in job.view.words)
    for path in job.run.path.iterdir():
        if path.is_file() and path.name != "run.yaml":
            assert "Mustermann" not in path.read_text(), path
            assert str(tmp_path) not in path.read_text(), path


@pytest.mark.slow
def test_scans_that_went_away_before_a_resume_are_named(jobs: Jobs, scans: Path, tmp_path: Path, qtbot: Any) -> None:
    own = shutil.copytree(scans, tmp_path / "own")
    job = jobs.add(prepared(own, tmp_path / "run"), "cpu")
    wait_for_step(qtbot, job, 1)
    job.stop()
    wait_for_state(qtbot, job, "stopped")
    shutil.rmtree(own)
    jobs.resume(job)
    wait_for_state(qtbot, job, "failed")
    assert any("are not here" in line for line in job.view.words)


@pytest.mark.slow
def test_a_deleted_run_folder_is_noticed(jobs: Jobs, scans: Path, tmp_path: Path, qtbot: Any) -> None:
    job = jobs.add(prepared(scans, tmp_path / "run"), "cpu")
    wait_for_step(qtbot, job, 1)
    shutil.rmtree(job.run.path, ignore_errors=True)
    shutil.rmtree(job.run.path, ignore_errors=True)
    wait_for_state(qtbot, job, "gone")
    assert not jobs.is_busy("cpu")


@pytest.mark.slow
def test_left_alone_it_stops_with_a_checkpoint(jobs: Jobs, scans: Path, tmp_path: Path, qtbot: Any) -> None:
    job = jobs.add(prepared(scans, tmp_path / "run"), "cpu")
    wait_for_step(qtbot, job, 2)
    run = RunFolder(job.run.path)
    jobs.close()
    qtbot.waitUntil(lambda: run.status().state == "stopped", timeout=30_000)
    assert "window that started it is gone" in run.status().message
    assert run.status().step < ENDLESS


@pytest.mark.slow
def test_let_go_on_it_outlives_its_window_and_is_found_again(
    jobs: Jobs, scans: Path, tmp_path: Path, qtbot: Any
) -> None:
    job = jobs.add(prepared(scans, tmp_path / "runs" / "run"), "cpu", goes_on=True)
    wait_for_step(qtbot, job, 2)
    pid = job.view.status.pid
    jobs.close()
    (found,) = find_runs(tmp_path / "runs")
    assert (found.word, found.device, found.task) == ("running", "cpu", "restoration")
    again = Jobs()
    job = again.look_at(found.path)
    wait_for_step(qtbot, job, job.view.step + 5)
    assert job.state == "running"
    assert not job.is_ours
    # Its device is known to be in use.
    again.note_others({found.path: found.device})
    assert again.is_busy("cpu")
    job.stop()
    wait_for_state(qtbot, job, "stopped")
    qtbot.waitUntil(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")
