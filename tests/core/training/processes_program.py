"""What torchrun starts in several processes for test_processes.py: small trainings, one after another, in one group.

Call: torchrun ... processes_program.py FOLDER. The first process writes FOLDER/answers.json; then the second one fails.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from test_training_loop import DoubleTask, after
from torch import nn

from genesis_core.errors import TrainingError
from genesis_core.task import Batch
from genesis_core.training.connecting import connected
from genesis_core.training.loop import Outcome, Training
from genesis_core.training.processes import EndedElsewhereError, Processes
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.stopping import StopRequest

# Of the second process, where each has a batch of 4.
BAD_SAMPLE = 6


class BadTask(DoubleTask):
    """One sample, which a single process draws, is not a number; or that process cannot read it."""

    def __init__(self, bad_step: int, *, raises: bool = False) -> None:
        super().__init__()
        self._at, self._raises = bad_step, raises

    def sample(self, seed: int, step: int, indices: Sequence[int]) -> Batch:
        batch = super().sample(seed, step, indices)
        if step == self._at and BAD_SAMPLE in indices and seed == 1:
            if self._raises:
                raise OSError("the disk with the scans is gone")
            batch.inputs[list(indices).index(BAD_SAMPLE), 0, 0, 0, 0] = float("nan")
        return batch


class HungryTask(DoubleTask):
    """More than two samples at a time are too many for the second process."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self._rank = rank

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        value = super().loss(network, batch)
        if torch.is_grad_enabled() and self._rank == 1 and len(batch.origins) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return value


class NoCompiler(nn.Module):
    """What torch.compile returns where there is no compiler, which shows when it is called."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("No working C++ compiler found")


def network(*, norm: bool = False) -> nn.Module:
    torch.manual_seed(0)
    middle: nn.Module = nn.BatchNorm3d(4) if norm else nn.Identity()
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), middle, nn.ReLU(), nn.Conv3d(4, 1, 3, padding=1))


def train(
    folder: Path,
    task: DoubleTask,
    processes: Processes,
    net: nn.Module | None = None,
    steps: int = 12,
    *,
    stop: Callable[[], bool] | None = None,
    groups: Any = None,
    **settings: Any,
) -> tuple[Outcome, nn.Module]:
    """Train on 4 samples a batch, and return how it ended and the network."""
    torch.set_num_threads(1)
    net = net or network()
    run = RunFolder(folder, writes=processes.is_main)
    processes.on_main(lambda: RunFolder.create(folder) and None)
    values = {"batch_size": 4, "validate_every": 4, "checkpoint_every": 3, "precision": "float32", **settings}
    training = Training(
        task,
        net,
        TrainingSettings(**values),
        run,
        seed=1,
        device="cpu",
        save_model=lambda _network, _figures: None,
        groups=groups,
        processes=processes,
    )
    with StopRequest(run.stop_file, stop) as request:
        return training.train(steps, request, resume=False), net


def digest(net: nn.Module) -> str:
    arrays = [value.detach().contiguous().numpy().tobytes() for value in net.state_dict().values()]
    return hashlib.sha256(b"".join(arrays)).hexdigest()


def first_frozen(net: nn.Module, steps: int) -> list[dict[str, Any]]:
    """Freeze the first layer for the first six steps."""
    layers: Any = net
    return [
        {"params": list(layers[0].parameters()), "scale": 1.0, "frozen_until": 6},
        {"params": list(layers[3].parameters()), "scale": 1.0, "frozen_until": 0},
    ]


def everything(folder: Path, processes: Processes) -> dict[str, Any]:
    answers: dict[str, Any] = {"peers": len(processes.peers)}
    for name, given in {
        "plain": {},
        "accumulated": {"accumulate": 2},
        "averaged": {"ema": 0.9},
        "frozen": {"groups": first_frozen},
        "normed": {"net": network(norm=True)},
    }.items():
        task = DoubleTask()
        outcome, net = train(folder / name, task, processes, **given)
        answers[name] = {
            "digests": processes.collect(digest(net)),
            "drawn": outcome.progress.drawn,
        }
    _, net = train(folder / "hungry", HungryTask(processes.rank), processes, on_out_of_memory="halve")
    answers["hungry"] = processes.collect(digest(net))
    whole: Any = torch.compile
    torch.compile = NoCompiler if processes.rank == 1 else lambda network: network  # type: ignore[assignment, misc]
    _, net = train(folder / "compiled", DoubleTask(), processes, compile="always")
    torch.compile = whole
    answers["compiled"] = processes.collect(digest(net))
    asked = after(5) if processes.rank == 1 else None
    outcome, _ = train(folder / "stopped", DoubleTask(), processes, stop=asked)
    answers["stopped"] = [outcome.state, outcome.progress.step, outcome.reason]
    outcome, _ = train(folder / "patient", DoubleTask(), processes, steps=200, learning_rate=1e-12, patience=2)
    answers["patient"] = processes.collect([outcome.reason, outcome.progress.step])
    try:
        train(folder / "bad", BadTask(5), processes)
        answers["bad"] = "went on"
    except TrainingError as problem:
        answers["bad"] = str(problem)
    except EndedElsewhereError:
        answers["bad"] = "said by the first"
    answers["bad"] = processes.collect(answers["bad"])
    return answers


def main(folder: Path) -> None:
    with connected("cpu") as processes:
        answers = everything(folder, processes)
        if processes.is_main:
            (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
        train(folder / "raises", BadTask(5, raises=True), processes)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
