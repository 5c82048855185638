"""Layout: DICOM series with what was drawn on them, structure sets (RTSTRUCT) or segmentations (SEG), in any folders.

A label belongs to the series whose UID it names, wherever it lies; names of patients are not read, and the patient's
number only becomes a pseudonym that keeps one patient's cases together. Source: DICOM PS3.3, C.8.8.5 and C.8.20.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.extra import open_dataset
from genesis_core.volumes.dicom.series import scan_dicom_folder
from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.labelled.case import Case, LabelKind, LabelledFolder, LabelSource, Source
from genesis_core.volumes.labelled.folder_listing import FolderListing, same
from genesis_core.volumes.labelled.label_list import join_lists
from genesis_core.volumes.labelled.layout import Detection, Layout, make_case, some

_KINDS: dict[str | None, LabelKind] = {"RT structure set": "rtstruct", "segmentation": "dicom_seg"}
_KIND_NAMES = {"rtstruct": "structure set", "dicom_seg": "segmentation"}
_ELEMENTS = (
    "ReferencedFrameOfReferenceSequence", "ReferencedSeriesSequence", "StructureSetROISequence", "ROIContourSequence",
    "SegmentSequence", "StructureSetDate", "StructureSetTime", "ContentDate", "ContentTime",
)  # fmt: skip


@dataclass(frozen=True)
class _Drawn:
    """A label object: the series it names, its structures, and when it was made (as text that sorts)."""

    relative: str
    path: Path
    kind: LabelKind
    series: tuple[str, ...]
    structures: tuple[Structure, ...]
    made: str


@dataclass(frozen=True)
class _Series:
    """An image series. source: how to read it. alone: the only one in its folder."""

    folder: str
    uid: str
    source: Source
    first: Path
    alone: bool


def detect(listing: FolderListing) -> Detection:
    """Tell whether there are DICOM folders; what lies in them is told by reading their tags, when asked to."""
    if not listing.dicom:
        return Detection(0.0, "no DICOM files")
    confidence = 0.3 if listing.scans else 0.7
    return Detection(confidence, f"{len(listing.dicom)} folders hold DICOM files")


def find(listing: FolderListing, labels: str | None = None) -> LabelledFolder:
    """Return one case per labelled series; labels: the file name of the label to take where a series has several.

    Raises VolumeError if no series has a label, none is called as asked, or pydicom is not installed.
    """
    left_out: list[tuple[str, str]] = []
    series: list[_Series] = []
    drawn: list[_Drawn] = []
    for folder in listing.dicom:
        _read_folder(listing, folder, series, drawn, left_out)
    series = _without_copies(series, left_out)
    if labels is not None and not any(_is_called(one, labels) for one in drawn):
        there = sorted({one.path.name for one in drawn})
        raise VolumeError(f"{listing.root}: no label is called {labels!r}; there are {some(there, 8) or 'none'}")
    of_series, notes = _by_series(series, drawn, left_out)
    cases: list[Case] = []
    names = _names(listing, series)
    for item in series:
        choice = of_series.get(item.uid, [])
        if not choice:
            left_out.append((names[item.uid], "no structure set or segmentation refers to this series"))
            continue
        label = _chosen(choice, labels)
        if label is None:
            others = [one.path.name for one in choice]
            left_out.append((names[item.uid], f"none of its labels is called {labels}; there are {some(others)}"))
            continue
        try:
            subject = _subject(item.first)
        except VolumeError as problem:
            left_out.append((names[item.uid], str(problem).removeprefix(f"{item.first}: ")))
            continue
        if len(choice) > 1:
            others = [one.relative for one in choice if one is not label]
            notes.append(
                f"{names[item.uid]} has {len(choice)} labels; the one used is {label.relative}, not {some(others)}."
            )
        cases.append(
            make_case(
                names[item.uid],
                [item.source],
                LabelSource(label.kind, (("", Source(label.path)),)),
                subject=subject,
                annotated=tuple(structure.name for structure in label.structures),
            )
        )
    if not cases:
        raise VolumeError(
            f"{listing.root}: {len(series)} DICOM series and {len(drawn)} structure sets or segmentations, but none "
            "belongs to another. " + "; ".join(f"{name}: {reason}" for name, reason in left_out[:3])
        )
    lists = {one.path: one.structures for one in drawn}
    used = [lists[case.label.parts[0][1].path] for case in cases if case.label]
    return LabelledFolder(
        root=listing.root,
        layout="DICOM series with structure sets or segmentations",
        channels=("image",),
        structures=join_lists(used),
        classes=(),
        cases=tuple(cases),
        left_out=tuple(sorted(left_out)),
        notes=(*notes, *_partly(used)),
    )


def _read_folder(
    listing: FolderListing,
    folder: str,
    series: list[_Series],
    drawn: list[_Drawn],
    left_out: list[tuple[str, str]],
) -> None:
    place = listing.root if folder == "." else listing.root / folder
    try:
        found = scan_dicom_folder(place)
    except VolumeError as problem:
        left_out.append((folder, str(problem).removeprefix(f"{place}: ")))
        return
    alone = len(found.series) == 1
    for uid, files in found.series.items():
        if uid and files[0].kind is None:
            # A file of many frames is a series by itself.
            path = files[0].path if len(files) == 1 else place
            source = Source(path, None if alone or path != place else uid)
            series.append(_Series(folder, uid, source, files[0].path, alone))
    for file in found.others:
        if (kind := _KINDS.get(file.kind)) is None:
            continue
        relative = file.path.relative_to(listing.root).as_posix()
        try:
            drawn.append(_read_label(relative, file.path, kind))
        except VolumeError as problem:
            if "napari-genesis[dicom]" in str(problem):
                raise
            left_out.append((relative, str(problem).removeprefix(f"{file.path}: ")))


def _read_label(relative: str, path: Path, kind: LabelKind) -> _Drawn:
    """Read what a label object refers to and names, not its contours or voxels."""
    dataset = open_dataset(path, _ELEMENTS)
    try:
        if kind == "rtstruct":
            references, structures = _rtstruct_references(dataset), _rois(dataset)
        else:
            references = [str(item.SeriesInstanceUID) for item in dataset.get("ReferencedSeriesSequence") or []]
            structures = _segments(dataset)
    # Damaged sequences make pydicom fail in many ways.
    except (AttributeError, IndexError, TypeError, ValueError, KeyError) as problem:
        raise VolumeError(f"{path}: damaged DICOM: {problem}. Copy it again from where it came") from None
    elements = ("StructureSetDate", "StructureSetTime", "ContentDate", "ContentTime")
    when = [str(dataset.get(element) or "") for element in elements]
    if not structures:
        raise VolumeError(f"{path}: nothing is drawn in it")
    return _Drawn(relative, path, kind, tuple(dict.fromkeys(references)), structures, " ".join(when).strip())


def _rtstruct_references(dataset: Any) -> list[str]:
    return [
        str(series.SeriesInstanceUID)
        for space in dataset.get("ReferencedFrameOfReferenceSequence") or []
        for study in space.get("RTReferencedStudySequence") or []
        for series in study.get("RTReferencedSeriesSequence") or []
    ]


def _rois(dataset: Any) -> tuple[Structure, ...]:
    """Return the structures with contours; names that come twice get a number, as when they are read."""
    drawn = {
        int(item.ReferencedROINumber) for item in dataset.get("ROIContourSequence") or [] if item.get("ContourSequence")
    }
    rois = [roi for roi in dataset.get("StructureSetROISequence") or [] if int(roi.ROINumber) in drawn]
    return _numbered([str(roi.get("ROIName") or "").strip() or f"ROI {roi.ROINumber}" for roi in rois])


def _segments(dataset: Any) -> tuple[Structure, ...]:
    segments = dataset.get("SegmentSequence") or []
    return _numbered([str(s.get("SegmentLabel") or "").strip() or f"segment {s.SegmentNumber}" for s in segments])


def _numbered(names: list[str]) -> tuple[Structure, ...]:
    found: list[str] = []
    for name in names:
        times = 1
        while (told := name if times == 1 else f"{name} ({times})") in found:
            times += 1
        found.append(told)
    return tuple(Structure(name, value) for value, name in enumerate(found, 1))


def _by_series(
    series: list[_Series], drawn: list[_Drawn], left_out: list[tuple[str, str]]
) -> tuple[dict[str, list[_Drawn]], list[str]]:
    """Return the labels of each series; one that names none goes to the only series of its folder, which is said."""
    known = {item.uid for item in series}
    found: dict[str, list[_Drawn]] = {}
    notes = []
    for label in drawn:
        targets = [uid for uid in label.series if uid in known]
        if not targets and label.series:
            left_out.append((label.relative, "the series it was drawn on is not in this folder"))
        elif not targets:
            folder = label.relative.rpartition("/")[0] or "."
            beside = [item.uid for item in series if item.folder == folder]
            if len(beside) != 1:
                left_out.append((label.relative, "it does not say which series it was drawn on"))
                continue
            notes.append(f"{label.relative} names no series; it is taken to belong to the one in its folder.")
            targets = beside
        elif len(targets) > 1:
            notes.append(f"{label.relative} names {len(targets)} series; it is used for each of them.")
        for uid in targets:
            found.setdefault(uid, []).append(label)
    return found, notes


def _chosen(choice: list[_Drawn], asked: str | None) -> _Drawn | None:
    """Return the only label, else the one asked for by its file name, else the newest, else the last by name."""
    if len(choice) > 1 and asked is not None:
        return next((label for label in choice if _is_called(label, asked)), None)
    return max(choice, key=lambda label: (label.made, label.relative))


def _is_called(label: _Drawn, asked: str) -> bool:
    return same(label.path.name) == same(asked)


def _without_copies(series: list[_Series], left_out: list[tuple[str, str]]) -> list[_Series]:
    """Keep the first folder that holds a series."""
    first: dict[str, _Series] = {}
    for item in series:
        other = first.setdefault(item.uid, item)
        if other is not item:
            reason = f"holds the same series as {other.folder}; if its slices are spread over both, join them in one"
            left_out.append((item.folder, reason))
    return list(first.values())


def _names(listing: FolderListing, series: list[_Series]) -> dict[str, str]:
    """Return a name for each series: its folder's, with a number where the folder holds several."""
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for item in series:
        folder = listing.root.name if item.folder == "." else item.folder
        counts[folder] += 1
        names[item.uid] = folder if item.alone else f"{folder}/series {counts[folder]}"
    return names


def _subject(first: Path) -> str:
    """Return the pseudonym of the patient of a slice, or "" where the file names none."""
    patient = str(open_dataset(first, ("PatientID",)).get("PatientID") or "").strip()
    if not patient:
        return ""
    return "subject_" + hashlib.blake2b(patient.encode("utf-8", "surrogateescape"), digest_size=5).hexdigest()


def _partly(used: list[tuple[Structure, ...]]) -> list[str]:
    """Say which structures were drawn in some cases only: they may be called otherwise in the rest."""
    counts = Counter(structure.name for members in used for structure in members)
    some_only = sorted(f"{name} ({count} of {len(used)})" for name, count in counts.items() if count < len(used))
    if not some_only:
        return []
    return [f"Structures named in some cases only, or called otherwise in the rest: {some(some_only, 6)}."]


LAYOUT = Layout(
    name="dicom",
    title="DICOM series with structure sets (RTSTRUCT) or segmentations (SEG)",
    tree="patient1/CT/IM0001.dcm, IM0002.dcm, ...\npatient1/RS.dcm   (or SEG.dcm; beside the slices or elsewhere)",
    detect=detect,
    find=find,
)
