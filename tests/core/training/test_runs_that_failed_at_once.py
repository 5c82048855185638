"""A run that failed before it had done a step burns no name: it is begun anew, unless somebody would miss something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from test_pretraining_runs import SMALL, command, scans  # noqa: F401 - scans is a fixture

from genesis_core.errors import OutputExistsError
from genesis_core.training.run_folder import RunFolder


def test_the_corrected_command_begins_under_the_same_name(
    scans: Path,  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    out, steps = tmp_path / "run", ("--max-steps", 2)
    assert command("pretrain", tmp_path / "nothing", "--out", out, *SMALL, *steps) == 1
    assert command("pretrain", scans, "--out", out, *SMALL, *steps, "--patch-size", "30,64,64") == 1
    assert RunFolder(out).status().state == "failed"
    capfd.readouterr()
    assert command("pretrain", scans, "--out", out, *SMALL, *steps) == 0
    events = list(RunFolder(out).events())
    assert sum(event["event"] == "prepared" for event in events) == 1
    assert command("pretrain", scans, "--out", out, *SMALL, *steps) == 2
    assert "--resume" in capfd.readouterr().err


def failed(folder: Path) -> RunFolder:
    """What is left of a run that failed in its first step."""
    run = RunFolder.create(folder)
    run.settings_file.write_text("task: restoration\n")
    run.write_event("started", step=0)
    run.close()
    run.tensorboard.mkdir()
    (run.tensorboard / "events.out.tfevents.1.host.2.0").write_text("scalars")
    (run.previews / "step_0000000.npz").write_text("arrays")
    run.set_status("failed", 0, 10, "not enough memory")
    return run


def test_what_a_run_left_that_failed_in_its_first_step_is_cleared(tmp_path: Path) -> None:
    run = failed(tmp_path / "run")
    assert RunFolder.create(run.path).path == run.path
    assert not [path for path in run.path.rglob("*") if path.is_file()]


def step(run: RunFolder) -> None:
    run.write_event("step", step=1, loss=0.1)
    run.close()


def folder_of_ones_own(run: RunFolder) -> None:
    (run.path / "mine").mkdir()


@pytest.mark.parametrize(
    "worth",
    [
        step,
        folder_of_ones_own,
        lambda run: (run.path / "notes.txt").write_text("mine"),
        lambda run: (run.checkpoints / "last.pt").write_text("weights"),
        lambda run: (run.previews / "step_0000000.npz.txt").write_text("mine"),
        lambda run: run.model.mkdir(),
        lambda run: run.status_file.write_text("{"),
        lambda run: run.set_status("failed", 3, 10),
        lambda run: run.set_status("stopped", 0, 10),
        lambda run: run.set_status("running", 0, 10),
    ],
)
def test_what_somebody_would_miss_forbids_to_begin_anew(tmp_path: Path, worth: Callable[[RunFolder], object]) -> None:
    run = failed(tmp_path / "run")
    worth(run)
    before = sorted(run.path.rglob("*"))
    with pytest.raises(OutputExistsError, match="go on with it by --resume"):
        RunFolder.create(run.path)
    assert sorted(run.path.rglob("*")) == before


def test_a_folder_that_is_no_run_is_not_to_be_resumed(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError) as caught:
        RunFolder.create(tmp_path)
    assert "--resume" not in str(caught.value)
