"""Where the time of steps goes, and what a step is given: page-locked batches, another layout of arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_recomputing import SMALL
from test_training_loop import DoubleTask, train
from torch import Tensor, nn

from genesis_core.cli.output import Output
from genesis_core.cli.training_report import TrainingReport
from genesis_core.networks import create_network
from genesis_core.networks.registry import BACKBONES
from genesis_core.task import Batch
from genesis_core.training.events import last_of_each_step
from genesis_core.training.prefetch import Prefetcher
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.sending import pinned
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.step_clock import StepClock
from genesis_core.training.stepping import Stepper

CPU = torch.device("cpu")


def events_of(run: RunFolder, kind: str) -> list[dict[str, Any]]:
    return [event for event in run.events() if event["event"] == kind]


class _Mark:
    """A moment on a device that is `lag` marks behind what it was asked for."""

    made: list[_Mark]
    passed = 0

    def record(self) -> None:
        self.at = len(self.made)
        self.made.append(self)

    def query(self) -> bool:
        return self.at < type(self).passed

    def synchronize(self) -> None:
        type(self).passed = self.at + 1

    def elapsed_time(self, later: _Mark) -> float:
        assert later.query()
        return (later.at - self.at) * 1000.0


def test_time_on_a_device_is_counted_without_waiting_for_it() -> None:
    _Mark.made, _Mark.passed = [], 0
    clock = StepClock(torch.device("cuda"), _Mark)
    for _ in range(3):
        clock.add("data", 0.5)
        for stage in ("corruption", "network", "update"):
            clock.enter(stage)
        clock.end()
    assert _Mark.passed == 0, "nothing was waited for"
    timing = clock.take()
    assert timing["steps"] == 3
    assert timing["seconds"] == pytest.approx(3 * 3.5)
    assert timing["data"] == pytest.approx(0.5 / 3.5, abs=1e-4)
    assert timing["corruption"] == timing["network"] == timing["update"] == pytest.approx(1 / 3.5, abs=1e-4)
    assert clock.take() == {}


def test_every_interval_says_where_its_time_went(tmp_path: Path) -> None:
    _, _, run = train(tmp_path / "run", DoubleTask(), 10, accumulate=2)
    timings = last_of_each_step(run.events(), "timing")
    assert [(event["step"], event["steps"]) for event in timings] == [(4, 4), (8, 4), (10, 2)]
    for event in timings:
        assert sum(event[stage] for stage in ("data", "corruption", "network", "update")) == pytest.approx(1, abs=1e-3)
        assert event["network"] > 0


def test_the_command_line_says_where_time_went(capsys: pytest.CaptureFixture[str]) -> None:
    event = {"event": "timing", "step": 4, "steps": 4, "seconds": 2.0}
    shares = {"data": 0.012, "corruption": 0.0, "network": 0.984, "update": 0.004}
    with TrainingReport(Output(as_json=False)) as report:
        report({**event, **shares})
    said = "".join(capsys.readouterr())
    assert "4 steps, 0.5 s each: data 1 %, corruption 0 %, network 98 %, update under 1 %" in said


def test_a_batch_is_page_locked_once_and_its_corruption_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    locked: list[int] = []

    def pin(tensor: Tensor) -> Tensor:
        locked.append(tensor.numel())
        return tensor.clone()

    class Deferred:
        def pinned(self) -> str:
            return "pinned"

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    x = torch.zeros(2, 1, 2, 2, 2)
    weight = torch.ones_like(x)
    found = pinned(Batch(x, x, ("a", "b"), weights=weight, corruption=Deferred()))  # type: ignore[arg-type]
    assert found.inputs is found.targets
    assert found.inputs is not x
    assert found.corruption == "pinned"  # type: ignore[comparison-overlap]
    assert locked == [16, 16]


def test_on_the_cpu_nothing_is_page_locked() -> None:
    task = DoubleTask()
    stepper = Stepper(task, nn.Sequential(nn.Conv3d(1, 1, 1)), TrainingSettings(), CPU)
    batches = [task.sample(1, 0, range(2))]
    assert stepper.pin(batches) is batches


def test_batches_are_finished_by_the_thread_that_draws() -> None:
    import threading

    threads: set[str] = set()

    def finish(number: int) -> int:
        threads.add(threading.current_thread().name)
        return number * 10

    assert list(Prefetcher(finish).batches(lambda number: number, 2, 5)) == [20, 30, 40]
    assert threads == {"draw_0"}


@pytest.mark.parametrize("kind", BACKBONES)
def test_channels_last_changes_no_gradient(kind: str) -> None:
    settings = BACKBONES[kind].settings(**SMALL.get(kind, {}))
    gradients = []
    for channels_last in (False, True):
        network = create_network(settings, seed=1)
        size = (2 * network.strides[0], *network.strides[1:])
        x = torch.rand((2, 1, *size), generator=torch.Generator().manual_seed(0))
        values = {"batch_size": 2, "precision": "float32", "clip_norm": None, "channels_last": channels_last}
        Stepper(DoubleTask(), network, TrainingSettings(**values), CPU).step([Batch(x, 2 * x, ("a", "b"))], 0, 10)
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    assert float((gradients[1] - gradients[0]).norm() / gradients[0].norm()) < 1e-4
