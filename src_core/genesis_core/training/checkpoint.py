"""Checkpoints: the full training state in one file, written so that a kill at any moment leaves a usable one.

The state is weights, optimiser, step, and a few numbers (best figure, fallbacks counted, seconds spent, the scale of a
float16 loss, how many sub-volumes fit the memory at a time). No state of a generator is stored: what is drawn at a step
depends on the seed and the step alone.
"""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from genesis_core.atomic import replacing
from genesis_core.errors import RunError

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


@dataclass
class Progress:
    """Where a run stands. step: optimiser steps done. best: lowest monitored figure, at `best_step`.

    stale: validations since the best. drawn, fallbacks: sub-volumes so far. seconds: time spent training, all resumes.
    total_steps: where the schedule ends. figures: of the last validation, at `validated_step`.
    """

    total_steps: int
    step: int = 0
    best: float | None = None
    best_step: int | None = None
    stale: int = 0
    drawn: int = 0
    fallbacks: int = 0
    seconds: float = 0.0
    validated_step: int | None = None
    figures: dict[str, float] = field(default_factory=dict)


class Stateful(Protocol):
    """What has a state of plain values, as a `Stepper`: the scale of its loss, what memory allows."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        ...


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimiser: Optimizer,
    progress: Progress,
    averaged: nn.Module | None = None,
    stepper: Stateful | None = None,
) -> None:
    """Write the full training state to `path`, atomically. averaged: the running average of the weights, if any.

    stepper: what else goes on from step to step. Raises OSError if it cannot be written, on a full disk for instance.
    """
    import torch

    state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "progress": asdict(progress)}
    if averaged is not None:
        state["averaged"] = averaged.state_dict()
    if stepper is not None:
        state["stepper"] = stepper.state_dict()
    with replacing(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError:
            # torch does not pass on what the system said; writing a little more lets it say so again.
            with open(temporary, "ab") as file:
                file.write(bytes(1 << 20))
            raise


def load_checkpoint(
    path: Path,
    network: nn.Module,
    optimiser: Optimizer,
    averaged: nn.Module | None = None,
    stepper: Stateful | None = None,
) -> Progress:
    """Restore the state saved by `save_checkpoint`; nothing in the file is executed.

    A checkpoint from before there was a stepper's state leaves `stepper` as it is.

    Raises RunError if the file is damaged, belongs to another network, or holds code.
    """
    import torch

    try:
        _check_archive(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        if averaged is not None:
            averaged.load_state_dict(state["averaged"])
        if stepper is not None and "stepper" in state:
            stepper.load_state_dict(state["stepper"])
        return Progress(**state["progress"])
    except pickle.UnpicklingError:
        # torch's own words tell how to run the code.
        raise RunError(f"{path}: this checkpoint is refused, because reading it would run code stored in it") from None
    except (RuntimeError, KeyError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile) as problem:
        reason = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
        raise RunError(f"{path}: this checkpoint cannot be used ({reason})") from None


def _check_archive(path: Path) -> None:
    """Check the sums that torch stores in the file but does not look at when it reads it."""
    with zipfile.ZipFile(path) as archive:
        # torch gives whatever lay in memory for a part that is marked as a folder.
        if any(part.compress_type != zipfile.ZIP_STORED or part.external_attr for part in archive.infolist()):
            raise ValueError("its list of parts is damaged")
        damaged = archive.testzip()
    if damaged:
        raise ValueError(f"its part '{damaged}' is damaged: the checksum differs")
