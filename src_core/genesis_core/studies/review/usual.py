"""What a run was trained on: the voxels it has seen, and what its structures are usually like there.

The labelled folders of the rounds are checked as a training checks them; what was read once is remembered, so this
costs seconds after a training. Where a folder is gone, that is said, and nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from genesis_core.errors import GenesisError, RunError

if TYPE_CHECKING:
    from genesis_core.volumes.labelled.check_records import CaseRecord


@dataclass(frozen=True)
class TrainedOn:
    """What the runs of a review learnt from.

    fingerprints: of the scans they trained or validated on, with the name of each case. usual: by structure, cases
    (that show it), looked_for, ml (of each), largest (median share in the largest piece), at_border (share of cases).
    regions: structures that are made of others. notes: what could not be found out.
    """

    fingerprints: dict[str, str] = field(default_factory=dict)
    usual: dict[str, dict[str, Any]] = field(default_factory=dict)
    regions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def case_of(self, fingerprints: Iterable[str]) -> str | None:
        """Return the name of the case that one of these scans was in training; None if none was."""
        return next((self.fingerprints[one] for one in fingerprints if one in self.fingerprints), None)


def runs_of(models: Iterable[Path]) -> list[Path]:
    """Return the runs that these runs and model folders are, or lie in as their run's own; others are left out."""
    from genesis_core.training.run_folder import RunFolder

    places = [model.resolve() for model in models]
    runs = [place.parent if RunFolder(place.parent).model == place else place for place in places]
    return [run for run in dict.fromkeys(runs) if RunFolder(run).is_run]


def trained_on(
    runs: Sequence[Path],
    *,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> TrainedOn:
    """Return what these runs learnt from. progress: called as (cases read, all). stop: ends it early.

    Nothing is raised for a run whose labelled folder is gone or damaged: the notes say so.
    """
    from genesis_core.training.finetune_settings import FinetuneSettings
    from genesis_core.training.run_folder import RunFolder
    from genesis_core.training.run_settings import read_settings

    seen: dict[str, str] = {}
    records: dict[str, CaseRecord] = {}
    notes: list[str] = []
    regions: tuple[str, ...] = ()
    for run in runs:
        if not RunFolder(run).is_run:
            notes.append(
                f"{run.name} is a model without its run: whether it has seen some of these scans in training cannot be "
                "told, nor what is usual for its structures."
            )
            continue
        try:
            settings = read_settings(RunFolder(run))
            if not isinstance(settings, FinetuneSettings):
                raise RunError(f"{run}: is a run of {settings.task}")
            regions = tuple(settings.data.regions)
            for record in _records(settings, progress, stop):
                records[record.id] = record
                seen |= {channel.fingerprint: record.name for channel in record.channels if not channel.is_constant}
        except (GenesisError, OSError) as problem:
            notes.append(
                f"Which scans {run.name} was trained on cannot be read, so none can be recognised ({problem})."
            )
    return TrainedOn(seen, _usual(list(records.values())), regions, tuple(dict.fromkeys(notes)))


def _records(
    settings: Any, progress: Callable[[int, int], None] | None, stop: Callable[[], bool] | None
) -> list[CaseRecord]:
    """Return the usable cases that trained or validated; those of a test part did neither."""
    from genesis_core.training.labelled_data import find_set
    from genesis_core.volumes.labelled.checking import check_labelled

    check = check_labelled(find_set(settings), progress=progress, should_stop=stop)
    cases = settings.cases
    used = None if cases is None else {*cases.training, *cases.validation}
    return [
        record
        for record in check.usable
        if record.has_label and (record.part == "training" if used is None else record.id in used)
    ]


def _usual(records: Sequence[CaseRecord]) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys(drawn.name for record in records for drawn in record.structures)
    usual = {}
    for name in names:
        drawn = [one for record in records for one in record.structures if one.name == name]
        searched = [one.largest for one in drawn if one.specks is not None]
        usual[name] = {
            "cases": len(drawn),
            "looked_for": sum(record.was_looked_for(name) for record in records),
            "ml": [one.millilitres for one in drawn],
            "largest": median(searched) if searched else None,
            "at_border": round(fmean(one.at_border for one in drawn), 4),
        }
    return usual
