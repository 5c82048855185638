"""Which prediction belongs to which reference, by file names, as labelled folders are paired; nothing is opened here.

References are a folder of label maps, one such file, or a labelled folder in any known layout, which then also tells
the scans, the subjects and the names of the structures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genesis_core.errors import VolumeError
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.labelled.case import Case, Source
from genesis_core.volumes.labelled.finding import find_labelled
from genesis_core.volumes.labelled.folder_listing import list_folder, stem
from genesis_core.volumes.labelled.layout import label_map, make_case, some
from genesis_core.volumes.labelled.pairing import pair_names
from genesis_core.volumes.labelled.reading_cases import read_case
from genesis_core.volumes.labelled.subjects import assign_subjects, read_subjects
from genesis_core.volumes.structure_names import read_structure_names

# What people, and this program, put behind a case's name to say that a file is a prediction.
_PREDICTION = re.compile(
    r"[-_. ](?:pred|preds|prediction|predictions|predicted|segmentation|seg|labels?|mask|output)$", re.I
)
# Files that lie beside predictions and are none.
_BESIDE = re.compile(r"[-_. ](?:uncertainty|spread|probabilit(?:y|ies)|restored|residual|outside_window|logits)$", re.I)


@dataclass(frozen=True)
class Pair:
    """A case to score. other: the prediction to compare with. image: the scan, to show beneath."""

    case: Case
    prediction: Path
    other: Path | None = None
    image: Source | None = None


@dataclass(frozen=True)
class Pairs:
    """The cases of a folder of predictions.

    missing: names of references without a prediction. extra: predictions without a reference. without_other: cases the
    folder to compare with does not have. names: what the numbers mean, on each side, where a folder says so.
    """

    pairs: tuple[Pair, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    without_other: tuple[str, ...]
    prediction_names: tuple[Structure, ...]
    other_names: tuple[Structure, ...]
    reference_names: tuple[Structure, ...]
    notes: tuple[str, ...]


def find_pairs(
    predictions: Path,
    references: Path,
    *,
    other: Path | None = None,
    images: Path | None = None,
    labels: str | None = None,
    subject_pattern: str | None = None,
    subjects: Mapping[str, str] | Path | None = None,
) -> Pairs:
    """Pair predictions with references by name, and with scans and a second set of predictions where given.

    labels: which set of labels, where a labelled folder has several. subject_pattern, subjects: as for `find_labelled`.
    Raises VolumeError if a folder does not exist, or nothing can be paired.
    """
    cases, reference_names, notes = _references(references, labels)
    known = read_subjects(subjects) if isinstance(subjects, Path) else subjects
    cases, told = assign_subjects(cases, pattern=subject_pattern, subjects=known)
    drawn = _files(predictions)
    found = _match(drawn, cases)
    if not found:
        raise VolumeError(
            f"{predictions}: no prediction is called like a reference in {references}: there are "
            f"{some([name for name, _ in drawn]) or 'no predictions'} and {some([case.name for case in cases])}. "
            "Name each prediction like its reference"
        )
    others = _match(_files(other), cases) if other else {}
    if other and not set(others) & set(found):
        raise VolumeError(f"{other}: no prediction there is called like one of those in {predictions}")
    scans = _images(images, cases) if images else {}
    pairs = [
        Pair(case, found[case.name], others.get(case.name), scans.get(case.name) or next(iter(case.images), None))
        for case in cases
        if case.name in found
    ]
    taken = set(found.values())
    if images and not scans:
        notes += (f"No scan in {images.name} is called like a case, so structures are shown without one.",)
    return Pairs(
        pairs=tuple(pairs),
        missing=tuple(case.name for case in cases if case.name not in found),
        extra=tuple(name for name, path in drawn if path not in taken),
        without_other=tuple(pair.case.name for pair in pairs if pair.other is None) if other else (),
        prediction_names=_names(predictions),
        other_names=_names(other) if other else (),
        reference_names=reference_names,
        notes=(*notes, *told),
    )


def read_reference(case: Case, names: Sequence[Structure]) -> LabelVolume:
    """Read the label of a case; names: what the numbers of the folder mean. Raises VolumeError if that cannot be."""
    if case.label is None:
        raise VolumeError(f"{case.name}: has no label")
    if case.label.kind != "map":
        label = read_case(case, names).label
        if label is None:
            raise VolumeError(f"{case.name}: has no label")
        return label
    ((_, source),) = case.label.parts
    label = read_labels(source.path, case.numbering or names, series=source.series)
    if case.annotated is None:
        return label
    kept = tuple(structure for structure in label.structures if structure.name in case.annotated)
    return LabelVolume(label.layers, label.geometry, kept, label.source, label.notes)


def _references(
    references: Path, labels: str | None
) -> tuple[tuple[Case, ...], tuple[Structure, ...], tuple[str, ...]]:
    """Return the cases to be scored, what their numbers mean, and notes."""
    if references.is_dir():
        try:
            folder = find_labelled(references, labels=labels)
        except VolumeError:
            if labels is not None:
                raise
        else:
            labelled = tuple(case for case in folder.cases if case.label is not None)
            return labelled, folder.structures, (f"References: {folder.layout}.", *folder.notes)
    cases = [make_case(name, (), label_map(Source(path))) for name, path in _files(references)]
    if not cases:
        raise VolumeError(f"{references}: no label map there")
    beside = references if references.is_dir() else references.parent
    return tuple(cases), _names(beside) or _names(beside.parent), ()


def _files(place: Path) -> list[tuple[str, Path]]:
    """Return (name without ending, path) of the label maps of a folder and its subfolders, or of one file."""
    if place.is_file():
        return [(stem(place.name), place)]
    if not place.exists():
        raise VolumeError(f"{place}: no such file or folder")
    listed = [(stem(name), place / name) for name in list_folder(place).scans]
    return [(name.removesuffix(".seg"), path) for name, path in listed if not _BESIDE.search(name)]


def _match(files: Sequence[tuple[str, Path]], cases: Sequence[Case]) -> dict[str, Path]:
    """Return the file of each case that has one: by its whole name, or without words such as "_prediction"."""
    if len(files) == 1 and len(cases) == 1:
        return {cases[0].name: files[0][1]}
    wanted = [(case.name, case.name) for case in cases]
    best: dict[str, Path] = {}
    for cut in (lambda name: name, lambda name: _PREDICTION.sub("", name), lambda name: name.rpartition("/")[2]):
        paths = {str(path): path for _, path in files}
        pairing = pair_names([(cut(name), str(path)) for name, path in files], wanted)
        found = {case.label: paths[case.images[0]] for case in pairing.cases if len(case.images) == 1}
        if len(found) > len(best):
            best = found
    return best


def _images(images: Path, cases: Sequence[Case]) -> dict[str, Source]:
    files = _files(images)
    if len(files) == 1 and len(cases) == 1:
        return {cases[0].name: Source(files[0][1])}
    pairing = pair_names([(name, str(path)) for name, path in files], [(case.name, case.name) for case in cases])
    return {case.label: Source(Path(case.images[0])) for case in pairing.cases}


def _names(folder: Path) -> tuple[Structure, ...]:
    """Return what a dataset.json in a folder says of the numbers, as nnU-Net leaves one beside its predictions."""
    path = folder / "dataset.json"
    return read_structure_names(path) if path.is_file() else ()
