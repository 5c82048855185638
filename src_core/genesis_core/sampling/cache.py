"""Prepared scans on disk, from which sub-volumes are read in under a millisecond instead of decoding whole files.

An entry holds the voxels on the model's grid in scan units (int16 where they are whole numbers in its range, else
float32), the fitted intensities, geometry and notes, under a name that changes with the source and its preprocessing.
It holds no path and no patient data beyond the voxels. Entries are written under a temporary name and renamed, so two
processes may prepare the same scan; a damaged entry is rebuilt from the source, and said.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import CacheError, VolumeError
from genesis_core.remembered import cache_root
from genesis_core.sampling.bricks import DamagedEntryError, read_bricks, read_header, write_bricks
from genesis_core.sampling.fingerprint import entry_key
from genesis_core.volumes.intensity import IntensityMap
from genesis_core.volumes.volume import Geometry

if TYPE_CHECKING:
    from genesis_core.volumes.preprocessing import Prepared, Preprocessing
    from genesis_core.volumes.scans import Scan

_log = logging.getLogger(__name__)
_rebuilding = threading.Lock()
# A temporary file this old belongs to a process that was killed.
ABANDONED_SECONDS = 24 * 3600
# The time of an entry says when it was last opened, to within this; pruning goes by it.
_USE_SECONDS = 3600
# Another process may prune an entry right after it was made; it is made again, so often.
_ATTEMPTS = 5


class CachedScan:
    """A prepared scan in the cache. id: its pseudonym. shape: voxels (z, y, x). map: scan units to [0, 1].

    geometry: the grid the voxels lie on. modality: "ct" or "mr". notes: what was done to the scan, in sentences.
    entry: the file in the cache. fingerprint: of the voxels as they were read.
    Nothing stays open or in memory between reads; use it from any number of threads.
    """

    def __init__(self, scan: Scan, preprocessing: Preprocessing, path: Path, header: dict[str, Any]) -> None:
        self.id: str = scan.id
        self.modality = preprocessing.modality
        self.geometry = stored_geometry(header)
        self.shape = self.geometry.shape
        self.map = stored_map(preprocessing, header)
        self.notes: tuple[str, ...] = (*header["notes"], *filter(None, [self.map.note]))
        self.fingerprint: str = header["fingerprint"]
        self._scan = scan
        self._preprocessing = preprocessing
        self.entry = path
        self._rebuilt = 0

    def read(self, start: tuple[int, int, int], size: tuple[int, int, int]) -> NDArray[np.float32]:
        """Return a new array (z, y, x), float32 in [0, 1]: the sub-volume of `size` from voxel `start`.

        It may reach beyond the scan; there it is 0 (air for CT, the darkest value for MR). A damaged entry is rebuilt
        from the source and said in `notes`. Raises CacheError if that is impossible.
        """
        for _ in range(_ATTEMPTS):
            seen = self._rebuilt
            try:
                return read_bricks(self.entry, start, size, self.map.low, self.map.scale)
            except DamagedEntryError as problem:
                self._rebuild(seen, problem)
        return read_bricks(self.entry, start, size, self.map.low, self.map.scale)

    def _rebuild(self, seen: int, problem: DamagedEntryError) -> None:
        with _rebuilding:
            # Another thread may have done it while this one waited.
            if self._rebuilt != seen:
                return
            try:
                unchanged = entry_key(self._scan, self._preprocessing) == self.entry.stem
            except VolumeError as gone:
                raise CacheError(f"{problem}; it cannot be rebuilt: {gone}") from None
            if not unchanged:
                raise CacheError(f"{problem}; its source has changed since it was prepared: start again")
            try:
                _build(self._scan, self._preprocessing, self.entry)
            except VolumeError as unusable:
                raise CacheError(f"{problem}; it cannot be rebuilt: {unusable}") from None
            self._rebuilt += 1
            self.notes = (*self.notes, said_rebuilt(self.id, problem))


def open_cached(scan: Scan, preprocessing: Preprocessing, cache_dir: Path | None = None) -> CachedScan:
    """Return the prepared scan, from the cache or else prepared and put there first.

    cache_dir: folder of the entries; None: the user's cache folder. Raises VolumeError if the scan cannot be used, and
    CacheError if the cache cannot be written (no permission, disk full).
    """
    folder = cache_folder(cache_dir)
    path = folder / f"{entry_key(scan, preprocessing)}.bricks"
    damage: DamagedEntryError | None = None
    for _ in range(_ATTEMPTS):
        try:
            header = read_header(path)
            break
        except DamagedEntryError as problem:
            damage = problem if path.exists() else damage
            _build(scan, preprocessing, path)
    else:
        header = read_header(path)
    mark_used(path)
    opened = CachedScan(scan, preprocessing, path, header)
    if damage is not None:
        opened.notes = (*opened.notes, said_rebuilt(scan.id, damage))
    return opened


def cache_folder(cache_dir: Path | None = None) -> Path:
    """Return the folder of the entries, made if need be; raise CacheError if it cannot be.

    cache_dir: as set; None: "scans" in the folder that the environment variable GENESIS_CACHE names, or in the user's
    cache folder.
    """
    if cache_dir is None:
        cache_dir = cache_root() / "scans"
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise unwritable(cache_dir, problem) from None
    return cache_dir


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in the cache more than a day ago."""
    for file in folder.glob(".*.tmp.*.bricks"):
        try:
            if time.time() - file.stat().st_mtime > ABANDONED_SECONDS:
                file.unlink()
        except FileNotFoundError:
            continue
        except OSError as problem:
            _log.warning("%s: a half-written cache entry cannot be removed (%s)", file, problem.strerror)


def mark_used(path: Path) -> None:
    """Note that an entry is in use: pruning goes by its time."""
    try:
        if time.time() - path.stat().st_mtime > _USE_SECONDS:
            os.utime(path)
    except OSError as problem:
        # A cache that others own can be read, only not marked; pruned in between, it is prepared again.
        _log.debug("%s: its use cannot be noted (%s)", path, problem)


def _build(scan: Scan, preprocessing: Preprocessing, path: Path) -> None:
    from genesis_core.volumes.modality import guess_modality
    from genesis_core.volumes.reading import read_volume
    from genesis_core.volumes.voxel_fingerprint import image_fingerprint

    volume = read_volume(scan.path, series=scan.series)
    guess = guess_modality(volume)
    if guess.label_map:
        raise VolumeError(f"{scan.path}: {guess.reason}; keep label maps out of the folder of scans")
    prepared = preprocessing.prepare(volume)
    if entry_key(scan, preprocessing) != path.stem:
        raise VolumeError(f"{scan.path}: changed while it was read; try again once it is complete")
    array = compacted(prepared.volume.array)
    # The folder may have been pruned since the entry was opened.
    cache_folder(path.parent)
    try:
        write_bricks(path, array, {**scan_header(prepared, array), "fingerprint": image_fingerprint(volume)})
    except OSError as problem:
        # Windows refuses to replace an entry that another process is reading: theirs is as good.
        if isinstance(problem, PermissionError) and is_whole(path):
            return
        raise unwritable(path.parent, problem) from None


def scan_header(prepared: Prepared, array: NDArray[Any]) -> dict[str, Any]:
    """Return what is kept beside the voxels of a prepared scan."""
    geometry = asdict(prepared.volume.geometry)
    del geometry["shape"]
    return {
        "geometry": geometry,
        "range": [float(array.min()), float(array.max())],
        "map": asdict(prepared.map),
        "notes": [note for note in prepared.volume.notes if note != prepared.map.note],
    }


def stored_geometry(header: dict[str, Any]) -> Geometry:
    """Return the grid of an entry from its header."""
    z, y, x = header["shape"]
    return Geometry((z, y, x), **{name: tuple(values) for name, values in header["geometry"].items()})


def stored_map(preprocessing: Preprocessing, header: dict[str, Any]) -> IntensityMap:
    """Return the map from scan units to [0, 1] of an entry from its header."""
    if preprocessing.intensity.kind == "window":
        # Entries are shared by all windows, so the stored one may be another.
        return preprocessing.intensity.fit(np.array(header["range"]))
    return IntensityMap(**header["map"])


def compacted(array: NDArray[Any]) -> NDArray[np.int16] | NDArray[np.float32]:
    """Return voxels as int16 where they are whole numbers in its range, else as float32."""
    info = np.iinfo(np.int16)
    if array.min() >= info.min and array.max() <= info.max and _whole_numbers(array):
        return array.astype(np.int16)
    return array.astype(np.float32)


def _whole_numbers(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "iu" or all(np.array_equal(plane, np.rint(plane)) for plane in array)


def is_whole(path: Path) -> bool:
    """Whether an entry is there and its header is sound."""
    try:
        read_header(path)
    except DamagedEntryError:
        return False
    return True


def said_rebuilt(name: str, problem: DamagedEntryError) -> str:
    """Log that an entry is rebuilt, and return the sentence for its notes. name: the pseudonym of the scan."""
    _log.warning("%s (%s): rebuilt from the source", problem, name)
    return "Its cache entry was damaged or gone, and has been rebuilt from the source."


def unwritable(folder: Path, problem: OSError) -> CacheError:
    """Return the error that says why the cache cannot be written, and what helps."""
    if problem.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1)):
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(there).free / 1e6
        reason = f"the disk or its quota is full ({free:,.0f} MB free). Free some space"
    elif problem.errno == errno.EFBIG:
        reason = "a file would become larger than is allowed here. Raise the limit (ulimit -f)"
    else:
        reason = f"{problem.strerror or problem}. Check the permissions ({os.fspath(folder)})"
    return CacheError(f"{folder}: the cache of prepared scans cannot be written: {reason}, or set data.cache elsewhere")
