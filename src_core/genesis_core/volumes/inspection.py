"""One record per scan: readable, and what it is; or refused, and why. What was found is remembered."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from genesis_core.errors import VolumeError
from genesis_core.parallel import for_each, in_order
from genesis_core.remembered import Remembered
from genesis_core.volumes.formats.headers import file_ending, may_be_dicom, parse_file
from genesis_core.volumes.modality import guess_modality
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.scans import Scan
from genesis_core.volumes.volume import Modality

# To be raised whenever the same files would give another record.
RECORD_VERSION = 2
# What never has its voxels in a second file (None: a DICOM file); other headers are asked where theirs are.
_ONE_FILE = (None, ".nii", ".nii.gz", ".mgz", ".mgh")
# Records that may wait for an earlier one which takes longer.
_AHEAD = 256


@dataclass(frozen=True)
class Record:
    """What opening one scan showed. path: relative to the folder that was listed. reason: why it was refused.

    shape: (z, y, x) voxels. spacing: (x, y, z) mm. orientation: axis codes. certainty: of the modality, 0 to 1.
    because: what speaks for the modality. minimum, maximum: in the scan's units. All of these are None for a refused
    scan. notes: what was changed or noticed.
    """

    path: str
    id: str
    series: str | None
    status: Literal["readable", "refused"]
    reason: str | None = None
    shape: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    dtype: str | None = None
    orientation: str | None = None
    modality: Modality | None = None
    certainty: float | None = None
    because: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON can hold it."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def inspect_scan(scan: Scan) -> Record:
    """Read a whole scan, since damage may lie anywhere in it, and tell what it is; nothing is raised for a bad one."""
    return _look_at(scan)[0]


def inspect_scans(
    scans: Sequence[Scan],
    *,
    threads: int = 2,
    fresh: bool = False,
    remember: Remembered | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[Record, None, None]:
    """Yield the record of every scan, in the order given, reading `threads` scans at once.

    What was found before on files that are untouched since is not read again; `fresh`: it is. A refusal that may pass
    (no permission, no memory, a package not installed) is never remembered. remember: where; None: the user's cache.
    At most 256 records wait for an earlier one, so memory stays flat. should_stop: asked between scans; those that are
    done are still yielded.
    """
    known = remember or Remembered("inspection", RECORD_VERSION, fresh=fresh)
    release = version("napari-genesis")

    def record(scan: Scan) -> Record:
        key = f"{release}\0{scan.series}"
        paths = scan_files(scan)
        found = _known(scan, known.find(paths, key))
        if found is None:
            found, lasting = _look_at(scan)
            if lasting:
                facts = found.as_json()
                known.keep(paths, {name: facts[name] for name in _REMEMBERED}, key)
        return found

    try:
        with closing(for_each(scans, record, threads=threads, ahead=_AHEAD, should_stop=should_stop)) as pairs:
            for outcome in in_order(pairs):
                if isinstance(outcome, Exception):
                    raise outcome
                yield outcome
    finally:
        known.close()


def scan_files(scan: Scan) -> list[Path]:
    """Return the files a scan is read from, in a fixed order; where they cannot be told, the scan's own path."""
    try:
        if os.path.isdir(scan.path):
            names = sorted(name for name in os.listdir(scan.path) if may_be_dicom(name) and not name.startswith("."))
            # The folder itself comes along: its time tells of files that were added or removed.
            return [scan.path, *(scan.path / name for name in names)]
        if file_ending(scan.path) in _ONE_FILE:
            return [scan.path]
        return list(dict.fromkeys((scan.path, parse_file(scan.path).data_path)))
    except (VolumeError, OSError):
        return [scan.path]


def _look_at(scan: Scan) -> tuple[Record, bool]:
    """Return a scan's record, and whether it will be the same as long as the files are."""
    try:
        volume = read_volume(scan.path, series=scan.series)
        guess = guess_modality(volume)
        return Record(
            path=scan.relative,
            id=scan.id,
            series=scan.series,
            status="readable",
            shape=volume.shape,
            spacing=volume.spacing,
            dtype=str(volume.array.dtype),
            orientation=volume.axis_codes,
            modality=guess.modality,
            certainty=round(guess.certainty, 2),
            because=guess.reason,
            minimum=float(volume.array.min()),
            maximum=float(volume.array.max()),
            notes=volume.notes,
        ), True
    except VolumeError as problem:
        return _refused(scan, str(problem)), not _may_pass(problem)
    except MemoryError:
        return _refused(scan, "it does not fit into memory; crop it or use a larger machine"), False
    except OSError as problem:
        return _refused(scan, f"reading stopped ({problem.strerror or problem})"), False


def _may_pass(problem: BaseException | None) -> bool:
    while problem is not None:
        if isinstance(problem, OSError | ImportError | MemoryError):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


# What depends on the files alone, and not on where they lie.
_REMEMBERED = tuple(field.name for field in fields(Record) if field.name not in ("path", "id", "series"))


def _known(scan: Scan, facts: dict[str, Any] | None) -> Record | None:
    if facts is None or facts.keys() != set(_REMEMBERED):
        return None
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()}
    return Record(path=scan.relative, id=scan.id, series=scan.series, **values)


def _refused(scan: Scan, text: str) -> Record:
    """Keep the reason without the path in front, which the record has, and without folders of this machine."""
    text = (
        text.removeprefix(f"{scan.path}: ")
        .replace(f"{scan.path}{os.sep}", "")
        .replace(f"{scan.path.parent}{os.sep}", "")
    )
    return Record(path=scan.relative, id=scan.id, series=scan.series, status="refused", reason=text)
