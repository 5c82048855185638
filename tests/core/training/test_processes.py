"""Training in several processes: the same as in one, deciding alike, and ending with a reason when one is lost."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from processes_program import digest, first_frozen, network, train
from test_pretraining_runs import write_scan
from test_training_loop import DoubleTask

from genesis_core.cli.main import run as run_command
from genesis_core.errors import SettingsError
from genesis_core.training.connecting import connected, launched_count, launched_rank
from genesis_core.training.events import last_of_each_step
from genesis_core.training.process_failures import ended_with_the_others
from genesis_core.training.processes import ALONE, Peer, Processes, share_of
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.together import batch_in_words, in_turns, with_processes

PROGRAM = Path(__file__).with_name("processes_program.py")
SCRIPT = Path(__file__).resolve().parents[3] / "examples" / "pretrain_slurm.sh"
CORE = Path(__file__).resolve().parents[3] / "src_core" / "genesis_core"
SMALL = [
    *("--patch-size", "8,16,16", "--width", "2", "--batch-size", "2", "--max-steps", "60"),
    *("--validate-every", "30", "--checkpoint-every", "5", "--precision", "float32", "--modality", "ct"),
    *("--set", "network.depth=3", "--set", "network.norm=instance", "--set", "training.threads=1"),
    *("--set", "validation_samples=4"),
]


class Pretended(Processes):
    """One of several, on paper."""

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count, self.local_rank, self.local_count = rank, count, rank, count


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What two processes answered, and `folder`, where their runs are."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", PROGRAM, folder]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, env=environment)
    assert (folder / "answers.json").exists(), done.stderr
    assert done.returncode == 1
    return {**json.loads((folder / "answers.json").read_text()), "folder": folder}


def losses(run: RunFolder) -> list[float]:
    return [event["loss"] for event in last_of_each_step(run.events(), "step")]


@pytest.fixture
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("plain", {"accumulate": 2}),
        ("averaged", {"accumulate": 2, "ema": 0.9}),
        ("frozen", {"accumulate": 2, "groups": first_frozen}),
    ],
)
@pytest.mark.usefixtures("one_thread")
def test_two_processes_do_the_steps_of_one_that_adds_up_as_many_batches(
    answers: dict[str, Any], tmp_path: Path, name: str, given: dict[str, Any]
) -> None:
    _, alone = train(tmp_path / "run", DoubleTask(), ALONE, **given)
    assert answers[name]["digests"] == [digest(alone)] * 2
    np.testing.assert_allclose(losses(RunFolder(answers["folder"] / name)), losses(RunFolder(tmp_path / "run")), 1e-12)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("name", "given"),
    [("plain", {"batch_size": 8}), ("accumulated", {"accumulate": 4}), ("accumulated", {"batch_size": 16})],
)
def test_the_losses_are_those_of_one_process_with_the_same_samples_in_other_parts(
    answers: dict[str, Any], tmp_path: Path, name: str, given: dict[str, Any]
) -> None:
    outcome, _ = train(tmp_path / "run", DoubleTask(), ALONE, **given)
    # Sums in another order differ in the last digits.
    np.testing.assert_allclose(losses(RunFolder(answers["folder"] / name)), losses(RunFolder(tmp_path / "run")), 1e-6)
    assert answers[name]["drawn"] == outcome.progress.drawn
    assert len(set(answers[name]["digests"])) == 1


def test_what_one_process_has_no_memory_for_all_do_in_halves(answers: dict[str, Any]) -> None:
    assert answers["hungry"][0] == answers["hungry"][1]
    halved, whole = (losses(RunFolder(answers["folder"] / name)) for name in ("hungry", "plain"))
    np.testing.assert_allclose(halved, whole, 1e-6)
    assert "not enough memory for 4 sub-volumes at a time" in said(answers, "hungry")


def test_what_one_process_cannot_compile_none_does(answers: dict[str, Any]) -> None:
    assert answers["compiled"] == answers["plain"]["digests"]
    assert "trained without: RuntimeError: No working C++ compiler found" in said(answers, "compiled")


def said(answers: dict[str, Any], name: str) -> str:
    """The one thing that a run warned of."""
    (warning,) = [event for event in RunFolder(answers["folder"] / name).events() if event["event"] == "warning"]
    return str(warning["message"])


def test_running_statistics_are_the_mean_of_all_processes(answers: dict[str, Any]) -> None:
    first, second = answers["normed"]["digests"]
    assert first == second


def test_a_request_to_any_process_stops_all_at_the_same_step_with_a_checkpoint(answers: dict[str, Any]) -> None:
    state, step, reason = answers["stopped"]
    assert (state, step) == ("stopped", 5)
    assert f"process 1 of 2 on {socket.gethostname()}" in reason
    run = RunFolder(answers["folder"] / "stopped")
    assert run.status().state == "stopped"
    assert torch.load(run.checkpoints / "last.pt", weights_only=True)["progress"]["step"] == 5


def test_early_stopping_is_decided_alike(answers: dict[str, Any]) -> None:
    (reason, step), other = answers["patient"]
    assert "no better validation" in reason
    assert other == [reason, step]


def test_a_sub_volume_that_is_not_a_number_ends_all_and_is_named_wherever_it_was_drawn(answers: dict[str, Any]) -> None:
    said, silent = answers["bad"]
    assert "step 6, on scan_6 at 0,0,0." in said
    assert silent == "said by the first"
    run = RunFolder(answers["folder"] / "bad")
    assert run.status().message == said
    assert torch.load(run.checkpoints / "last.pt", weights_only=True)["progress"]["step"] == 5


def test_only_the_first_process_writes_and_names_have_no_prefix(answers: dict[str, Any]) -> None:
    run = RunFolder(answers["folder"] / "plain")
    events = list(run.events())
    assert [event["step"] for event in events if event["event"] == "step"] == list(range(1, 13))
    assert len([event for event in events if event["event"] == "finished"]) == 1
    state = torch.load(run.checkpoints / "last.pt", weights_only=True)
    assert list(state["network"]) == list(network().state_dict())


def test_an_error_in_one_process_ends_the_run_with_its_reason(answers: dict[str, Any]) -> None:
    run = RunFolder(answers["folder"] / "raises")
    status = run.status()
    assert status.state == "failed"
    assert status.message == f"process 1 of 2 on {socket.gethostname()} ended: the disk with the scans is gone"
    assert (run.checkpoints / "last.pt").exists()


# --- whole runs, through the command line


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "scans"
    folder.mkdir()
    for index in range(4):
        write_scan(folder / f"{index}.nii.gz", index)
    return folder


def start(scans: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "genesis_core", "pretrain", scans, "--out", out, *SMALL, "--processes", "2", *more]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_checkpoint(process: subprocess.Popen[str], out: Path) -> dict[int, psutil.Process]:
    """Return the processes that train, by rank, once there is a checkpoint."""
    end = time.monotonic() + 120
    while not (out / "checkpoints" / "last.pt").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    found = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        rank = child.environ().get("RANK")
        if rank is not None:
            found[int(rank)] = child
    return found


def network_of(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "checkpoints" / "last.pt", weights_only=True)["network"]
    return state


@pytest.fixture(scope="module")
def alone(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process that adds up the batches of two."""
    out = tmp_path_factory.mktemp("alone") / "run"
    assert run_command(["pretrain", str(scans), "--out", str(out), *SMALL, "--set", "training.accumulate=2"]) == 0
    return out


def test_a_killed_process_ends_the_run_with_a_reason_and_one_alone_goes_on_to_the_same_weights(
    scans: Path, alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    process = start(scans, out)
    wait_for_checkpoint(process, out)[1].kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    status = RunFolder(out).status()
    assert status.state == "failed"
    assert f"process 1 of 2 on {socket.gethostname()} ended: it was killed" in status.message
    assert status.message in errors
    assert run_command(["pretrain", "--resume", "--out", str(out)]) == 0
    assert "each step has 2 batches of 2 sub-volumes, 2 on each of 1 process" in capsys.readouterr().out
    assert RunFolder(out).status().state == "finished"
    goes_on, whole = network_of(out), network_of(alone)
    assert all(torch.equal(goes_on[name], whole[name]) for name in whole)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_to_the_launcher_stops_with_a_checkpoint_and_resumes_bit_for_bit(
    scans: Path, alone: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "run"
    process = start(scans, out)
    wait_for_checkpoint(process, out)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert RunFolder(out).status().state == "stopped"
    again = start(scans, out, "--resume")
    _, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    goes_on, whole = network_of(out), network_of(alone)
    assert all(torch.equal(goes_on[name], whole[name]) for name in whole)


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(scans, out)
    wait_for_checkpoint(process, out)[1].terminate()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert "SIGTERM, at process 1 of 2" in RunFolder(out).status().message


@pytest.mark.slow
def test_the_loss_of_the_first_process_is_written_down_by_others(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(scans, out)
    wait_for_checkpoint(process, out)[0].kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "process 0 of 2" in errors
    assert RunFolder(out).status().state == "failed"
    assert "process 0 of 2" in RunFolder(out).status().message


@pytest.mark.slow
def test_errors_of_all_are_said_once(scans: Path, alone: Path, tmp_path: Path) -> None:
    process = start(scans, alone)
    _, errors = process.communicate(timeout=60)
    # 2, unless this machine is so busy that another one is gone before the one that knows.
    assert process.returncode in (1, 2)
    assert errors.count("error:") == 1
    assert "exists already" in errors


# Starts two tasks with the variables that Slurm sets for each, as far as anybody here reads them.
SRUN = """#!/bin/bash
shift
export SLURM_NTASKS=2 SLURM_STEP_NUM_TASKS=2 SLURM_NTASKS_PER_NODE=2 SLURM_NODEID=0 SLURM_NODELIST=localhost
SLURM_PROCID=1 SLURM_LOCALID=1 "$@" & one=$!
SLURM_PROCID=0 SLURM_LOCALID=0 "$@" & zero=$!
echo $zero $one > tasks
wait $zero; code=$?; wait $one; exit $code
"""


@pytest.mark.slow
def test_the_slurm_script_trains_in_all_tasks_and_queues_again_until_the_run_is_finished(
    scans: Path, alone: Path, tmp_path: Path
) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    program = f'#!/bin/bash\nexec {sys.executable} -m genesis_core "$@"\n'
    scontrol = '#!/bin/bash\necho "$@" >> requeued\n'
    for name, text in (("srun", SRUN), ("scontrol", scontrol), ("napari-genesis", program)):
        (binaries / name).write_text(text)
        (binaries / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "SLURM_JOB_ID": "4711"}
    environment["GENESIS_CACHE"] = str(tmp_path / "cache")
    command = ["bash", str(SCRIPT), str(scans), "run", *SMALL]
    job = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    wait_for_checkpoint(job, tmp_path / "run")
    for task in (tmp_path / "tasks").read_text().split():
        os.kill(int(task), signal.SIGUSR1)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 130, errors
    assert (tmp_path / "requeued").read_text() == "requeue 4711\n"
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert RunFolder(tmp_path / "run").status().state == "finished"
    assert (tmp_path / "requeued").read_text() == "requeue 4711\n"
    goes_on, whole = network_of(tmp_path / "run"), network_of(alone)
    assert all(torch.equal(goes_on[name], whole[name]) for name in whole)


# --- without any other process


def test_parts_are_dealt_evenly_or_the_numbers_that_work_are_named() -> None:
    assert [list(share_of(6, Pretended(rank, 3))) for rank in range(3)] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(SettingsError, match=r"6 batches .* 4 processes .* 1 or 2 or 3 or 6 of them"):
        share_of(6, Pretended(0, 4))


def test_a_run_keeps_the_number_of_processes_it_was_made_for() -> None:
    fresh = with_processes(TrainingSettings(), Pretended(0, 2), begun=False)
    assert fresh.processes == 2
    assert with_processes(fresh, ALONE, begun=True).processes == 2
    # A run from before there were several was one of one process.
    with pytest.raises(SettingsError, match="1 batches"):
        with_processes(TrainingSettings(), Pretended(0, 2), begun=True)


def test_the_cores_of_a_machine_are_shared_by_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genesis_core.training.together.available_cores", lambda: 16)
    assert with_processes(TrainingSettings(), Pretended(1, 4), begun=False).threads == 4
    assert with_processes(TrainingSettings(), ALONE, begun=False).threads == 16
    chosen = TrainingSettings(threads=7, processes=4)
    assert with_processes(chosen, Pretended(1, 4), begun=False).threads == 7


def test_how_batches_are_normalised_is_said_where_it_matters() -> None:
    settings = TrainingSettings(processes=2)
    assert batch_in_words(TrainingSettings(), ALONE, "batch") is None
    assert "normalised by its own statistics" in str(batch_in_words(settings, Pretended(0, 2), "batch_statistics"))
    assert "normalised" not in str(batch_in_words(settings, Pretended(0, 2), "instance"))


def test_data_are_prepared_by_one_where_there_is_one() -> None:
    assert in_turns(ALONE, lambda asked: asked + 1, 1, lambda made: made) == 2
    assert in_turns(ALONE, lambda _asked: None, 1, lambda made: 1) is None


@pytest.mark.parametrize(
    ("environment", "count", "rank"),
    [
        ({}, 1, 0),
        ({"RANK": "3", "WORLD_SIZE": "4"}, 4, 3),
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"}, 2, 1),
        # A batch script that asked for four tasks, and calls the program without srun.
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, 1, 0),
    ],
)
def test_who_started_this_process_is_known_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], count: int, rank: int
) -> None:
    for name in ("RANK", "WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (launched_count(), launched_rank()) == (count, rank)


def test_fabric_is_imported_in_one_place_only_and_not_for_one_process() -> None:
    found = []
    for path in CORE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom | ast.Import)]
        if any("lightning_fabric" in ast.unparse(node) for node in names):
            found.append(path.name)
            assert not any("lightning_fabric" in ast.unparse(node) for node in tree.body if node in names)
    assert found == ["connecting.py"]
    with connected("cpu") as processes:
        assert processes is ALONE


def test_processes_and_torchrun_do_not_mix(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert run_command(["pretrain", str(scans), "--out", str(tmp_path / "run"), "--processes", "2"]) == 2
    assert "leave it out" in capsys.readouterr().err


@pytest.mark.parametrize("parting", [False, True])
def test_a_process_that_a_gpu_keeps_from_noticing_is_ended_with_the_others(tmp_path: Path, parting: bool) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = socket.gethostname()
    processes = Pretended(0, 2)
    processes.peers = (Peer(here, os.getpid()), Peer(here, gone.pid))
    processes.parting = parting
    run = RunFolder.create(tmp_path / "run")
    run.set_status("running", 3, 9)
    ended: list[int] = []
    found = threading.Event()
    with ended_with_the_others(processes, run, grace=0.1, end=lambda code: (ended.append(code), found.set())[1]):
        found.wait(2.0 if parting else 30.0)
    assert ended == ([] if parting else [1])
    assert run.status().state == ("running" if parting else "failed")
    assert parting or "process 1 of 2" in run.status().message


def test_a_folder_of_several_is_written_by_one(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    silent = RunFolder(run.path, writes=False)
    silent.set_status("failed", 1, 2, "no")
    assert silent.write_event("warning", message="no")["message"] == "no"
    silent.note_failure(2, "no")
    assert run.status().state == "queued"
    assert not run.events_file.exists()
