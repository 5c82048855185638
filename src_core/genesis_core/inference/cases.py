"""Which files make up one case for a model that looks at several channels.

Channels are told by the end of a file's name: _0000, _0001 and so on, as nnU-Net names them, or the channels' own names
(subject_t1.nii.gz beside subject_flair.nii.gz); or they are the frames of one 4D file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from genesis_core.errors import VolumeError
from genesis_core.inference.result_files import stem_of, told_apart
from genesis_core.volumes.scans import Scan

if TYPE_CHECKING:
    from genesis_core.volumes.volume import Volume

_NUMBERED = re.compile(r"(.+)_(\d{4})")


@dataclass(frozen=True)
class CaseFiles:
    """One case, not opened yet. name: as the user calls it. stem: of its results. scans: one per channel, or one 4D."""

    name: str
    id: str
    stem: PurePosixPath
    scans: tuple[Scan, ...]


@dataclass(frozen=True)
class _Part:
    stem: PurePosixPath
    channel: int | None
    scan: Scan


def group_cases(
    scans: Sequence[Scan], count: int, channels: Sequence[str] = ()
) -> tuple[list[CaseFiles], list[tuple[str, str]]]:
    """Return the cases of a folder's scans for a model with `count` input channels, and (name, reason) of the others.

    channels: their names, in order. With one channel every scan is a case; its results lose a _0000 that all scans
    have. With several, files without a channel in their name must be 4D, which shows when they are read.
    """
    if count == 1:
        return _single(scans), []
    names = {name.casefold(): number for number, name in enumerate(channels)}
    parts = [_part(scan, count, names) for scan in scans]
    together: dict[str, list[_Part]] = {}
    for part in parts:
        if part.channel is not None:
            together.setdefault(str(part.stem), []).append(part)
    cases, left_out = [], []
    for part in parts:
        if part.channel is None:
            cases.append(_one_file(part.scan, part.stem))
    for stem, own in together.items():
        places = {part.channel: part.scan for part in own}
        missing = [_called(number, channels) for number in range(count) if number not in places]
        if missing or len(own) > count:
            reason = f"channels are missing: {', '.join(missing)}" if missing else "a channel is there twice"
            left_out.append((stem, f"{reason} (the model looks at {count})"))
        else:
            own_scans = tuple(places[number] for number in range(count))
            cases.append(CaseFiles(stem, own_scans[0].id, own[0].stem, own_scans))
    cases.sort(key=lambda case: case.name)
    stems = told_apart([case.stem for case in cases], [case.id for case in cases])
    return [CaseFiles(case.name, case.id, stem, case.scans) for case, stem in zip(cases, stems, strict=True)], left_out


def read_case_volumes(case: CaseFiles, count: int) -> tuple[Volume, ...]:
    """Read a case's channels. Raises VolumeError as `read_volume` does, and if a file holds another number of them."""
    from genesis_core.volumes.reading import read_frames, read_volume

    if len(case.scans) == count:
        return tuple(read_volume(scan.path, series=scan.series) for scan in case.scans)
    path = case.scans[0].path
    volumes = read_frames(path)
    if len(volumes) != count:
        raise VolumeError(
            f"{path}: holds {len(volumes)} frame(s), and the model looks at {count} channels: name the files of a case "
            "NAME_0000, NAME_0001 and so on, or give a 4D file with one frame per channel"
        )
    return volumes


def _single(scans: Sequence[Scan]) -> list[CaseFiles]:
    stems = [stem_of(scan) for scan in scans]
    shorter = [_NUMBERED.fullmatch(stem.name) for stem in stems]
    if all(found is not None and found[2] == "0000" for found in shorter):
        stems = [stem.with_name(found[1]) for stem, found in zip(stems, shorter, strict=True) if found]
    stems = told_apart(stems, [scan.id for scan in scans])
    return [_one_file(scan, stem) for scan, stem in zip(scans, stems, strict=True)]


def _one_file(scan: Scan, stem: PurePosixPath) -> CaseFiles:
    # A scan given directly has no path relative to itself.
    name = scan.path.resolve().name if scan.relative == "." else scan.relative
    return CaseFiles(name, scan.id, stem, (scan,))


def _part(scan: Scan, count: int, names: dict[str, int]) -> _Part:
    stem = stem_of(scan)
    numbered = _NUMBERED.fullmatch(stem.name)
    if numbered and int(numbered[2]) < count:
        return _Part(stem.with_name(numbered[1]), int(numbered[2]), scan)
    for name, number in names.items():
        if stem.name.casefold() == name and stem.parent.name:
            # subject/t1.nii.gz beside subject/flair.nii.gz: the folder is the case.
            return _Part(stem.parent, number, scan)
        if stem.name.casefold().endswith(f"_{name}"):
            return _Part(stem.with_name(stem.name[: -len(name) - 1]), number, scan)
    return _Part(stem, None, scan)


def _called(number: int, channels: Sequence[str]) -> str:
    return f"_{number:04d} ({channels[number]})" if channels else f"_{number:04d}"
