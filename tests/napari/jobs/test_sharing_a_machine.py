"""Jobs beside trainings of other programs, and beside whatever else works in napari's threads. Nothing is trained."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QThreadPool
from superqt.utils import create_worker
from training_runs import wait_for_state

from genesis_core.training.run_folder import RunFolder
from napari_genesis.jobs import job as job_module
from napari_genesis.jobs import queues
from napari_genesis.jobs.last_words import KEPT, keep_last_words, log_file
from napari_genesis.jobs.launching import Child
from napari_genesis.jobs.queues import Jobs
from napari_genesis.jobs.reading import RunReader
from napari_genesis.runs.cells import cells_of
from napari_genesis.runs.doing import resume
from napari_genesis.runs.listing import RunListing
from napari_genesis.runs.table_model import Row

# Does nothing until its stdin ends.
IDLE = "import sys; sys.stdin.read()"
# Ends while it watches, without a word to Qt.
ENDS = """
import sys
from pathlib import Path
from qtpy.QtCore import QCoreApplication
from napari_genesis.jobs.queues import application_jobs
application = QCoreApplication([])
job = application_jobs().look_at(Path(sys.argv[1]))
while job.state == "reading":
    application.processEvents()
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "_LOOK_EVERY", 50)
    monkeypatch.setattr(job_module, "_AGAIN", 50)


@pytest.fixture
def child_does(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Child]]:
    """Let a job's process do this instead of training; return those that were started."""
    started: list[Child] = []

    def does(code: str) -> list[Child]:
        def start(*_: object) -> Child:
            words = [sys.executable, "-S", "-c", code]
            started.append(Child(subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)))
            return started[-1]

        monkeypatch.setattr(job_module, "start", start)
        return started

    return does


@pytest.fixture
def one_thread(qtbot: object) -> Iterator[None]:
    """One core's worth of threads for all of napari and its plugins."""
    pool = QThreadPool.globalInstance()
    before = pool.maxThreadCount()
    pool.setMaxThreadCount(1)
    yield
    pool.setMaxThreadCount(before)


@pytest.fixture
def their_pid() -> Iterator[int]:
    """The number of a process that seems to train what others train."""
    process = subprocess.Popen([sys.executable, "-S", "-c", IDLE], stdin=subprocess.PIPE)
    yield process.pid
    process.kill()
    process.communicate()


def write(path: Path, state: str = "queued", pid: int = 0) -> RunFolder:
    """A run as a training leaves it, or, with the number of a process, as that has it while it trains."""
    run = RunFolder(path)
    path.mkdir(parents=True, exist_ok=True)
    run.settings_file.write_text("task: restoration\ndevice: cpu\n")
    run.events_file.write_text('{"v": 1, "time": 0, "event": "started", "step": 0, "total_steps": 9}\n')
    status = {"state": state, "pid": pid, "host": socket.gethostname(), "heartbeat": time.time()}
    run.status_file.write_text(json.dumps(status))
    return run


def test_asked_twice_to_go_on_a_run_has_one_process(
    jobs: Jobs, tmp_path: Path, child_does: Callable[[str], list[Child]]
) -> None:
    started = child_does(IDLE)
    job = jobs.add(write(tmp_path / "run"), "cpu")
    jobs.add(job.run, "cpu")
    jobs.resume(job)
    assert (job.state, len(started)) == ("starting", 1)
    assert jobs.is_busy("cpu")
    other = jobs.add(write(tmp_path / "other"), "cpu")
    last = jobs.add(write(tmp_path / "last"), "cpu")
    # Nor does it lose its place in the queue.
    jobs.resume(other)
    assert jobs.ahead_of(last) == [job, other]


def test_what_waits_for_a_training_of_the_terminal_begins_at_its_end(
    jobs: Jobs, tmp_path: Path, qtbot: Any, their_pid: int, child_does: Callable[[str], list[Child]]
) -> None:
    started = child_does(IDLE)
    theirs = write(tmp_path / "theirs", "running", their_pid)
    # No dock looks again.
    jobs.note_others({theirs.path: "cpu"})
    job = jobs.add(write(tmp_path / "ours"), "cpu")
    qtbot.wait(150)
    assert job.state == "queued"
    write(tmp_path / "theirs", "finished")
    qtbot.waitUntil(lambda: bool(started), timeout=5_000)
    assert not job.waiting


def test_watching_trainings_leaves_the_threads_to_others(
    jobs: Jobs, tmp_path: Path, qtbot: Any, their_pid: int, one_thread: None
) -> None:
    theirs = [jobs.look_at(write(tmp_path / name, "running", their_pid).path) for name in ("one", "two")]
    qtbot.waitUntil(lambda: [job.state for job in theirs] == ["running"] * 2, timeout=5_000)
    done: list[object] = []
    create_worker(lambda: "segmented", _connect={"returned": done.append})
    qtbot.waitUntil(lambda: done == ["segmented"], timeout=5_000)
    # Shown by nobody any more, they are not watched, but their device stays in use.
    for job in theirs:
        jobs.look_away(job)
    assert not jobs.jobs
    assert jobs.is_busy("cpu")


def test_what_is_shown_twice_is_watched_until_nobody_shows_it(
    jobs: Jobs, tmp_path: Path, qtbot: Any, their_pid: int
) -> None:
    run = write(tmp_path / "theirs", "running", their_pid)
    job = jobs.look_at(run.path)
    assert jobs.look_at(run.path) is job
    qtbot.waitUntil(lambda: job.state == "running", timeout=5_000)
    jobs.look_away(job)
    write(run.path, "finished")
    wait_for_state(qtbot, job, "finished")


def test_a_program_that_ends_while_it_watches_ends_well(tmp_path: Path, their_pid: int) -> None:
    run = write(tmp_path / "theirs", "running", their_pid)
    done = subprocess.run([sys.executable, "-c", ENDS, run.path], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_one_that_came_too_late_says_nothing_of_a_run_that_trains(
    jobs: Jobs, tmp_path: Path, qtbot: Any, their_pid: int, child_does: Callable[[str], list[Child]]
) -> None:
    started = child_does("import sys; sys.exit(1)")
    run = write(tmp_path / "run", "stopped")
    job = jobs.add(run, "cpu")
    # Somebody else was faster.
    write(run.path, "running", their_pid)
    qtbot.waitUntil(lambda: job.state == "running", timeout=5_000)
    assert started[0].exit_code() == 1
    assert not job.is_ours
    assert (run.status().state, run.status().pid) == ("running", their_pid)
    assert not (run.path / KEPT).exists()
    write(run.path, "finished")
    wait_for_state(qtbot, job, "finished")


def test_a_run_whose_watching_failed_is_watched_again_to_its_end(
    jobs: Jobs, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch, child_does: Callable[[str], list[Child]]
) -> None:
    child_does("")
    read, failures = RunReader.read, [PermissionError("the log is held"), PermissionError("still")]

    def fails_twice(reader: RunReader) -> Any:
        if failures:
            raise failures.pop()
        return read(reader)

    monkeypatch.setattr(RunReader, "read", fails_twice)
    job = jobs.add(write(tmp_path / "run", "finished"), "cpu")
    qtbot.waitUntil(lambda: "cannot be watched" in job.problem, timeout=5_000)
    qtbot.waitUntil(lambda: not jobs.is_busy("cpu"), timeout=5_000)
    assert (job.state, job.problem) == ("finished", "")


def test_a_log_that_is_held_is_left_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write(tmp_path / "run", "finished")
    log_file(run).parent.mkdir(parents=True)
    log_file(run).write_text("all went well")

    def held(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "used by another process", str(path))

    monkeypatch.setattr(Path, "unlink", held)
    keep_last_words(run, 0, None)
    assert log_file(run).exists()


def test_a_damaged_run_leaves_its_queue(jobs: Jobs, tmp_path: Path, child_does: Callable[[str], list[Child]]) -> None:
    child_does(IDLE)
    jobs.add(write(tmp_path / "first"), "cpu")
    job = jobs.add(write(tmp_path / "second"), "cpu")
    job.run.status_file.write_text("{")
    jobs.cancel(job)
    assert not job.waiting
    assert "status.json: damaged" in job.problem


def test_resumed_from_the_table_it_ends_with_napari_as_was_chosen(
    jobs: Jobs, tmp_path: Path, qtbot: Any, child_does: Callable[[str], list[Child]]
) -> None:
    child_does("")
    job = jobs.add(write(tmp_path / "run", "stopped"), "cpu", goes_on=True)
    wait_for_state(qtbot, job, "stopped")
    (run,) = RunListing().read(tmp_path).runs
    resume(jobs, [Row(run, "stopped", cells_of(run, "stopped", 0.0))])
    assert job.is_ours
    assert job.goes_on
