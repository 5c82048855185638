"""Scans of a folder narrowed down to the DICOM series that an edited table says yes to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.choosing import read_table
from genesis_core.volumes.scans import Scan


def chosen_scans(scans: Sequence[Scan], table: str | os.PathLike[str]) -> list[Scan]:
    """Return the scans that a table of series keeps, in their order; what it does not list is left out.

    scans: of the folder that was listed when the table was written. table: as `write_table` writes it.
    Raises VolumeError if the table cannot be read, keeps nothing, or keeps a series that is not there.
    """
    kept = {(choice.folder, choice.series) for choice in read_table(table) if choice.keep}
    if not kept:
        raise VolumeError(f"{table}: keeps no series; write yes into the column keep of those to use")
    found: list[Scan] = []
    met: set[tuple[str, str]] = set()
    for scan in scans:
        folder = scan.relative if scan.path.is_dir() else Path(scan.relative).parent.as_posix()
        # A folder with one series is listed without its UID.
        own = {row for row in kept if row[0] == folder and (scan.series is None or row[1] == scan.series)}
        if own:
            found.append(scan)
            met |= own
    if missing := sorted(kept - met):
        folder, series = missing[0]
        raise VolumeError(
            f"{table}: {len(missing)} of the series it keeps are not there (first: {series or 'no UID'} in {folder}). "
            "Name the folder the table was written for, or write no into the column keep"
        )
    return found
