"""The loop on a small task of its own: what any task may rely on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genesis_core.cli.output import Output
from genesis_core.cli.training_report import TrainingReport
from genesis_core.errors import SamplingError, TrainingError
from genesis_core.randomness import stream, uniforms
from genesis_core.task import Batch
from genesis_core.training.events import last_of_each_step, read_events
from genesis_core.training.loop import Outcome, Training
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.stopping import StopRequest


class DoubleTask:
    """Learn to double the input; sample 3 of step `bad_step` is not a number."""

    transfers: Literal["encoder", "encoder+decoder"] = "encoder"

    def __init__(self, *, held_out: bool = True, bad_step: int | None = None, fallbacks: int = 0) -> None:
        self.held_out = held_out
        self.bad_step = bad_step
        self.fallbacks = fallbacks
        self.drawn_steps: list[int] = []

    def sample(self, seed: int, step: int, indices: Sequence[int]) -> Batch:
        self.drawn_steps.append(step)
        rows = [uniforms(stream(seed, step, index), 64).reshape(1, 4, 4, 4) for index in indices]
        inputs = torch.from_numpy(np.stack(rows).astype(np.float32))
        if step == self.bad_step:
            inputs[min(3, len(indices) - 1), 0, 0, 0, 0] = float("nan")
        origins = tuple(f"scan_{index} at 0,0,0" for index in indices)
        return Batch(inputs, 2 * inputs, origins, drawn=len(indices), fallbacks=self.fallbacks)

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        return torch.nn.functional.mse_loss(network(batch.inputs).float(), batch.targets), {}

    def validate(self, network: nn.Module) -> dict[str, float]:
        with torch.no_grad():
            value, _ = self.loss(network, self.sample(99, 10_000, range(4)))
        return {"loss": float(value), "spread": 1.0}

    def preview(self, network: nn.Module) -> dict[str, NDArray[Any]]:
        return {"original": np.zeros((1, 4, 4, 4), np.float16)}

    def advise(self, figures: dict[str, float]) -> str | None:
        return "too good" if figures["loss"] < 0 else None


Trained = tuple[Outcome, nn.Module, RunFolder]


def train(
    folder: Path,
    task: DoubleTask,
    steps: int = 12,
    *,
    resume: bool = False,
    stop: Callable[[], bool] | None = None,
    saved: list[dict[str, float]] | None = None,
    norm: type[nn.Module] = nn.Identity,
    **settings: Any,
) -> Trained:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), norm(4), nn.ReLU(), nn.Conv3d(4, 1, 3, padding=1))
    run = RunFolder(folder) if resume else RunFolder.create(folder)
    values = {"batch_size": 4, "validate_every": 4, "checkpoint_every": 3, "precision": "float32", **settings}
    training = Training(
        task,
        network,
        TrainingSettings(**values),
        run,
        seed=1,
        device="cpu",
        save_model=lambda _network, figures: (saved if saved is not None else []).append(figures),
    )
    run.forget_stop()
    with StopRequest(run.stop_file, stop) as request:
        return training.train(steps, request, resume=resume), network, run


def weights(network: nn.Module) -> bytes:
    return b"".join(parameter.detach().contiguous().numpy().tobytes() for parameter in network.parameters())


def after(steps: int) -> Callable[[], bool]:
    calls = iter(range(1_000_000))
    return lambda: next(calls) >= steps


def test_advice_waits_until_the_learning_rate_has_risen(tmp_path: Path) -> None:
    class Advised(DoubleTask):
        def advise(self, figures: dict[str, float]) -> str | None:
            return "what helps"

    _, _, run = train(tmp_path / "run", Advised(), 12, warmup=0.34)
    assert [event["step"] for event in last_of_each_step(run.events(), "validation")] == [0, 4, 8, 12]
    assert [event["step"] for event in run.events() if event.get("message") == "what helps"] == [8, 12]


def test_a_run_learns_and_writes_what_others_read(tmp_path: Path) -> None:
    saved: list[dict[str, float]] = []
    outcome, _, run = train(tmp_path / "run", DoubleTask(), 60, saved=saved, learning_rate=0.02)
    events = list(run.events())
    steps = last_of_each_step(iter(events), "step")
    assert outcome.state == "finished"
    assert [event["step"] for event in steps] == list(range(1, 61))
    assert steps[-1]["loss"] < steps[0]["loss"] / 5
    assert {"started", "step", "validation", "preview", "checkpoint", "finished"} <= {
        event["event"] for event in events
    }
    assert run.status().state == "finished"
    assert run.status().step == 60
    assert saved[-1]["loss"] == min(event["loss"] for event in last_of_each_step(iter(events), "validation")[1:])
    assert (run.checkpoints / "last.pt").exists()
    assert (run.checkpoints / "best.pt").exists()


@pytest.mark.parametrize("stop_at", [1, 3, 4, 7, 11])
def test_a_stopped_run_resumes_to_the_very_same_weights(tmp_path: Path, stop_at: int) -> None:
    _, whole, _ = train(tmp_path / "whole", DoubleTask())
    outcome, _, _ = train(tmp_path / "parts", DoubleTask(), stop=after(stop_at))
    assert outcome.state == "stopped"
    assert outcome.progress.step == stop_at
    outcome, parts, _ = train(tmp_path / "parts", DoubleTask(), resume=True)
    assert outcome.state == "finished"
    assert weights(parts) == weights(whole)


def test_a_run_killed_after_its_checkpoint_resumes_to_the_very_same_weights(tmp_path: Path) -> None:
    _, whole, _ = train(tmp_path / "whole", DoubleTask(), accumulate=2)
    _, _, run = train(tmp_path / "parts", DoubleTask(), stop=after(6), accumulate=2)
    kept = (run.checkpoints / "last.pt").read_bytes()
    train(tmp_path / "parts", DoubleTask(), resume=True, stop=after(4), accumulate=2)
    (run.checkpoints / "last.pt").write_bytes(kept)
    _, parts, run = train(tmp_path / "parts", DoubleTask(), resume=True, accumulate=2)
    assert weights(parts) == weights(whole)
    assert [event["step"] for event in last_of_each_step(run.events(), "step")] == list(range(1, 13))


def test_a_run_without_a_checkpoint_resumes_from_the_start(tmp_path: Path) -> None:
    _, whole, _ = train(tmp_path / "whole", DoubleTask())
    RunFolder.create(tmp_path / "fresh")
    _, fresh, _ = train(tmp_path / "fresh", DoubleTask(), resume=True)
    assert weights(fresh) == weights(whole)


def test_accumulated_batches_give_the_step_of_one_large_batch(tmp_path: Path) -> None:
    _, large, _ = train(tmp_path / "large", DoubleTask(), 3, batch_size=8)
    _, parts, _ = train(tmp_path / "parts", DoubleTask(), 3, batch_size=4, accumulate=2)
    for a, b in zip(large.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", [nn.Identity, nn.BatchNorm3d])
def test_not_a_number_stops_with_the_last_good_state_and_names_the_sub_volume(
    tmp_path: Path, norm: type[nn.Module]
) -> None:
    with pytest.raises(TrainingError, match=r"step 6, on scan_3 at 0,0,0\.") as caught:
        train(tmp_path / "run", DoubleTask(bad_step=5), norm=norm)
    run = RunFolder(tmp_path / "run")
    assert run.status().state == "failed"
    assert list(run.events())[-1]["message"] == str(caught.value)
    state = torch.load(run.checkpoints / "last.pt", weights_only=True)
    assert state["progress"]["step"] == 5
    assert all(torch.isfinite(value).all() for value in state["network"].values())


def test_patience_ends_a_run_that_gets_no_better_and_it_stays_ended(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"learning_rate": 1e-12, "patience": 2, "schedule": "constant"}
    outcome, network, _ = train(tmp_path / "run", DoubleTask(), 200, **settings)
    assert outcome.state == "finished"
    assert outcome.progress.step < 100
    assert "no better validation" in outcome.reason
    again, same, _ = train(tmp_path / "run", DoubleTask(), 200, resume=True, **settings)
    assert (again.reason, again.progress.step) == (outcome.reason, outcome.progress.step)
    assert weights(same) == weights(network)


class BlindTask(DoubleTask):
    """Its first validation of a trained network is not a number."""

    validations = 0

    def validate(self, network: nn.Module) -> dict[str, float]:
        self.validations += 1
        return {**super().validate(network), **({"loss": float("nan")} if self.validations == 2 else {})}


def test_a_validation_that_is_not_a_number_is_said_and_never_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome, _, run = train(tmp_path / "run", BlindTask())
    assert outcome.progress.best_step in (8, 12)
    with TrainingReport(Output()) as report:
        for event in run.events():
            report(event)
    told = capsys.readouterr()
    assert "step 4: validation loss not a number" in told.out
    assert "this validation is not a number" in told.err


def test_groups_of_parameters_are_made_for_the_steps_that_were_planned(tmp_path: Path) -> None:
    planned: list[int] = []

    def groups(network: nn.Module, steps: int) -> list[dict[str, Any]]:
        planned.append(steps)
        return [{"params": list(network.parameters()), "frozen_until": steps // 10}]

    network, run = nn.Sequential(nn.Conv3d(1, 1, 1)), RunFolder.create(tmp_path / "run")
    training = Training(
        DoubleTask(),
        network,
        TrainingSettings(max_hours=1),
        run,
        seed=1,
        device="cpu",
        save_model=lambda _network, _figures: None,
        groups=groups,
    )
    training.plan(TrainingSettings(max_hours=1, max_steps=150))
    assert planned[-1] == 150
    assert training.stepper.optimiser.param_groups[0]["frozen_until"] == 15


def test_the_time_budget_ends_a_run(tmp_path: Path) -> None:
    outcome, _, _ = train(tmp_path / "run", DoubleTask(), 10**6, max_hours=1 / 3600)
    assert outcome.state == "finished"
    assert "time budget" in outcome.reason


def test_without_held_out_scans_the_last_state_is_the_model(tmp_path: Path) -> None:
    saved: list[dict[str, float]] = []
    train(tmp_path / "run", DoubleTask(held_out=False), saved=saved)
    assert [figures["step"] for figures in saved] == [12]


def test_a_stop_file_stops_a_run_and_is_gone_after_resuming(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")

    def ask() -> bool:
        if run.status().step == 0 and run.checkpoints.joinpath("last.pt").exists():
            run.ask_to_stop()
        return False

    outcome, _, _ = train(tmp_path / "run", DoubleTask(), stop=ask)
    assert outcome.state == "stopped"
    assert "stop file" in outcome.reason
    outcome, _, _ = train(tmp_path / "run", DoubleTask(), resume=True)
    assert outcome.state == "finished"
    assert not run.stop_file.exists()


def test_a_run_of_mostly_last_resort_sub_volumes_stops_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(SamplingError, match="every try"):
        train(tmp_path / "run", DoubleTask(fallbacks=3), 100)
    assert RunFolder(tmp_path / "run").status().state == "failed"


def test_previews_are_bounded_and_keep_the_first(tmp_path: Path) -> None:
    _, _, run = train(tmp_path / "run", DoubleTask(), 30, validate_every=1)
    kept = sorted(path.name for path in run.previews.iterdir())
    assert len(kept) == 10
    assert kept[0] == "step_0000000.npz"
    assert kept[-1] == "step_0000030.npz"


def test_timing_steps_leaves_the_training_untouched(tmp_path: Path) -> None:
    _, whole, _ = train(tmp_path / "whole", DoubleTask())
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 1, 3, padding=1))
    settings = TrainingSettings(batch_size=4, validate_every=4, checkpoint_every=3, precision="float32")
    run = RunFolder.create(tmp_path / "timed")
    training = Training(
        DoubleTask(), network, settings, run, seed=1, device="cpu", save_model=lambda _network, _figures: None
    )
    assert training.seconds_per_step() > 0
    with StopRequest(run.stop_file) as request:
        training.train(12, request, resume=False)
    assert weights(network) == weights(whole)


def test_a_line_cut_by_a_kill_is_passed_over_and_not_continued(tmp_path: Path) -> None:
    _, _, run = train(tmp_path / "run", DoubleTask(), stop=after(4))
    with open(run.events_file, "a", encoding="utf-8") as file:
        file.write('{"v": 1, "event": "st')
    train(tmp_path / "run", DoubleTask(), resume=True)
    whole_lines = [line for line in run.events_file.read_text().splitlines() if line.endswith("}")]
    assert len(list(read_events(run.events_file))) == len(whole_lines)
    assert json.loads(whole_lines[-1])["event"] == "finished"


def test_a_stopped_run_with_averaged_weights_goes_on_to_the_same_average(tmp_path: Path) -> None:
    whole: list[dict[str, float]] = []
    halves: list[dict[str, float]] = []
    train(tmp_path / "whole", DoubleTask(), saved=whole, ema=0.9, keep="last")
    train(tmp_path / "halves", DoubleTask(), stop=after(6), ema=0.9, keep="last")
    train(tmp_path / "halves", DoubleTask(), resume=True, saved=halves, ema=0.9, keep="last")
    states = [
        torch.load(tmp_path / name / "checkpoints" / "last.pt", weights_only=True)["averaged"]
        for name in ("whole", "halves")
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert whole[-1] == halves[-1]


def test_keeping_the_last_state_saves_at_every_validation_whether_better_or_not(tmp_path: Path) -> None:
    saved: list[dict[str, float]] = []
    train(tmp_path / "run", DoubleTask(), saved=saved, keep="last", learning_rate=1e-6)
    assert [figures["step"] for figures in saved] == [4, 8, 12]
