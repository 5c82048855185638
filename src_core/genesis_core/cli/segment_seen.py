"""Which of the scans to be segmented the model has learnt from: said, since its results there flatter it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genesis_core.cli.output import Output

if TYPE_CHECKING:
    from genesis_core.studies.review.usual import TrainedOn
    from genesis_core.volumes.volume import Volume

# Whoever waits longer than this is told what for.
_LONG = 2.0


def learnt_from(models: Sequence[Path], output: Output, stop: Callable[[], bool] | None) -> TrainedOn:
    """Return what the runs learnt from, as far as the models lie in their runs; a model alone does not know."""
    from genesis_core.studies.review.usual import runs_of, trained_on

    began, told = time.monotonic(), False

    def wait(done: int, total: int) -> None:
        nonlocal told
        if not told and time.monotonic() - began > _LONG:
            told = True
            output.say(f"Reading the {total} cases the model was trained on, to know them among these scans.")

    learnt = trained_on(runs_of(models), progress=wait, stop=stop)
    for note in learnt.notes:
        output.say(note)
    return learnt


def training_case(learnt: TrainedOn, volumes: Sequence[Volume]) -> str | None:
    """Return the name of the training case that a scan (a volume per channel) is; None if it is none."""
    from genesis_core.volumes.voxel_fingerprint import image_fingerprint

    return learnt.case_of(map(image_fingerprint, volumes)) if learnt.fingerprints else None


def tell_seen(seen: Sequence[str], output: Output) -> None:
    """Say which scans, by name, the model has learnt from."""
    from genesis_core.volumes.labelled.layout import some

    if seen:
        output.warn(
            f"the model was trained or validated on {len(seen)} of these scans ({some(seen)}): how well it does there "
            "tells nothing of new scans. Its run has the figures of cases that were held out"
        )
