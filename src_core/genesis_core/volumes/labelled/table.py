"""Layout: a table that lists images with their labels or classes, one case per line.

Columns: image (or image_t1, image_t2, ...: one per channel), label (or mask_liver, mask_spleen, ...: one file per
structure, an empty cell where nobody looked for it), class, and if wanted name, subject, part and series. Paths are
relative to the table.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.headers import file_ending
from genesis_core.volumes.labelled.case import Case, LabelKind, LabelledFolder, LabelSource, Source
from genesis_core.volumes.labelled.folder_listing import FolderListing, same, stem
from genesis_core.volumes.labelled.label_list import named_structures, naming_of
from genesis_core.volumes.labelled.layout import Detection, Layout, make_case, some
from genesis_core.volumes.labelled.rows import Row, Rows, read_rows

_IMAGE = ("image", "images", "img", "scan", "volume", "image_path", "path", "file")
_LABEL = ("label", "labels", "mask", "seg", "segmentation", "label_path", "mask_path")
_CLASS = ("class", "class_name", "diagnosis", "category", "target")
_SUBJECT = ("subject", "subject_id", "patient", "patient_id", "head")
_NAME = ("name", "case", "case_id", "id")
_PART = ("part", "split", "set")
# Mostly the numbers of a cross-validation, which is no part of the set.
_FOLD = "fold"
_CHANNELS = ("image_", "scan_")
# Columns that only begin like those of a channel or a structure.
_NO_CHANNEL = (*_IMAGE, *_LABEL, "label_id", "image_id")
_MASKS = ("mask_", "label_", "seg_")
_TRAINING = ("", "training", "train", "tr", "validation", "val", "valid")
_TEST = ("test", "testing", "ts")
TABLE_ENDINGS = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class _Columns:
    """Which column is what; channels and masks: (name, column)."""

    channels: tuple[tuple[str, str], ...]
    masks: tuple[tuple[str, str], ...]
    label: str | None
    class_name: str | None
    subject: str | None
    name: str | None
    part: str | None
    series: str | None


def detect(listing: FolderListing) -> Detection:
    """Tell whether a table in the folder itself lists images with labels or classes."""
    found = _tables(listing)
    if not found:
        return Detection(0.0, "no table (.csv) with a column image, and one of label, mask_... or class")
    return Detection(0.6 if len(found) == 1 else 0.45, f"{some(found)} lists images with labels")


def find(listing: FolderListing, labels: str | None = None) -> LabelledFolder:
    """Return the cases of the one table in a folder; labels: its name, where there are several."""
    found = [name for name in _tables(listing) if labels is None or same(name) == same(labels)]
    if len(found) != 1:
        told = f"there are {some(found)}; give the one to use" if found else "there is none"
        raise VolumeError(f"{listing.root}: one table that lists images with labels is needed; {told}")
    return find_in_table(listing.root / found[0])


def find_in_table(path: Path) -> LabelledFolder:
    """Return the cases that a table lists.

    Raises VolumeError naming the column where columns are missing or doubtful, or if no line can be used; a line that
    cannot be used is left out, with line and column.
    """
    rows = read_rows(path)
    columns = _columns(path, rows)
    left_out: list[tuple[str, str]] = []
    cases: list[Case] = []
    taken: dict[str, int] = {}
    for row in rows.rows:
        try:
            case = _case(path.parent, row, columns)
        except VolumeError as problem:
            left_out.append((f"line {row.line}", str(problem)))
            continue
        first = taken.setdefault(same(case.name), row.line)
        if first != row.line:
            reason = f"it is called {case.name} like line {first}; give the cases names of their own in a column name"
            left_out.append((f"line {row.line}", reason))
            continue
        cases.append(case)
    if not cases:
        told = "; ".join(f"{line}: {reason}" for line, reason in left_out[:3]) or "it has no line below the first"
        raise VolumeError(f"{path}: no line can be used. {told}")
    structures = named_structures(name for name, _ in columns.masks)
    notes = list(rows.notes)
    if columns.label and not columns.masks:
        listing = FolderListing(path.parent, (), (), _beside(path))
        naming = naming_of(listing, "labels", is_only_set=True, cases=[case.name for case in cases])
        structures, cases = naming.structures, list(naming.applied(cases))
        notes += naming.notes
    if unused := _without_files(path.parent, rows):
        notes.append(f"Not used, as no cell names a scan: {some(unused)}.")
    if _FOLD in rows.columns and columns.part != _FOLD:
        notes.append(f"The column {_FOLD} is not used: folds are made here, by subject.")
    if columns.part and any(same(row.cells[columns.part]) in _TRAINING[4:] for row in rows.rows):
        notes.append(f"Validation cases (column {columns.part}) are training cases here; the split is made by subject.")
    return LabelledFolder(
        root=path.parent,
        layout=f"a table of images ({path.name})",
        channels=tuple(name for name, _ in columns.channels),
        structures=structures,
        classes=tuple(sorted({case.class_name for case in cases if case.class_name is not None})),
        cases=tuple(cases),
        left_out=tuple(left_out),
        notes=tuple(notes),
    )


def _tables(listing: FolderListing) -> list[str]:
    found = []
    for name in listing.others:
        if "/" in name or not name.lower().endswith(TABLE_ENDINGS[:2]):
            continue
        try:
            _columns(listing.root / name, read_rows(listing.root / name))
        except VolumeError:
            # Not a table of cases: a list of names, or anything else a folder may hold.
            continue
        found.append(name)
    return found


def _beside(path: Path) -> tuple[str, ...]:
    """Return the files beside a table, without itself: one of them may name the structures."""
    try:
        names = sorted(os.listdir(path.parent))
    except OSError as problem:
        raise VolumeError(f"{path.parent}: the folder cannot be listed ({problem.strerror or problem})") from None
    return tuple(name for name in names if name != path.name and not name.startswith("."))


def _columns(path: Path, rows: Rows) -> _Columns:
    """Return which column is what; raises VolumeError where that is not clear."""

    no_files = _without_files(path.parent, rows)

    def one(wanted: Sequence[str]) -> str | None:
        found = [column for column in rows.columns if column in wanted]
        if len(found) > 1:
            raise VolumeError(f"{path}: the columns {some(found)} mean the same; keep or rename one")
        return found[0] if found else None

    def several(starts: Sequence[str]) -> tuple[tuple[str, str], ...]:
        return tuple(
            (column[len(start) :], column)
            for column in rows.columns
            for start in starts
            if column.startswith(start) and column not in (*_NO_CHANNEL, *no_files)
        )

    image, channels, label, masks = one(_IMAGE), several(_CHANNELS), one(_LABEL), several(_MASKS)
    if (image is None) == (not channels):
        there = f"both are there ({image} and {channels[0][1]})" if image else "none of them is there"
        if not image and no_files:
            there = f"no cell of {some(no_files)} names a scan"
        raise VolumeError(
            f"{path}: line 1 must name a column image, or image_<channel> for each of several; {there}. Its columns "
            f"are: {some(rows.columns, 12)}"
        )
    class_name, part = one(_CLASS), one(_PART)
    if part is None and _FOLD in rows.columns and all(same(row.cells[_FOLD]) in _TRAINING + _TEST for row in rows.rows):
        part = _FOLD
    if label and masks:
        raise VolumeError(f"{path}: both a column {label} and {masks[0][1]}; use either one label map or masks")
    if not (label or masks or class_name):
        raise VolumeError(
            f"{path}: line 1 must name a column label, mask_<structure> or class. Its columns are: "
            f"{some(rows.columns, 12)}"
        )
    return _Columns(
        channels or (("image", image or ""),),
        masks,
        label,
        class_name,
        one(_SUBJECT),
        one(_NAME),
        part,
        one(("series", "series_uid")),
    )


def _without_files(root: Path, rows: Rows) -> list[str]:
    """Return the columns called like those of channels of which no cell names a scan, such as "scan_date"."""
    return [
        column
        for column in rows.columns
        if column.startswith(_CHANNELS)
        and column not in _NO_CHANNEL
        and (cells := [row.cells[column] for row in rows.rows if row.cells[column]])
        and not any(file_ending(cell) or os.path.exists(root / cell.replace("\\", "/")) for cell in cells)
    ]


def _case(root: Path, row: Row, columns: _Columns) -> Case:
    """Return the case of a line; raises VolumeError naming the column if it cannot be used."""

    def cell(column: str | None) -> str:
        return row.cells[column] if column else ""

    series = cell(columns.series) or None
    images = [Source(_path(root, row, column), series) for _, column in columns.channels]
    part = same(cell(columns.part))
    if part not in (*_TRAINING, *_TEST):
        raise VolumeError(f"column {columns.part}: {cell(columns.part)!r} is none of training, validation and test")
    test = part in _TEST
    label, annotated = _label(root, row, columns)
    class_name = cell(columns.class_name) or None
    if label is None and class_name is None and not test:
        names = [column for column in (columns.label, columns.class_name) if column] or [columns.masks[0][1]]
        raise VolumeError(f"column {names[0]}: the cell is empty, so there is nothing to learn from")
    name = cell(columns.name) or _plain_name(row.cells[columns.channels[0][1]])
    return make_case(
        name, images, label, class_name=class_name, subject=cell(columns.subject), test=test, annotated=annotated
    )


def _label(root: Path, row: Row, columns: _Columns) -> tuple[LabelSource | None, tuple[str, ...] | None]:
    if columns.label and row.cells[columns.label]:
        path = _path(root, row, columns.label)
        return LabelSource(_kind(path), (("", Source(path)),)), None
    drawn = [(name, column) for name, column in columns.masks if row.cells[column]]
    if not drawn:
        return None, None
    parts = tuple((name, Source(_path(root, row, column))) for name, column in drawn)
    annotated = None if len(drawn) == len(columns.masks) else tuple(name for name, _ in drawn)
    return LabelSource("masks", parts), annotated


def _kind(path: Path) -> LabelKind:
    """Return what a label file is: DICOM objects say so in their tags."""
    from genesis_core.volumes.dicom.tags import is_dicom, read_dicom_tags

    if not is_dicom(path):
        return "map"
    kinds: dict[str | None, LabelKind] = {"RT structure set": "rtstruct", "segmentation": "dicom_seg"}
    return kinds.get(read_dicom_tags(path).kind, "map")


def _path(root: Path, row: Row, column: str) -> Path:
    """Return the file a cell names; backslashes are taken as Windows' where the name does not exist as it is."""
    text = row.cells[column]
    if not text:
        raise VolumeError(f"column {column}: the cell is empty")
    ways: tuple[Callable[[str], str], ...] = (str, lambda name: name.replace("\\", "/"))
    for way in ways:
        path = root / way(text)
        if os.path.exists(path):
            return path
    raise VolumeError(f"column {column}: {text} does not exist (looked for {root / text})")


def _plain_name(text: str) -> str:
    return stem(text.replace("\\", "/").removeprefix("./")).rstrip("/")


LAYOUT = Layout(
    name="table",
    title="a table of images with labels",
    tree="cases.csv   image,label,subject   (or image_t1,image_t2,... for channels, mask_liver,mask_spleen,... for\n"
    "            a.nii.gz,a.nrrd,p1    structures)",
    detect=detect,
    find=find,
)
