"""Which engine corrupts a run's sub-volumes: chosen by the device, said, stored, and kept at resume."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import genesis_core as gc
from genesis_core.corruptions.nonlinear import Nonlinear
from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import SettingsError
from genesis_core.randomness import uniforms
from genesis_core.training.corruption_engine import choose_engine
from genesis_core.training.events import last_of_each_step
from genesis_core.training.run_folder import RunFolder

GENESIS = Recipe.genesis()
SMALL: dict[str, Any] = {
    "sampling": {"patch_size": [8, 16, 16]},
    "network": {"width": 2, "depth": 2},
    "training": {"batch_size": 2, "max_steps": 6, "validate_every": 3, "checkpoint_every": 2, "threads": 1},
    "validation_samples": 2,
    # Windows of more than a voxel in patches this small, so that the engines differ.
    "recipe": {"steps": [{"kind": "local_shuffle", "max_window": 0.3}, {"kind": "nonlinear"}]},
}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for index in range(3):
        values = uniforms(index, 12 * 24 * 24).reshape(12, 24, 24)
        array = (1000 * values - 500).astype(np.int16)
        gc.write_volume(gc.Volume.from_array(array, spacing=(1.5, 1.5, 2.0)), folder / f"{index}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def on_device(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose sub-volumes the torch engine corrupted, on the CPU."""
    return gc.pretrain(scans, tmp_path_factory.mktemp("runs") / "run", settings={**SMALL, "corrupt_on": "device"})


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run.checkpoints / "last.pt", weights_only=True)["network"]
    return state


def same(one: RunFolder, other: RunFolder) -> bool:
    return all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


def test_a_run_says_and_stores_its_engine(on_device: RunFolder, scans: Path, tmp_path: Path) -> None:
    assert yaml.safe_load(on_device.settings_file.read_text())["corrupt_on"] == "device"
    (said,) = [event for event in on_device.events() if event["event"] == "corrupting"]
    assert said["corrupt_on"] == "device"
    assert said["message"] == "sub-volumes are corrupted on cpu, by the torch engine"
    usual = gc.pretrain(scans, tmp_path / "usual", settings=SMALL, device="cpu")
    assert yaml.safe_load(usual.settings_file.read_text())["corrupt_on"] == "cpu"
    first = [next(iter(last_of_each_step(run.events(), "validation"))) for run in (usual, on_device)]
    assert first[0]["loss"] == first[1]["loss"]
    assert not same(usual, on_device)


def test_a_run_stopped_and_resumed_keeps_its_engine_and_ends_the_same(
    on_device: RunFolder, scans: Path, tmp_path: Path
) -> None:
    asked = itertools.count()
    run = gc.pretrain(scans, tmp_path / "run", settings={**SMALL, "corrupt_on": "device"}, stop=lambda: next(asked) > 6)
    assert run.status().state == "stopped"
    assert 0 < run.status().step < 6
    resumed = gc.pretrain(out=run.path, resume=True)
    assert resumed.status().state == "finished"
    assert [event["corrupt_on"] for event in run.events() if event["event"] == "corrupting"] == ["device"] * 2
    assert same(resumed, on_device)
    with pytest.raises(SettingsError, match="corrupt_on"):
        gc.pretrain(out=run.path, resume=True, settings={"corrupt_on": "cpu"})


@pytest.mark.parametrize(
    ("asked", "device", "begun", "expected"),
    [
        ("auto", "cpu", False, "cpu"),
        ("auto", "mps", False, "cpu"),
        ("auto", "cuda:1", False, "device"),
        # A run from before the choice existed corrupted on the CPU.
        ("auto", "cuda", True, "cpu"),
        ("device", "cuda", True, "device"),
        ("device", "cpu", False, "device"),
        ("cpu", "cuda", False, "cpu"),
    ],
)
def test_the_engine_follows_the_setting_and_the_device(asked: Any, device: str, begun: bool, expected: str) -> None:
    engine = choose_engine(asked, GENESIS, device, begun=begun)
    assert engine.corrupt_on == expected
    assert engine.note is None


def test_a_recipe_the_torch_engine_does_not_know_is_corrupted_on_the_cpu_with_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Nonlinear, "on_device", lambda _self: None)
    for asked in ("auto", "device"):
        engine = choose_engine(asked, GENESIS, "cuda", begun=False)  # type: ignore[arg-type]
        assert engine.corrupt_on == "cpu"
        assert engine.note is not None
        assert "does not know nonlinear" in engine.note
    assert choose_engine("cpu", GENESIS, "cuda", begun=False).note is None
