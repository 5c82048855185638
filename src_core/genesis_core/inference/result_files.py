"""Where the results of a folder of scans go: the folder's own layout is mirrored, and no two scans share a name."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from genesis_core.atomic import write_text
from genesis_core.errors import OutputExistsError, VolumeError

if TYPE_CHECKING:
    from genesis_core.inference.restore import Restoration
    from genesis_core.volumes.scans import Scan

ImageFormat = Literal["nii.gz", "nrrd", "mha"]
# The metrics are written last, so a scan whose metrics are there is complete.
RESTORATION_PARTS = ("restored", "residual", "outside_window", "metrics")
_ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".mgz", ".mgh", ".hdr", ".dcm", ".gipl")


def result_stems(scans: Sequence[Scan]) -> list[PurePosixPath]:
    """Return for each scan the folder and name its results start with, relative to the output folder.

    That is the scan's relative path without its ending. Scans that would share it (a.nii.gz beside a.mha, two series in
    one DICOM folder, or names that differ in capitals only) get the end of their id as well, all of them.
    """
    return told_apart([stem_of(scan) for scan in scans], [scan.id for scan in scans])


def told_apart(stems: Sequence[PurePosixPath], ids: Sequence[str]) -> list[PurePosixPath]:
    """Return the stems, those that two would share with the end of their ids added, all of them."""
    # Some file systems hold A and a to be the same.
    shared = Counter(str(stem).casefold() for stem in stems)
    return [
        stem.with_name(f"{stem.name}_{id_.rpartition('_')[2]}") if shared[str(stem).casefold()] > 1 else stem
        for stem, id_ in zip(stems, ids, strict=True)
    ]


def stem_of(scan: Scan) -> PurePosixPath:
    """Return a scan's relative path without its ending; a DICOM folder keeps its whole name."""
    relative = PurePosixPath(scan.relative)
    # A DICOM folder given directly has no path relative to itself.
    name = relative.name or scan.path.resolve().name
    if scan.path.is_dir():
        return relative.with_name(name) if relative.name else PurePosixPath(name)
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending) and len(name) > len(ending)), "")
    return relative.with_name(name[: len(name) - len(ending)])


def restoration_files(out: Path, stem: PurePosixPath, image_format: ImageFormat) -> dict[str, Path]:
    """Return the path of each of RESTORATION_PARTS for one scan."""
    folder = out / stem.parent
    return {
        part: folder / f"{stem.name}_{part}.{'json' if part == 'metrics' else image_format}"
        for part in RESTORATION_PARTS
    }


def write_restoration(
    restoration: Restoration, files: dict[str, Path], facts: dict[str, Any], *, overwrite: bool = False
) -> None:
    """Write the three volumes and the metrics, each atomically, the metrics last.

    facts: what else the JSON file states (scan, model, settings). Raises OutputExistsError before anything is written
    if a file is there and `overwrite` is False.
    """
    from genesis_core.volumes.writing import write_volume

    refuse_existing(files.values(), overwrite)
    files["metrics"].parent.mkdir(parents=True, exist_ok=True)
    # While results are being replaced, old metrics must not vouch for new volumes.
    files["metrics"].unlink(missing_ok=True)
    write_volume(restoration.restored, files["restored"], overwrite=overwrite)
    write_volume(restoration.residual, files["residual"], overwrite=overwrite)
    write_volume(restoration.outside, files["outside_window"], overwrite=overwrite)
    write_text(files["metrics"], json.dumps({**facts, **restoration.as_json()}, indent=2, allow_nan=False) + "\n")


def require_writable(out: Path, files: Iterable[Path]) -> None:
    """Raise VolumeError unless a file can be made (it is removed) where each of the results goes. out: as named."""
    for folder in dict.fromkeys(path.parent for path in files):
        place = next(one for one in (folder, *folder.parents) if one.exists())
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as problem:
            raise VolumeError(
                f"--out {out}: nothing can be written in {place} ({problem.strerror or problem}): choose another "
                "folder, or get permission to write there"
            ) from None


def refuse_existing(paths: Iterable[Path], overwrite: bool) -> None:
    """Raise OutputExistsError if one of the results is there already and may not be replaced."""
    there = [path for path in paths if path.exists()]
    if there and not overwrite:
        raise OutputExistsError(f"{there[0]} exists: choose another folder, or ask for it to be overwritten")
