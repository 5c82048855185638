"""One case of a labelled folder, read whole: usable and what it holds, or left out and why."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from genesis_core.errors import VolumeError
from genesis_core.remembered import Remembered
from genesis_core.volumes.formats.headers import file_ending
from genesis_core.volumes.grid import same_grid
from genesis_core.volumes.inspection import scan_files
from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.labelled.case import Case, LabelledFolder, Source
from genesis_core.volumes.labelled.check_records import CaseRecord, ChannelRecord, DrawnRecord
from genesis_core.volumes.labelled.measuring import measure_channel, measure_labels
from genesis_core.volumes.labelled.reading_cases import read_case
from genesis_core.volumes.labelled.splitting import subject_id
from genesis_core.volumes.reading import read_header
from genesis_core.volumes.scans import Scan
from genesis_core.volumes.structure_names import is_unnamed, sidecar_of

# Raised whenever the same files would now be measured differently.
VERSION = 3
_FACTS = {
    "shape",
    "spacing",
    "orientation",
    "left_handed",
    "channels",
    "structures",
    "outside",
    "label",
    "named",
    "notes",
}
# Remarks on labels that the measurement tells by itself, for the set as a whole.
_MEASURED = ("Nothing is drawn in it.", "Numbers that belong to no structure")


def check_case(
    case: Case, folder: LabelledFolder, store: Remembered | None = None
) -> tuple[CaseRecord, tuple[Structure, ...]]:
    """Read a case and return its record, and the structures its label knows, drawn or not.

    A case that cannot be used is left out with the reason; nothing is raised for it. store: of kind "labelled_case".
    """
    record = _left_out(case)
    if case.label is None and case.class_name is None:
        return replace(record, misfit="unlabelled", reason=_nothing_drawn(case, folder)), ()
    try:
        facts = _facts(case, folder.structures, store)
    except (VolumeError, OSError, MemoryError) as problem:
        reason = _without_folders(_in_words(problem), case, folder)
        return replace(record, misfit="grids_differ" if _grids_differ(case) else "unreadable", reason=reason), ()
    notes = tuple(_without_folders(note, case, folder) for note in facts["notes"])
    structures = tuple(Structure(**{**one, "colour": _colour(one["colour"])}) for one in facts["named"])
    return replace(
        record,
        status="usable",
        has_label=case.label is not None,
        shape=tuple(facts["shape"]),
        spacing=tuple(facts["spacing"]),
        orientation=facts["orientation"],
        left_handed=facts["left_handed"],
        channels=tuple(ChannelRecord(**{**one, "percentiles": tuple(one["percentiles"])}) for one in facts["channels"]),
        structures=tuple(DrawnRecord(**{**one, "extent": tuple(one["extent"])}) for one in facts["structures"]),
        outside=tuple((value, voxels) for value, voxels in facts["outside"]),
        label=facts["label"],
        looked_for=_looked_for(structures),
        notes=notes,
    ), structures


def refused(case: Case, problem: Exception) -> CaseRecord:
    """Return the record of a case on which the check itself failed."""
    reason = f"the check of it failed ({type(problem).__name__}: {problem}), a defect of napari-genesis: report it"
    return replace(_left_out(case), misfit="unreadable", reason=reason)


def _left_out(case: Case) -> CaseRecord:
    return CaseRecord(case.name, case.id, subject_id(case.subject), case.part, "left out", class_name=case.class_name)


def _facts(case: Case, structures: Sequence[Structure], store: Remembered | None) -> dict[str, Any]:
    """Return what the files of a case hold, from memory if they are untouched; refusals are not remembered."""
    key = json.dumps(
        [
            version("napari-genesis"),
            [asdict(one) for one in structures],
            case.annotated,
            [asdict(one) for one in case.numbering or ()],
            [(source.series, source.frame) for source in case.images],
            [(case.label.kind, *((name, one.series, one.frame) for name, one in case.label.parts))]
            if case.label
            else None,
        ]
    )
    paths = _files(case)
    known = store.find(paths, key) if store else None
    if known is not None and known.keys() == _FACTS:
        return known
    facts = _measured(case, structures)
    if store:
        store.keep(paths, facts, key)
    return facts


def _measured(case: Case, structures: Sequence[Structure]) -> dict[str, Any]:
    read = read_case(case, structures)
    first = read.images[0]
    drawing = measure_labels(read.label) if read.label else None
    notes = [note for image in read.images for note in image.notes]
    notes += [note for note in read.label.notes if not any(told in note for told in _MEASURED)] if read.label else []
    return {
        "shape": first.shape,
        "spacing": first.spacing,
        "orientation": first.axis_codes,
        "left_handed": bool(np.linalg.det(np.reshape(first.direction, (3, 3))) < 0),
        "channels": [asdict(measure_channel(image)) for image in read.images],
        "structures": [asdict(one) for one in drawing.structures] if drawing else [],
        "outside": list(drawing.outside) if drawing else [],
        "label": drawing.fingerprint if drawing else None,
        "named": [asdict(one) for one in read.label.structures] if read.label else [],
        "notes": list(dict.fromkeys(notes)),
    }


def _files(case: Case) -> list[Path]:
    """Return every file that a case is read from; a folder's own time does not show what changed in its files."""
    scans = [Scan(source.path, source.path.name, source.series, "") for source in _sources(case)]
    names = [sidecar_of(scan.path, ending) for scan in scans if (ending := file_ending(scan.path))]
    files = [file for scan in scans for file in scan_files(scan)] + [path for path in names if path.exists()]
    return list(dict.fromkeys(files))


def _looked_for(structures: Sequence[Structure]) -> tuple[str, ...] | None:
    """Return the structures that a label lists; None for one of bare numbers, which lists only what is drawn."""
    if all(is_unnamed(one) for one in structures):
        return None
    return tuple(one.name for one in structures)


def _sources(case: Case) -> list[Source]:
    return [*case.images, *(part for _, part in (case.label.parts if case.label else ()))]


def _colour(values: Sequence[int] | None) -> tuple[int, int, int] | None:
    return None if values is None else (values[0], values[1], values[2])


def _nothing_drawn(case: Case, folder: LabelledFolder) -> str:
    if folder.classes:
        return "no class is given for it"
    if case.part == "test":
        return "no label: it can be segmented, but not tested with"
    return "no label: there is nothing to learn from it"


def _in_words(problem: Exception) -> str:
    if isinstance(problem, MemoryError):
        return "it does not fit into memory; crop it, use fewer threads or a larger machine"
    if isinstance(problem, OSError):
        return f"reading stopped ({problem.strerror or problem})"
    return str(problem)


def _grids_differ(case: Case) -> bool:
    """Whether the headers of a refused case are sound and say that its files lie on several grids."""
    if case.label is None or case.label.kind not in ("map", "masks"):
        return False
    try:
        grids = [read_header(source.path, series=source.series).geometry for source in _sources(case)]
    except (VolumeError, OSError):
        return False
    return any(not same_grid(grids[0], grid) for grid in grids[1:])


def _without_folders(text: str, case: Case, folder: LabelledFolder) -> str:
    """Name files as they are called within the set, without the folders of this machine."""
    for place in {folder.root, folder.root.absolute(), folder.root.resolve()}:
        text = text.replace(f"{place}{os.sep}", "")
    for source in _sources(case):
        text = text.replace(f"{source.path.parent}{os.sep}", "")
    return text
