"""torch.compile: where it cannot be had, training goes on without and says so; nothing of it is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_training_loop import DoubleTask, train, weights
from torch import Tensor, nn

from genesis_core.task import Batch
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.stepping import Stepper

CPU = torch.device("cpu")


def events_of(run: RunFolder, kind: str) -> list[dict[str, Any]]:
    return [event for event in run.events() if event["event"] == kind]


def test_a_network_that_cannot_be_compiled_is_trained_without_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, plain, _ = train(tmp_path / "plain", DoubleTask(), 6)

    class NoCompiler(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\n\nSet TORCHDYNAMO_VERBOSE=1")

    monkeypatch.setattr(torch, "compile", NoCompiler)
    _, network, run = train(tmp_path / "run", DoubleTask(), 6, compile="always")
    assert weights(network) == weights(plain)
    (said,) = [event for event in events_of(run, "warning") if event.get("compiled") is False]
    assert said["message"].endswith("trained without: InvalidCxxCompiler: No working C++ compiler found")


def test_where_torch_compiles_nothing_at_all_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(network: nn.Module) -> nn.Module:
        raise RuntimeError("torch.compile is not supported on Python 3.99+")

    monkeypatch.setattr(torch, "compile", refuse)
    outcome, _, run = train(tmp_path / "run", DoubleTask(), 2, compile="always")
    assert outcome.state == "finished"
    assert any("Python 3.99" in event["message"] for event in events_of(run, "warning"))


def test_what_is_compiled_is_not_what_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, plain, _ = train(tmp_path / "plain", DoubleTask(), 6)
    # The wrapper of torch.compile, but nothing to wait for.
    monkeypatch.setattr(torch, "compile", lambda network: torch._dynamo.optimize("eager")(network))
    _, compiled, run = train(tmp_path / "run", DoubleTask(), 6, compile="always", ema=0.9)
    assert not [event for event in events_of(run, "warning") if "compiled" in event]
    state = torch.load(run.checkpoints / "last.pt", weights_only=True)
    assert list(state["network"]) == list(plain.state_dict())
    assert not [name for name in state["averaged"] if "_orig_mod" in name]
    assert weights(compiled) == weights(plain)


def test_an_error_that_is_not_the_compilers_comes_out_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(DoubleTask):
        def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
            raise ValueError("shapes differ")

    monkeypatch.setattr(torch, "compile", lambda network: network)
    task = Broken()
    stepper = Stepper(task, nn.Sequential(nn.Conv3d(1, 1, 1)), TrainingSettings(compile="always"), CPU)
    with pytest.raises(ValueError, match="shapes differ"):
        stepper.step([task.sample(1, 0, range(2))], 0, 1)


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(tmp_path: Path) -> None:
    _, plain, _ = train(tmp_path / "plain", DoubleTask(), 4)
    _, compiled, run = train(tmp_path / "run", DoubleTask(), 4, compile="always")
    assert not [event for event in events_of(run, "warning") if "compiled" in event]
    for one, other in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4)
