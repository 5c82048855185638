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

    scans: of the folder that was listed when the table was written. table: as `write_table` writes it. A series is
    known by its UID; the folder counts only where a UID is empty or lies in several, since spreadsheets save a folder
    called 001 as 1.
    Raises VolumeError if the table cannot be read, keeps nothing, or keeps a series that is not there.
    """
    rows = read_table(table)
    if not any(row.keep for row in rows):
        raise VolumeError(f"{table}: keeps no series; write yes into the column keep of those to use")
    listed: dict[str, set[str]] = {}
    there: dict[str, set[str]] = {}
    for row in rows:
        listed.setdefault(row.series, set()).add(row.folder)
    for scan in scans:
        if scan.uid is not None:
            there.setdefault(scan.uid, set()).add(_folder(scan))

    def key(uid: str, folder: str) -> tuple[str, str]:
        alone = uid != "" and max(len(places.get(uid, ())) for places in (listed, there)) < 2
        return uid, "" if alone else folder

    kept = {key(row.series, row.folder): row for row in rows if row.keep}
    found = [(key(scan.uid, _folder(scan)), scan) for scan in scans if scan.uid is not None]
    if missing := sorted(kept.keys() - {own for own, _ in found}):
        first = kept[missing[0]]
        raise VolumeError(
            f"{table}: {len(missing)} of the series it keeps are not there (first: {first.series or 'no UID'} in "
            f"{first.folder}). Name the folder the table was written for, or write no into the column keep"
        )
    return [scan for own, scan in found if own in kept]


def _folder(scan: Scan) -> str:
    """Return the folder its files lie in, as the table has it."""
    return scan.relative if scan.path.is_dir() else Path(scan.relative).parent.as_posix()
