"""What TensorBoard shows of a run: each figure of its events once, also after a kill; or a sentence that it cannot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_training_loop import DoubleTask, after, train

from genesis_core.training.events import last_of_each_step
from genesis_core.training.run_folder import RunFolder


def shown(run: RunFolder) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every scalar by name, as TensorBoard reads the folder."""
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reading.EventAccumulator(str(run.tensorboard)).Reload()
    return {name: [(one.step, one.value) for one in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_every_figure_is_shown_once_also_after_a_kill(tmp_path: Path) -> None:
    _, _, run = train(tmp_path / "run", DoubleTask(), stop=after(3))
    kept = (run.checkpoints / "last.pt").read_bytes()
    train(tmp_path / "run", DoubleTask(), resume=True, stop=after(3))
    # As if it had been killed after its checkpoint of step 3.
    (run.checkpoints / "last.pt").write_bytes(kept)
    _, _, run = train(tmp_path / "run", DoubleTask(), resume=True, learning_rate=0.1)
    scalars, events = shown(run), list(run.events())
    for kind, names in (("step", ("loss", "learning_rate", "gradient_norm")), ("validation", ("loss", "spread"))):
        last = last_of_each_step(iter(events), kind)
        for name in names:
            wanted = [(event["step"], pytest.approx(event[name])) for event in last]
            assert scalars[f"{kind}/{name}"] == wanted, (kind, name)
    assert [step for step, _ in scalars["step/loss"]] == list(range(1, 13))


def test_without_tensorboard_that_is_said_once_and_the_run_is_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train(tmp_path / "run", DoubleTask(), stop=after(4))
    outcome, _, run = train(tmp_path / "run", DoubleTask(), resume=True)
    assert outcome.state == "finished"
    said = [event["message"] for event in run.events() if event["event"] == "warning"]
    assert len(said) == 1
    assert "TensorBoard is not installed" in said[0]
