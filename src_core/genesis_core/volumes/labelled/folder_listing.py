"""What lies in a folder, by names alone: scan files, DICOM folders and everything else, the same on any file system.

Names are sorted as text, hidden files ("._case1.nii.gz" too) are left out, links to folders are followed but not in
circles. No header is read; whether files without a scan's ending are DICOM is told by four bytes of one of them.
"""

from __future__ import annotations

import os
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.tags import is_dicom
from genesis_core.volumes.folder_walk import walk_folders
from genesis_core.volumes.formats.headers import file_ending, may_be_dicom


@dataclass(frozen=True)
class FolderListing:
    """The names in a folder, relative to it, with "/".

    scans: files with a scan's ending. dicom: folders that hold DICOM files ("." for the root). others: all other
    files. closed: folders that could not be listed, with the reason.
    """

    root: Path
    scans: tuple[str, ...]
    dicom: tuple[str, ...]
    others: tuple[str, ...]
    closed: tuple[str, ...] = ()

    @cached_property
    def by_folder(self) -> dict[str, tuple[str, ...]]:
        """The names of the scan files directly in each folder ("" for the root), for folders that hold some."""
        found: dict[str, list[str]] = {}
        for scan in self.scans:
            folder, _, name = scan.rpartition("/")
            found.setdefault(folder, []).append(name)
        return {folder: tuple(names) for folder, names in sorted(found.items())}

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """All folders with scans or DICOM files somewhere in them, and those above them, without the root."""
        found: set[str] = set()
        for place in (*self.by_folder, *self.dicom):
            path = PurePosixPath(place)
            found |= {step.as_posix() for step in (path, *path.parents)}
        return tuple(sorted(found - {"", "."}))

    def inside(self, folder: str) -> tuple[str, ...]:
        """Return the scan files in a folder ("" for the root) and below it, relative to the root."""
        if not folder:
            return self.scans
        # Sorted names below a folder follow one another, from "a/" up to "a0", as "0" comes after "/".
        return self.scans[bisect_left(self.scans, f"{folder}/") : bisect_left(self.scans, f"{folder}0")]

    def dicom_inside(self, folder: str) -> tuple[str, ...]:
        """Return the DICOM folders below a folder ("" for the root), relative to the root."""
        start = f"{folder}/" if folder else ""
        return tuple(place for place in self.dicom if place != "." and place.startswith(start))

    def other(self, relative: str) -> Path | None:
        """Return the path of a file that is no scan ("dataset.json"), if it is there; case does not count."""
        wanted = relative.casefold()
        return next((self.root / name for name in self.others if name.casefold() == wanted), None)


def list_folder(root: Path) -> FolderListing:
    """Return what lies in a folder and below it; raises VolumeError if it does not exist or cannot be listed."""
    if not os.path.isdir(root):
        what = "this is a file, not a folder" if os.path.lexists(root) else "no such folder"
        raise VolumeError(f"{root}: {what}")
    scans: list[str] = []
    dicom: list[str] = []
    others: list[str] = []
    closed: list[str] = []
    for place, names in walk_folders(root, closed):
        maybe = []
        start = "" if place == "." else f"{place}/"
        for name in names:
            if file_ending(name):
                scans.append(start + name)
            else:
                others.append(start + name)
                maybe += [name] if may_be_dicom(name) else []
        # One slice is enough to know the folder.
        if any(is_dicom(root / place / name) for name in maybe):
            dicom.append(place)
    if closed and not (scans or dicom or others):
        raise VolumeError(f"{root}: the folder cannot be listed ({closed[0]})")
    return FolderListing(root, tuple(sorted(scans)), tuple(sorted(dicom)), tuple(sorted(others)), tuple(sorted(closed)))


def stem(name: str) -> str:
    """Return a scan file's relative name without its ending ("a/case1.nii.gz": "a/case1"), Unicode composed (NFC)."""
    ending = file_ending(name) or ""
    return unicodedata.normalize("NFC", name[: len(name) - len(ending)])


def same(name: str) -> str:
    """Return what two names must share to count as one: composed Unicode without case, as on Windows and macOS."""
    return unicodedata.normalize("NFC", name).casefold()
