"""The thread count of a run is that of its settings, also when it goes on where the environment says another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import genesis_core as gc
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels

SETTINGS: dict[str, Any] = {
    "network": {"width": 2},
    "training": {"validate_every": 9, "batch_size": 1, "precision": "float32", "threads": 2},
    "validation_samples": 1,
    "sampling": {"patch_size": [16, 16, 16]},
}


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small phantoms with their bodies labelled."""
    folder = tmp_path_factory.mktemp("set") / "labelled"
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(2):
        phantom = make_phantom(number, (16, 20, 20))
        body = (phantom.labels.array > 0).astype("u1")
        gc.write_volume(phantom.volume, folder / "images" / f"{number}.nii.gz")
        labels = LabelVolume((body,), phantom.labels.geometry, (Structure("body", 1),))
        write_labels(labels, folder / "labels" / f"{number}.nii.gz")
    return folder


def threads_of(train: Callable[..., Any], halt: bool = False, **arguments: Any) -> set[int]:
    """Return how many threads torch had at the steps of a training that began with one."""
    torch.set_num_threads(1)
    seen = set()

    def report(*said: Any) -> None:
        if said[-1]["event"] == "step":
            seen.add(torch.get_num_threads())

    train(**arguments, report=report, stop=lambda: halt and bool(seen))
    return seen


def test_a_pretraining_computes_with_the_threads_it_began_with(labelled: Path, tmp_path: Path) -> None:
    first = {"scans": labelled / "images", "settings": SETTINGS, "max_steps": 4}
    assert threads_of(gc.pretrain, halt=True, out=tmp_path / "run", **first) == {2}
    assert threads_of(gc.pretrain, out=tmp_path / "run", resume=True) == {2}


def test_a_finetuning_computes_with_the_threads_it_began_with(labelled: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "data": {"spacing": "as scanned"}}
    first = {"labelled": labelled, "settings": settings, "max_steps": 4, "folds": 1}
    assert threads_of(gc.finetune, halt=True, out=tmp_path / "run", **first) == {2}
    assert threads_of(gc.finetune, out=tmp_path / "run", resume=True) == {2}
