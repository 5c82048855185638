"""What tells one scan on disk, prepared in one way, from any other: the name of its cache entry.

The voxels are not read. A file is known by its absolute path, size, modification time, its first 64 KiB (the header)
and last 4 KiB (in a .nii.gz, the checksum of the content); a DICOM folder by the names, sizes and times of its slices.
"""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis_core.errors import VolumeError

if TYPE_CHECKING:
    from genesis_core.volumes.preprocessing import Preprocessing
    from genesis_core.volumes.scans import Scan

# To be raised whenever the same source and preprocessing give other voxels, or the file's layout changes.
CACHE_FORMAT = 2
_HEAD = 64 * 1024
_TAIL = 4 * 1024


def source_fingerprint(scan: Scan) -> str:
    """Return 32 hex digits for the present state of a scan's files; raise VolumeError if they cannot be read."""
    from genesis_core.volumes.formats.headers import file_ending, parse_file

    path = Path(scan.path)
    try:
        if path.is_dir():
            facts = _listing(path)
        elif file_ending(path) is None:
            # A single DICOM file, which is read alone, whatever lies around it.
            facts = [_file_facts(path)]
        else:
            facts = [_file_facts(part) for part in dict.fromkeys((path, parse_file(path).data_path))]
    except OSError as problem:
        raise VolumeError(f"{path}: cannot be read ({problem.strerror or problem})") from None
    return _digest([os.path.abspath(path), scan.series, facts])


def entry_key(scan: Scan, preprocessing: Preprocessing) -> str:
    """Return the name of a scan's cache entry: 32 hex digits; raise VolumeError if the scan cannot be read.

    A fixed window is left out, since the entry holds scan units: changing the window costs nothing.
    """
    prepared = preprocessing.model_dump(mode="json")
    if preprocessing.intensity.kind == "window":
        prepared["intensity"] = "window"
    return _digest([CACHE_FORMAT, source_fingerprint(scan), prepared])


def _listing(folder: Path) -> list[Any]:
    """Return the facts of the files that can be slices by their names; others are never looked at."""
    from genesis_core.volumes.formats.headers import may_be_dicom

    with os.scandir(folder) as entries:
        files = [entry for entry in entries if may_be_dicom(entry.name) and entry.name[0] != "." and entry.is_file()]
    return sorted([entry.name, entry.stat().st_size, entry.stat().st_mtime_ns] for entry in files)


def _file_facts(path: Path) -> list[Any]:
    with open(path, "rb") as file:
        state = os.fstat(file.fileno())
        head = file.read(_HEAD)
        file.seek(max(0, state.st_size - _TAIL))
        ends = blake2b(head + file.read(_TAIL), digest_size=16).hexdigest()
    return [path.name, state.st_size, state.st_mtime_ns, ends]


def _digest(facts: list[Any]) -> str:
    return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()
