"""float16: the loss is scaled, what overflows changes nothing and is said, and a resumed run has the scale it had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_training_loop import DoubleTask, after, train, weights
from torch import Tensor, nn

from genesis_core.errors import TrainingError
from genesis_core.task import Batch
from genesis_core.training import hardware
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.stepping import Stepper

CPU = torch.device("cpu")


class SteepTask(DoubleTask):
    """As DoubleTask, its loss `steepness` times as large: float16 gradients overflow unless they are scaled less."""

    def __init__(self, steepness: float, **more: Any) -> None:
        super().__init__(**more)
        self.steepness = steepness

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        value, _ = super().loss(network, batch)
        return value * self.steepness, {}


def events_of(run: RunFolder, kind: str) -> list[dict[str, Any]]:
    return [event for event in run.events() if event["event"] == kind]


def test_float16_leaves_out_steps_that_overflow_and_says_so(tmp_path: Path) -> None:
    outcome, _, run = train(tmp_path / "run", SteepTask(100), 20, precision="float16", learning_rate=0.01)
    steps = events_of(run, "step")
    skipped = [event["step"] for event in steps if event.get("skipped")]
    assert outcome.state == "finished"
    assert 1 <= len(skipped) <= 12
    # The scale falls step by step until nothing overflows.
    assert skipped == list(range(1, len(skipped) + 1))
    assert steps[-1]["loss"] < steps[0]["loss"]
    (said,) = [event for event in events_of(run, "warning") if "overflowed" in event["message"]]
    assert said["scale"] == 32768
    assert events_of(run, "finished")[0]["skipped"] == len(skipped)


def test_a_step_left_out_changes_no_weight_and_no_state_of_the_optimiser() -> None:
    network = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.Conv3d(2, 1, 1))
    task = SteepTask(1e6)
    stepper = Stepper(task, network, TrainingSettings(precision="float16", batch_size=4), CPU)
    before = weights(network)
    done = stepper.step([task.sample(1, 0, range(4))], 0, 10)
    assert done.skipped
    assert weights(network) == before
    assert not stepper.optimiser.state
    assert stepper.scaler.get_scale() == 32768


def test_gradients_are_clipped_unscaled_and_accumulated() -> None:
    def gradient(**settings: Any) -> tuple[float, Tensor]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 1, 3, padding=1))
        # So flat that the first scale does not overflow.
        task = SteepTask(0.01)
        stepper = Stepper(task, network, TrainingSettings(batch_size=2, accumulate=2, clip_norm=1e-3, **settings), CPU)
        done = stepper.step([task.sample(1, 0, range(2)), task.sample(1, 0, range(2, 4))], 0, 10)
        return done.gradient_norm, torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])

    (norm, exact), (halved_norm, halved) = gradient(precision="float32"), gradient(precision="float16")
    assert norm > 2e-3, "or nothing was clipped"
    assert halved_norm == pytest.approx(norm, rel=0.01)
    assert float(halved.norm()) == pytest.approx(1e-3, rel=1e-3)
    torch.testing.assert_close(halved, exact, rtol=0.02, atol=1e-5)


def test_gradients_that_overflow_at_the_least_scale_are_not_a_number(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the gradient is not a number at step 17, on one of scan_0"):
        train(tmp_path / "run", SteepTask(1e12), 30, precision="float16")
    run = RunFolder(tmp_path / "run")
    assert run.status().state == "failed"
    # 65536 is halved to 1 in 16 steps.
    assert len([event for event in events_of(run, "step") if event["skipped"]]) == 16


def test_in_float16_too_a_bad_sub_volume_ends_the_run_at_once(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss is not a number at step 6, on scan_3 at 0,0,0\."):
        train(tmp_path / "run", DoubleTask(bad_step=5), precision="float16")


@pytest.mark.parametrize("stop_at", [2, 7])
def test_a_stopped_float16_run_goes_on_with_the_scale_it_had(tmp_path: Path, stop_at: int) -> None:
    settings: dict[str, Any] = {"precision": "float16", "accumulate": 2}
    _, whole, run = train(tmp_path / "whole", SteepTask(100), **settings)
    train(tmp_path / "parts", SteepTask(100), stop=after(stop_at), **settings)
    _, parts, again = train(tmp_path / "parts", SteepTask(100), resume=True, **settings)
    assert weights(parts) == weights(whole)
    states = [torch.load(one.checkpoints / "last.pt", weights_only=True)["stepper"] for one in (run, again)]
    assert states[0] == states[1]
    assert states[0]["skipped"] >= 1
    assert states[0]["scaler"]["scale"] < 65536


@pytest.mark.parametrize(("capability", "expected"), [(8, "bfloat16"), (7, "float16"), (6, "float32")])
def test_auto_is_what_a_gpu_computes_natively(monkeypatch: pytest.MonkeyPatch, capability: int, expected: str) -> None:
    # The GPU that is trained on is asked, not the current one.
    monkeypatch.setattr(torch.cuda, "get_device_capability", {"cuda:1": (capability, 0)}.__getitem__)
    assert hardware.resolve_precision("auto", "cuda:1") == expected
    assert hardware.resolve_precision("float16", "cpu") == "float16"
    assert hardware.resolve_precision("auto", "cpu") in ("float32", "bfloat16")
