"""Trainings whose reader goes away: `| head`, a dead `tee`, a terminal that is closed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_pretraining_runs import SMALL, scans  # noqa: F401 - scans is a fixture

from genesis_core.training.run_folder import RunFolder
from genesis_core.training.stopping import StopRequest, stop_signals

needs_sighup = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")


def start(scans: Path, out: Path, stderr: int) -> subprocess.Popen[bytes]:  # noqa: F811
    words = ["-m", "genesis_core", "pretrain", scans, "--out", out, *SMALL]
    return subprocess.Popen([sys.executable, *map(str, words)], stdout=subprocess.PIPE, stderr=stderr)


@pytest.mark.parametrize("stderr", [subprocess.PIPE, subprocess.STDOUT])
def test_a_training_whose_reader_goes_away_goes_on_unread(
    scans: Path,  # noqa: F811
    tmp_path: Path,
    stderr: int,
) -> None:
    process = start(scans, tmp_path / "run", stderr)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read() if process.stderr else b""
    assert process.wait(200) == 0, errors
    status = RunFolder(tmp_path / "run").status()
    assert (status.state, status.step) == ("finished", 24)
    assert b"roken pipe" not in errors


@pytest.mark.skipif(sys.platform == "win32", reason="terminals are POSIX's")
def test_a_training_in_a_terminal_that_is_closed_stops_with_a_checkpoint(scans: Path, tmp_path: Path) -> None:  # noqa: F811
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        words = ["-m", "genesis_core", "pretrain", scans, "--out", tmp_path / "run", *SMALL, "--max-steps", "100000"]
        os.execv(sys.executable, [sys.executable, *map(str, words)])
    said = b""
    while b"loss" not in said:
        said += os.read(terminal, 4096)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    status = RunFolder(tmp_path / "run").status()
    assert (status.state, "SIGHUP" in status.message) == ("stopped", True)
    assert (tmp_path / "run" / "checkpoints" / "last.pt").is_file()


@needs_sighup
def test_a_hang_up_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert [one.name for one in stop_signals()] == ["SIGINT", "SIGTERM", "SIGUSR1"]
        with StopRequest(tmp_path / "stop") as request:
            os.kill(os.getpid(), signal.SIGHUP)
            assert request.reason is None
    finally:
        signal.signal(signal.SIGHUP, before)
