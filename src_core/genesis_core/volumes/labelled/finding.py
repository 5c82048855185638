"""Finding out how a labelled folder is laid out, and which cases it holds.

Every known layout is asked how surely the folder has it, by names alone; the surest is read, and where two are nearly
as sure that is said. A new layout is one file with a `LAYOUT` and one line in `LAYOUTS`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled import (
    bids,
    decathlon,
    dicom_cases,
    images_labels,
    mask_folders,
    nnunet,
    side_by_side,
    table,
)
from genesis_core.volumes.labelled.case import LabelledFolder
from genesis_core.volumes.labelled.folder_listing import FolderListing, list_folder
from genesis_core.volumes.labelled.layout import Detection, Layout, some
from genesis_core.volumes.labelled.subjects import assign_subjects, read_subjects, suspicious_subjects

# In the order to ask them; the first of equally sure ones counts.
LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        nnunet.LAYOUT,
        decathlon.LAYOUT,
        bids.LAYOUT,
        mask_folders.LAYOUT,
        images_labels.LAYOUT,
        dicom_cases.LAYOUT,
        table.LAYOUT,
        side_by_side.LAYOUT,
    )
}
# Two layouts closer than this are told to the user.
_NEARLY = 0.12


def find_labelled(
    folder_or_csv: str | os.PathLike[str],
    *,
    layout: str | None = None,
    labels: str | None = None,
    subject_pattern: str | None = None,
    subjects: Mapping[str, str] | str | os.PathLike[str] | None = None,
) -> LabelledFolder:
    """Return the cases of a labelled folder, or of a table that lists them, without reading voxels.

    layout: a name in `LAYOUTS`, instead of the surest. labels: which set of labels to take where there are several
    (a folder's name). subject_pattern: a regular expression with one group, the subject, searched in the case's name.
    subjects: case name to subject, or a table with columns name and subject; it comes before the pattern. The result
    says what was left out and why, and what a user should know.
    Raises VolumeError if no known layout fits (listing those there are, and what was found instead), a list or table
    cannot be read, no image has a label, or two cases share a name.
    """
    path = Path(folder_or_csv)
    if layout is not None and layout not in LAYOUTS:
        raise VolumeError(f"unknown layout {layout!r}; known are {', '.join(LAYOUTS)}")
    if os.path.isfile(path):
        if path.suffix.lower() not in table.TABLE_ENDINGS:
            raise VolumeError(
                f"{path}: a labelled folder or a table ({', '.join(table.TABLE_ENDINGS)}) is needed, not another file"
            )
        if layout not in (None, "table"):
            raise VolumeError(f"{path}: is a file, so layout={layout!r} cannot be; give the folder, or layout='table'")
        found = table.find_in_table(path)
    else:
        listing = list_folder(path)
        chosen, notes = _choose(listing) if layout is None else (LAYOUTS[layout], ())
        found = chosen.find(listing, labels)
        closed = [f"Folders that could not be opened: {some(listing.closed)}."] if listing.closed else []
        found = replace(found, notes=(*notes, *found.notes, *closed))
    known = subjects if subjects is None or isinstance(subjects, Mapping) else read_subjects(subjects)
    try:
        cases, told = assign_subjects(found.cases, pattern=subject_pattern, subjects=known)
    except VolumeError as problem:
        raise VolumeError(f"{path}: {problem}") from None
    counts = Counter(case.name for case in cases)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise VolumeError(
            f"{path}: several cases are called {some(twice)}, and could not be told apart later. Give their files "
            "names of their own, or list the cases in a table with a column name"
        )
    ordered = tuple(sorted(cases, key=lambda case: (case.part == "test", case.name)))
    return replace(found, cases=ordered, notes=(*found.notes, *told, *suspicious_subjects(ordered)))


def _choose(listing: FolderListing) -> tuple[Layout, tuple[str, ...]]:
    """Return the surest layout, and a sentence where another is nearly as sure."""
    detections = {layout.name: layout.detect(listing) for layout in LAYOUTS.values()}
    ranked = sorted(LAYOUTS.values(), key=lambda layout: -detections[layout.name].confidence)
    best = detections[ranked[0].name]
    if best.confidence <= 0:
        raise VolumeError(_nothing_found(listing, detections))
    near = [
        layout
        for layout in ranked[1:]
        if detections[layout.name].confidence > 0 and best.confidence - detections[layout.name].confidence < _NEARLY
    ]
    return ranked[0], tuple(
        f"Read as {ranked[0].title} ({best.reason}); it could also be {layout.title} "
        f"({detections[layout.name].reason}), which layout={layout.name!r} asks for."
        for layout in near
    )


def _nothing_found(listing: FolderListing, detections: Mapping[str, Detection]) -> str:
    """Return what was found instead, why no layout fits, and what the layouts look like."""
    if not (listing.scans or listing.dicom):
        there = f"{len(listing.others)} other files" if listing.others else "nothing"
        found = f"it holds no scan, only {there}" if listing.others else "it is empty"
    else:
        counts = [f"{len(names)} in {folder or 'the folder itself'}" for folder, names in listing.by_folder.items()]
        counts += [f"DICOM files in {'the folder itself' if place == '.' else place}" for place in listing.dicom]
        found = f"it holds scans ({some(counts, 4)}), but nothing that tells which are labels"
    reasons = "\n".join(f"  {name}: {detections[name].reason}" for name in LAYOUTS)
    trees = "\n".join(
        f"  {layout.name}: {layout.title}\n" + "\n".join(f"      {line}" for line in layout.tree.splitlines())
        for layout in LAYOUTS.values()
    )
    return (
        f"{listing.root}: not a labelled folder: {found}.\nWhy not:\n{reasons}\nBring it into one of these layouts, or "
        f"list the cases in a table:\n{trees}"
    )
