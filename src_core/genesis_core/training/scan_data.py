"""From the folder in the settings to scans ready to be sampled: found, prepared, cached, and split by scan.

People are told names of files, the run folder only pseudonyms: it may be shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from genesis_core.errors import RunError, SamplingError
from genesis_core.sampling.cache import CachedScan
from genesis_core.sampling.preparing import decide_modality, prepare_scans
from genesis_core.sampling.settings import DataSettings
from genesis_core.sampling.split import split_scans
from genesis_core.training.pretrain_settings import Cases, PretrainSettings
from genesis_core.volumes.chosen_series import chosen_scans
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.scans import Scan, list_scans

# Called with the kind of an event, its values, and the sentence for the person, where it names a file.
Report = Callable[[str, dict[str, Any], str | None], None]
# Notes on single scans beyond these are counted, not listed.
_NOTES_SAID = 5


@dataclass(frozen=True)
class ScanData:
    """The scans of a run. settings, cases: as resolved, for run.yaml."""

    training: Sequence[CachedScan]
    validation: Sequence[CachedScan]
    preprocessing: Preprocessing
    settings: DataSettings
    cases: Cases


def prepare_scan_data(
    settings: PretrainSettings,
    report: Report,
    should_stop: Callable[[], bool],
    found: Callable[[Sequence[Scan]], None] | None = None,
) -> ScanData | None:
    """Find, prepare and split the scans of `settings.data`; bad ones are reported and left out.

    With `settings.cases` (a resumed or repeated run) exactly those scans are used. Returns None if `should_stop` said
    so before all were prepared. found: told the scans as soon as they are known, before any is opened.
    Raises VolumeError if the folder is missing, SamplingError if no scan is usable, RunError if a named case is gone.
    """
    assert settings.data.scans is not None
    scans = list_scans(settings.data.scans)
    if not scans:
        raise SamplingError(
            f"{settings.data.scans}: no scans in this folder (napari-genesis inspect shows what is there)"
        )
    if settings.data.series is not None:
        scans = chosen_scans(scans, settings.data.series)
    if found:
        found(scans)
    if settings.cases is not None:
        scans = _named_cases(scans, settings)
    names = {scan.id: scan.relative for scan in scans}
    cache = settings.data.cache
    modality, how = decide_modality(scans, settings.data.modality, cache)
    if should_stop():
        return None
    preprocessing = settings.data.preprocessing(modality)
    cached, problems = prepare_scans(
        scans,
        preprocessing,
        cache,
        should_stop=should_stop,
        progress=lambda done, total, _id: report("preparing", {"done": done, "total": total}, None),
    )
    if should_stop():
        return None
    for scan, reason in problems:
        _warn(report, scan.id, names[scan.id], f"is left out: {reason.removeprefix(f'{scan.id}: ')}")
    if settings.cases is not None and problems:
        raise RunError(f"{len(problems)} of the run's scans can no longer be read; put them back to repeat this run")
    cases = settings.cases or _split(cached, settings, report)
    by_id = {scan.id: scan for scan in cached}
    training = [by_id[name] for name in cases.training]
    validation = [by_id[name] for name in cases.validation]
    _say_notes(cached, names, report)
    counted = f"{len(training)} scan{'s' if len(training) > 1 else ''} to train on"
    held_out = f", {len(validation)} held out for validation" if validation else ""
    report(
        "prepared",
        {
            "training_scans": len(training),
            "validation_scans": len(validation),
            "refused": len(problems),
            "message": f"{counted}{held_out}. {how} {preprocessing.describe()}",
        },
        None,
    )
    resolved = settings.data.model_copy(update={"modality": modality, "intensity": preprocessing.intensity})
    return ScanData(training, validation, preprocessing, resolved, cases)


def _split(cached: Sequence[CachedScan], settings: PretrainSettings, report: Report) -> Cases:
    split = split_scans([scan.id for scan in cached], settings.data.validation_fraction, settings.seed)
    if split.warning:
        report("warning", {"step": 0, "message": split.warning}, None)
    return Cases(training=split.training, validation=split.validation)


def _named_cases(scans: Sequence[Scan], settings: PretrainSettings) -> list[Scan]:
    assert settings.cases is not None
    wanted = (*settings.cases.training, *settings.cases.validation)
    found = {scan.id: scan for scan in scans}
    missing = [name for name in wanted if name not in found]
    if missing:
        raise RunError(
            f"{settings.data.scans}: {len(missing)} of the run's {len(wanted)} scans are not there "
            f"({', '.join(missing[:3])}): name the folder the run was started on, with the same file names"
        )
    return [found[name] for name in wanted]


def _warn(report: Report, scan_id: str, name: str, text: str) -> None:
    report("warning", {"step": 0, "message": f"{scan_id} {text}"}, f"{name} ({scan_id}) {text}")


def _say_notes(cached: Sequence[CachedScan], names: dict[str, str], report: Report) -> None:
    noted = [scan for scan in cached if scan.notes]
    for scan in noted[:_NOTES_SAID]:
        _warn(report, scan.id, names[scan.id], " ".join(scan.notes))
    if len(noted) > _NOTES_SAID:
        text = f"{len(noted) - _NOTES_SAID} more scans have notes; napari-genesis inspect shows them"
        report("warning", {"step": 0, "message": text}, None)
