"""How far a folder of scans is, how long it will still take, and ending it between two windows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from threshold_models import save_threshold_model
from torch import nn

from genesis_core.cli.output import Output
from genesis_core.cli.scan_pace import ScanPace
from genesis_core.cli.segment import run
from genesis_core.cli.segment_settings import SegmentSettings
from genesis_core.inference.averaging import make_averaging_predictor
from genesis_core.inference.mirroring import Mirror
from genesis_core.inference.sliding_window import Predict, Stopped
from genesis_core.volumes.volume import Volume
from genesis_core.volumes.writing import write_volume


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_said_of_everything_before_one_scan_is_through() -> None:
    clock = Clock()
    pace = ScanPace(4, clock)
    assert pace.words == ""
    pace.begin()
    assert (pace.seconds_left, pace.seconds_left_all, pace.words) == (None, None, "")
    clock.now = 10
    pace.windows(2, 10)
    assert (pace.seconds_left, pace.seconds_left_all) == (40, None)
    assert pace.words == "40 s left of this one"
    clock.now = 60
    pace.end(counts=True)
    pace.begin()
    # Not a window yet: three scans of a minute each.
    assert (pace.seconds_left, pace.seconds_left_all) == (None, 180)
    clock.now = 70
    pace.windows(5, 10)
    assert (pace.seconds_left, pace.seconds_left_all, pace.done) == (10, 130, 1.5)
    assert pace.words == "about 2 min left"


def test_a_bad_scan_makes_the_others_no_faster() -> None:
    clock = Clock()
    pace = ScanPace(3, clock)
    pace.begin()
    clock.now = 1
    pace.end(counts=False)
    pace.begin()
    assert pace.seconds_left_all is None
    clock.now = 31
    pace.end(counts=True)
    pace.begin()
    # It is the last one, of which nothing is known yet but that others took half a minute.
    assert (pace.number, pace.done) == (3, 2.0)
    clock.now = 33
    pace.windows(1, 3)
    assert pace.seconds_left_all == pace.seconds_left == 4


class Listening(Output):
    def __init__(self) -> None:
        super().__init__(as_json=True)
        self.records: list[dict[str, Any]] = []

    def record(self, values: dict[str, Any]) -> None:
        self.records.append(json.loads(json.dumps(values)))


@pytest.fixture
def settings(tmp_path: Path) -> SegmentSettings:
    for number, name in enumerate(("a", "b", "c")):
        array = np.random.default_rng(number).integers(-1200, 1200, (9, 20, 18), dtype=np.int16)
        (tmp_path / "scans").mkdir(exist_ok=True)
        write_volume(Volume.from_array(array, (1.0, 1.0, 2.0)), tmp_path / "scans" / f"{name}.nii.gz")
    model = save_threshold_model(tmp_path / "model")
    return SegmentSettings(scan=tmp_path / "scans", model=(model,), out=tmp_path / "out", device="cpu")


def test_programs_hear_which_scan_of_how_many(settings: SegmentSettings) -> None:
    output = Listening()
    assert run(settings, output) == 0
    begun = [one for one in output.records if one["event"] == "begun"]
    assert [(one["scan"], one["number"], one["scans"]) for one in begun] == [
        ("a.nii.gz", 1, 3),
        ("b.nii.gz", 2, 3),
        ("c.nii.gz", 3, 3),
    ]
    assert begun[0]["seconds_left_all"] is None
    assert begun[1]["seconds_left_all"] is not None
    progress = [one for one in output.records if one["event"] == "progress"]
    assert all(one["scans"] == 3 and one["seconds_left"] is not None for one in progress)
    assert all((one["seconds_left_all"] is None) == (one["number"] == 1) for one in progress)
    assert progress[-1]["seconds_left_all"] == 0


@pytest.mark.parametrize("allowed", [0, 1, 4])
def test_it_ends_as_soon_as_it_is_asked_and_goes_on_from_there(settings: SegmentSettings, allowed: int) -> None:
    output = Listening()
    asked = iter(range(10**6))
    with pytest.raises(Stopped, match=r"Stopped: 0 of 3 scans segmented; --skip-existing goes on from here"):
        run(settings, output, stop=lambda: next(asked) >= allowed)
    # It was not asked again.
    assert next(asked) == allowed + 1
    assert output.records[-1] == {"event": "stopped", "segmented": 0, "skipped": 0, "failed": []}
    assert not list(settings.out.rglob("*.nii.gz"))
    assert run(settings.model_copy(update={"skip_existing": True}), Listening()) == 0
    assert len(list(settings.out.rglob("*.nii.gz"))) == 3


class Named(nn.Module):
    """Returns what it gets. heard: where it writes its name; the predictor works on copies of networks."""

    heard: ClassVar[list[str]] = []

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.heard.append(self.name)
        return batch


def test_stop_is_asked_between_models_and_views_of_one_window() -> None:
    Named.heard.clear()
    window = np.zeros((1, 1, 4, 4, 4), np.float32)
    mirrors = [Mirror((), ()), Mirror((0,), (0,))]

    def predictor(stop: Callable[[], bool] | None) -> Predict:
        networks = [Named("a"), Named("b"), Named("c")]
        return make_averaging_predictor(networks, "sigmoid", torch.device("cpu"), "float32", mirrors, stop=stop)

    with pytest.raises(Stopped):
        predictor(lambda: len(Named.heard) == 3)(window)
    assert Named.heard == ["a", "a", "b"]
    # Left alone it goes through all of them.
    Named.heard.clear()
    np.testing.assert_array_equal(predictor(lambda: False)(window), np.full_like(window, 0.5))
    assert Named.heard == ["a", "a", "b", "b", "c", "c"]
