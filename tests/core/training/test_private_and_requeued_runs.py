"""Runs that are shared, moved to another machine, or started again by a cluster's queue."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from test_pretraining_runs import SMALL, cli, command, scans, signalled, weights, write_scan  # noqa: F401 - scans is a fixture

import genesis_core as gc
from genesis_core.cli.main import run as run_command
from genesis_core.errors import OutputExistsError
from genesis_core.sampling.settings import DataSettings
from genesis_core.training.discretion import Discretion
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.verdict import never_better_than_the_mean
from genesis_core.volumes.scans import list_scans

TELLTALE = ("Mustermann", "mustermann", "19701231", "Erika")


def written(folder: Path) -> str:
    """Everything a run folder holds, names of files included, as text."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return "\n".join(f"{path.relative_to(folder)} {path.read_bytes()!r}" for path in files)


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scans whose names say whose they are, one of them damaged, beside a run still to be made."""
    root = tmp_path_factory.mktemp("hospital")
    folder = root / "cohort" / "Mustermann_Erika_19701231"
    folder.mkdir(parents=True)
    for number in range(3):
        write_scan(folder / f"Mustermann_{number}.nii.gz", number)
    whole = (folder / "Mustermann_2.nii.gz").read_bytes()
    (folder / "Mustermann_2.nii.gz").write_bytes(whole[: len(whole) // 2])
    return root


@pytest.fixture(scope="module")
def run(telling: Path) -> RunFolder:
    out = telling / "runs" / "first"
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        arguments = [*SMALL, "--max-steps", 4, "--cache", telling / "cache"]
        assert command("pretrain", telling / "cohort", "--out", out, *arguments) == 0
    # The person is told which file it was; the run folder is not.
    assert "Mustermann_2.nii.gz" in told.getvalue()
    return RunFolder(out)


def test_a_run_folder_names_no_patient_and_no_absolute_path(run: RunFolder, telling: Path) -> None:
    text = written(run.path)
    for private in (*TELLTALE, str(telling)):
        assert private not in text, private
    assert yaml.safe_load(run.settings_file.read_text())["data"]["scans"] == "../../cohort"


def test_a_run_that_fails_names_no_patient_either(telling: Path, tmp_path: Path) -> None:
    broken = tmp_path / "cohort" / "Mustermann_Erika"
    broken.mkdir(parents=True)
    (broken / "Mustermann.nii.gz").write_bytes(b"nothing of a scan")
    assert command("pretrain", broken, "--out", tmp_path / "run", *SMALL) == 1
    status = RunFolder(tmp_path / "run").status()
    assert status.state == "failed"
    assert "none of the 1 scans can be used" in status.message
    for path in (RunFolder(tmp_path / "run").status_file, RunFolder(tmp_path / "run").events_file):
        text = path.read_text() if path.exists() else ""
        assert not [private for private in (*TELLTALE, str(tmp_path)) if private in text]


def test_any_text_loses_its_paths_but_not_its_sense(telling: Path) -> None:
    discretion = Discretion()
    known = list_scans(telling / "cohort")
    discretion.learn_folder(telling / "cohort", "(scans)")
    discretion.learn_scans(known)
    path = known[0].path
    assert discretion.text(f"{path}: truncated") == f"{known[0].id}: truncated"
    assert discretion.text(f"{known[0].relative} is left out") == f"{known[0].id} is left out"
    assert discretion.text(f"{path.parent}/more here").startswith("(scans)/")
    assert discretion.text("/home/erika/x/y.bricks: a brick fails") == "(path): a brick fails"
    assert discretion.text(r"C:\Users\erika\x.nii cannot be read") == "(path) cannot be read"
    for plain in ("1/2 of 3 mm/voxel", "checkpoints/last.pt", "lr 1e-3 and/or 0.5", "see https://x.org/a"):
        assert discretion.text(plain) == plain
    assert discretion.values({"a": [str(path)], "b": 1.5}) == {"a": [known[0].id], "b": 1.5}


@pytest.fixture
def moved(run: RunFolder, telling: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The run stopped early, copied to another machine where the scans lie elsewhere: (run, folder of the scans)."""
    here = tmp_path / "here"
    shutil.copytree(telling / "cohort", here / "cohort")
    gc.pretrain(here / "cohort", here / "runs" / "r", settings=small(), max_steps=6, stop=lambda: True)
    elsewhere = tmp_path / "other machine"
    shutil.copytree(here / "runs", elsewhere / "home" / "runs")
    shutil.copytree(here / "cohort", elsewhere / "mnt" / "data" / "cohort")
    shutil.rmtree(here)
    return elsewhere / "home" / "runs" / "r", elsewhere / "mnt" / "data"


def small() -> dict[str, object]:
    return {
        "training": {"batch_size": 2, "threads": 1, "validate_every": 3},
        "network": {"width": 2, "depth": 3},
        "sampling": {"patch_size": [8, 16, 16]},
        "validation_samples": 4,
    }


def test_where_scans_are_not_found_the_error_says_how_to_name_their_place(
    moved: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out, data = moved
    assert run_command(["pretrain", "--resume", "--out", str(out)]) == 1
    message = capsys.readouterr().err
    match = re.search(r"--set (data\.path_map=(.*))=FOLDER", message)
    assert match is not None, message
    assert "data.scans=FOLDER" in message
    assert run_command(["pretrain", "--resume", "--out", str(out), "--set", f"{match[1]}={data}"]) == 0
    assert RunFolder(out).status().state == "finished"
    # From then on it is known.
    assert yaml.safe_load((out / "run.yaml").read_text())["data"]["scans"] == "../../../mnt/data/cohort"


def test_a_path_map_must_hold_pairs_of_folders(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["pretrain", "scans", "--out", "run", "--set", "data.path_map=only_one"]) == 2
    assert "OLD=NEW" in capsys.readouterr().err
    mapped = DataSettings(scans=Path("/old/a/b"), path_map=("/other=/x", "/old/a=/new")).with_mapped_paths()
    assert (mapped.scans, mapped.path_map) == (Path("/new/b"), ())
    assert DataSettings(scans=Path("/older/a"), path_map=("/old=/new",)).with_mapped_paths().scans == Path("/older/a")


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM"])
def test_one_command_in_a_queue_begins_stops_at_a_signal_and_goes_on(
    scans: Path,  # noqa: F811
    tmp_path: Path,
    name: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    words = ["pretrain", scans, "--out", out, *SMALL, "--max-steps", 12, "--resume", "auto"]
    done = signalled(name, *words)
    assert done.returncode == 130, done.stderr
    status = RunFolder(out).status()
    assert (status.state, status.step, (out / "checkpoints" / "last.pt").exists()) == ("stopped", 4, True)
    assert name in status.message
    if name == "SIGTERM":
        return
    done = cli(*words)
    assert done.returncode == 0, done.stderr
    assert "resumed at step 4" in done.stdout
    assert command(*words) == 0
    assert "finished already" in capfd.readouterr().out
    assert command("pretrain", scans, "--out", tmp_path / "whole", *SMALL, "--max-steps", 12) == 0
    assert weights(RunFolder(out)) == weights(RunFolder(tmp_path / "whole"))


def test_a_run_killed_before_it_wrote_its_settings_is_begun_anew(tmp_path: Path) -> None:
    out = tmp_path / "run"
    (out / "checkpoints").mkdir(parents=True)
    (out / "previews").mkdir()
    (out / ".12345678.tmp.run.yaml").write_text("half")
    assert RunFolder.create(out).path == out
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="exists"):
        RunFolder.create(out)


def test_a_run_that_never_beats_the_mean_says_so_at_its_end(
    scans: Path,  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    learning = ("--max-steps", 2, "--learning-rate", "1e-9")
    assert command("pretrain", scans, "--out", tmp_path / "run", *SMALL, *learning) == 0
    assert "never did better than returning each sub-volume's mean" in capfd.readouterr().err
    events = list(RunFolder(tmp_path / "run").events())
    assert [event["event"] for event in events][-1] == "finished"
    assert any("never did better" in event.get("message", "") for event in events)


def test_printed_commands_can_be_typed_whatever_the_folder_is_called(
    scans: Path,  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "my run"
    assert command("pretrain", scans, "--out", out, *SMALL, "--max-steps", 1) == 0
    next_one = capfd.readouterr().out.splitlines()[-1].removeprefix("next: ")
    assert shlex.split(next_one)[4] == str(out)


def test_a_run_that_beats_the_mean_once_is_not_scolded(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    assert never_better_than_the_mean(run) is None
    for step, loss in ((0, 0.01), (10, 0.3), (20, 0.2)):
        run.write_event("validation", step=step, loss=loss, return_mean=0.1)
    assert "0.20000 at best" in (never_better_than_the_mean(run) or "")
    run.write_event("validation", step=30, loss=0.09, return_mean=0.1)
    assert never_better_than_the_mean(run) is None
    run.close()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_while_restoring_leaves_whole_results_only(run: RunFolder, tmp_path: Path, name: str) -> None:
    code = f"""
import os, signal, sys
from genesis_core.volumes import writing
real, seen = writing.write_volume, []
def write(*arguments, **options):
    seen.append(arguments)
    if len(seen) == 5:
        os.kill(os.getpid(), signal.{name})
    return real(*arguments, **options)
writing.write_volume = write
from genesis_core.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
    out = tmp_path / "restored"
    data = tmp_path / "scans"
    data.mkdir()
    for number in range(3):
        write_scan(data / f"{number}.nii.gz", number)
    words = ["restore", str(data), "--model", str(run.path), "--out", str(out), "--skip-existing"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=200)
    assert done.returncode == 130, done.stderr
    assert "1 of 3 scans restored" in done.stdout
    assert "Traceback" not in done.stderr
    names = sorted(path.name for path in out.rglob("*"))
    assert not [name for name in names if ".tmp." in name]
    assert [name for name in names if name.endswith("metrics.json")] == ["0_metrics.json"]
    for path in out.glob("*.nii.gz"):
        assert np.isfinite(gc.read_volume(path).array).all()
    assert command(*words) == 0
    assert len(list(out.glob("*_metrics.json"))) == 3
