"""The file a run goes on from: a flipped bit is seen, no code in it runs, and no failed write harms the one before."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from test_training_loop import DoubleTask, after, train, weights
from torch import nn
from torch.optim import AdamW

from genesis_core.errors import RunError, TrainingError
from genesis_core.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from genesis_core.training.previews import read_preview
from genesis_core.training.run_folder import RunFolder

Trainer = tuple[nn.Module, AdamW]
# How an entry of the list of parts at the end of a zip file begins.
ENTRY = b"PK\x01\x02"


def trainer(seed: int, width: int = 4) -> Trainer:
    """A network after one step of its optimiser, which then has a state of its own."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv3d(1, width, 3), nn.BatchNorm3d(width))
    optimiser = AdamW(network.parameters(), lr=0.1)
    network(torch.rand(2, 1, 4, 4, 4)).square().sum().backward()
    optimiser.step()
    return network, optimiser


def state(one: Trainer) -> list[bytes]:
    """All that a checkpoint keeps of it, to the last bit."""
    network, optimiser = one[0].state_dict(), one[1].state_dict()
    tensors = [*network.values(), *(value for kept in optimiser["state"].values() for value in kept.values())]
    return [tensor.numpy().tobytes() for tensor in tensors] + [repr(optimiser["param_groups"]).encode()]


@pytest.fixture
def last(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "last.pt", *trainer(1), Progress(total_steps=9, step=5, best=0.25))
    return tmp_path / "last.pt"


def is_refused(path: Path) -> bool:
    """Whether the checkpoint cannot be read; if it can, it must be as good as whole."""
    read = trainer(2)
    try:
        progress = load_checkpoint(path, *read)
    except RunError as problem:
        return str(path) in str(problem)
    assert progress == Progress(total_steps=9, step=5, best=0.25)
    assert state(read) == state(trainer(1))
    return False


def flip(path: Path, content: bytes, place: int, bit: int) -> None:
    """Write `content` with one bit flipped."""
    damaged = bytearray(content)
    damaged[place] ^= 1 << bit
    path.write_bytes(damaged)


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(last: Path) -> None:
    content, generator = last.read_bytes(), np.random.default_rng(1)
    with zipfile.ZipFile(last) as archive:
        # Weights and the optimiser's state, which torch reads without a look at their checksums.
        parts = [(part, archive.read(part)) for part in archive.infolist() if "/data/" in part.filename]
    for part, values in parts:
        place = content.index(values, part.header_offset + 30 + len(part.filename)) + int(
            generator.integers(len(values))
        )
        flip(last, content, place, int(generator.integers(8)))
        assert is_refused(last), part.filename
    whole = 0
    for place in generator.integers(0, len(content), 60):
        flip(last, content, int(place), int(generator.integers(8)))
        whole += not is_refused(last)
    assert 0 < whole < 40


def test_weights_marked_as_a_folder_are_refused(last: Path) -> None:
    content = last.read_bytes()
    # MS-DOS attributes of a part stand 38 bytes into its entry of the list; torch would hand out memory as it lay.
    for entry in re.finditer(re.escape(ENTRY), content):
        flip(last, content, entry.start() + 38, 4)
        assert is_refused(last)


def test_a_checkpoint_cut_short_is_refused(last: Path) -> None:
    content = last.read_bytes()
    for kept in (0, 1, 30, len(content) // 2, len(content) - 1):
        last.write_bytes(content[:kept])
        with pytest.raises(RunError, match=r"last\.pt: this checkpoint cannot be used"):
            load_checkpoint(last, *trainer(2))


def test_a_run_does_not_go_on_from_a_damaged_checkpoint_and_says_which(tmp_path: Path) -> None:
    _, _, run = train(tmp_path / "run", DoubleTask(), stop=after(4))
    path = run.checkpoints / "last.pt"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(RunError, match=r"last\.pt"):
        train(tmp_path / "run", DoubleTask(), resume=True)
    assert run.status().state == "failed"


class Trap:
    """A pickle that would make a file when it is opened."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


def test_code_in_a_checkpoint_is_refused_and_not_run(last: Path, tmp_path: Path) -> None:
    content = torch.load(last, weights_only=True)
    # A new file: what torch writes replaces nothing of this one.
    last.unlink()
    torch.save({**content, "extra": Trap(tmp_path / "executed")}, last)
    with pytest.raises(RunError, match=r"last\.pt.* code stored in it$"):
        load_checkpoint(last, *trainer(2))
    assert not (tmp_path / "executed").exists()


def test_code_in_a_preview_is_refused_and_not_run(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    evil = np.array([[[[Trap(tmp_path / "executed")]]]], dtype=object)
    np.savez(run.previews / "step_0000001.npz", original=evil)
    with pytest.raises(ValueError, match="allow_pickle"):
        read_preview(run, "last")
    assert not (tmp_path / "executed").exists()


def no_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next checkpoint be written to a device that is always full."""
    monkeypatch.setattr("genesis_core.atomic.uuid.uuid4", lambda: SimpleNamespace(hex="full" * 8))
    (folder / ".fullfull.tmp.last.pt").symlink_to("/dev/full")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_is_full_is_named_and_the_run_goes_on_from_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole, _ = train(tmp_path / "whole", DoubleTask())
    _, _, run = train(tmp_path / "run", DoubleTask(), stop=after(4))
    kept = (run.checkpoints / "last.pt").read_bytes()
    with monkeypatch.context() as full:
        no_room(run.checkpoints, full)
        with pytest.raises(TrainingError, match="the disk is full: free some space, then go on with --resume"):
            train(tmp_path / "run", DoubleTask(), resume=True)
    assert (run.checkpoints / "last.pt").read_bytes() == kept
    assert run.status().state == "failed"
    assert "the disk is full" in run.status().message
    _, parts, _ = train(tmp_path / "run", DoubleTask(), resume=True)
    assert weights(parts) == weights(whole)


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits there")
def test_a_checkpoint_that_fits_only_in_part_leaves_the_one_before(tmp_path: Path) -> None:
    import resource

    path, large = tmp_path / "last.pt", trainer(1, width=2000)
    save_checkpoint(path, *large, Progress(9, step=3))
    kept = path.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (4096, len(kept) // 2, len(kept) - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(OSError, match="too large"):
                save_checkpoint(path, *large, Progress(9, step=6))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.read_bytes() == kept
        assert list(tmp_path.iterdir()) == [path]
    assert load_checkpoint(path, *trainer(2, width=2000)).step == 3


class Killed(BaseException):
    """The end of a process."""


def half_written(_: Any, path: Path) -> None:
    path.write_bytes(b"half of a checkpoint")
    raise Killed


def never(*_: object) -> None:
    raise Killed


@pytest.mark.parametrize(("name", "death"), [("torch.save", half_written), ("os.fsync", never), ("os.replace", never)])
def test_a_death_inside_the_write_leaves_the_checkpoint_before(
    last: Path, monkeypatch: pytest.MonkeyPatch, name: str, death: Callable[..., None]
) -> None:
    kept = last.read_bytes()
    with monkeypatch.context() as dying:
        dying.setattr(name, death)
        with pytest.raises(Killed):
            save_checkpoint(last, *trainer(3), Progress(9, step=6))
    assert last.read_bytes() == kept


def test_a_checkpoint_is_on_the_disk_before_it_takes_the_place_of_the_one_before(
    last: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, real=real: (done.append(name), real(*given))[1])
    save_checkpoint(last, *trainer(3), Progress(9, step=6))
    assert done == ["fsync", "replace"]
    assert load_checkpoint(last, *trainer(2)).step == 6
