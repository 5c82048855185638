"""Which scans a folder holds, by names and DICOM tags, without opening voxels; the same list on any file system."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.series import group_files
from genesis_core.volumes.dicom.tags import is_dicom, read_dicom_tags
from genesis_core.volumes.folder_walk import walk_folders
from genesis_core.volumes.formats.headers import DICOM_ENDINGS, file_ending, may_be_dicom

# The voxels of a header beside them: part of a scan, not a file to wonder about.
_COMPANIONS = (".raw", ".zraw", ".img")


@dataclass(frozen=True)
class Scan:
    """One scan in a folder, not opened yet.

    path: its file, or its DICOM folder. relative: that path from the folder that was listed, with "/" ("." for the
    folder itself).
    series: the UID to read where a DICOM folder holds several. id: a pseudonym that does not show names, for reports
    and events. uid: of the DICOM series it is, "" where its files name none; None for everything else.
    """

    path: Path
    relative: str
    series: str | None
    id: str
    uid: str | None = None


@dataclass(frozen=True)
class Survey:
    """What a folder holds. skipped: other files, no scans by their names. closed: folders that could not be listed."""

    scans: tuple[Scan, ...]
    skipped: int
    closed: tuple[str, ...]


def scan_id(relative: str, series: str | None = None) -> str:
    """Return the pseudonym of a scan: "scan_" and ten hexadecimal digits of a hash of its relative path and series."""
    text = relative if series is None else f"{relative}\0{series}"
    return "scan_" + hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=5).hexdigest()


def list_scans(folder: str | os.PathLike[str]) -> list[Scan]:
    """Return the scans of a folder and its subfolders, sorted by relative path; also takes one scan file.

    A file counts by its ending, sound or not; a folder of DICOM slices is one scan per series. Hidden files are left
    out. Raises VolumeError if the folder does not exist.
    """
    return list(survey_folder(folder).scans)


def survey_folder(folder: str | os.PathLike[str]) -> Survey:
    """Return the scans of a folder as `list_scans` does, what was skipped, and which folders could not be listed."""
    root = Path(folder)
    if not os.path.isdir(root):
        if not os.path.lexists(root):
            raise VolumeError(f"{root}: no such file or folder")
        return Survey((_scan(root, root.name, None),), 0, ())
    scans: list[Scan] = []
    closed: list[str] = []
    skipped = 0
    for folder, names in walk_folders(root, closed):
        relative = Path(folder)
        place = root / relative
        dicom = []
        for name in names:
            path = place / name
            if file_ending(name):
                scans.append(_scan(path, (relative / name).as_posix(), None))
            elif may_be_dicom(name) and os.path.isfile(path) and is_dicom(path):
                dicom.append(path)
            elif path.suffix.lower() in DICOM_ENDINGS:
                scans.append(_scan(path, (relative / name).as_posix(), None, ""))
            elif path.suffix.lower() not in _COMPANIONS:
                skipped += 1
        scans += _dicom_scans(place, relative, dicom)
    scans.sort(key=lambda scan: (scan.relative, scan.series or ""))
    return Survey(tuple(scans), skipped, tuple(sorted(closed)))


def _dicom_scans(place: Path, relative: Path, paths: list[Path]) -> Iterator[Scan]:
    """Yield one scan per series; a series of one file is that file, and so is a damaged file that names no series."""
    files = [read_dicom_tags(path) for path in paths]
    lost = [file for file in files if file.kind is None and file.problem and not file.series]
    folder = group_files(place, [file for file in files if file not in lost])
    for file in lost if folder.series else (*lost, *folder.others):
        yield _scan(file.path, (relative / file.path.name).as_posix(), None, None if file.kind else file.series)
    for uid, members in folder.series.items():
        if len(members) == 1:
            yield _scan(members[0].path, (relative / members[0].path.name).as_posix(), None, uid)
        else:
            yield _scan(place, relative.as_posix(), uid if len(folder.series) > 1 else None, uid)


def _scan(path: Path, relative: str, series: str | None, uid: str | None = None) -> Scan:
    return Scan(path, relative, series, scan_id(relative, series), uid)
