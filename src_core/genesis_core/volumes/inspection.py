"""One record per scan: readable, and what it is; or refused, and why."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any, Literal

from genesis_core.errors import VolumeError
from genesis_core.volumes.modality import guess_modality
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.scans import Scan
from genesis_core.volumes.volume import Modality


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
        )
    except VolumeError as problem:
        return _refused(scan, str(problem))
    except MemoryError:
        return _refused(scan, "it does not fit into memory; crop it or use a larger machine")
    except OSError as problem:
        return _refused(scan, f"reading stopped ({problem.strerror or problem})")


def _refused(scan: Scan, text: str) -> Record:
    """Keep the reason without the path in front, which the record has, and without folders of this machine."""
    text = (
        text.removeprefix(f"{scan.path}: ")
        .replace(f"{scan.path}{os.sep}", "")
        .replace(f"{scan.path.parent}{os.sep}", "")
    )
    return Record(path=scan.relative, id=scan.id, series=scan.series, status="refused", reason=text)
