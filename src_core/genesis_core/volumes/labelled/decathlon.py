"""Layout: the Medical Segmentation Decathlon's, a dataset.json that lists the image and label of every case.

MONAI's lists have the same form. An image with a fourth axis holds one channel per frame. The list counts; files that
it does not name are left out. Source: medicaldecathlon.com (arXiv:1902.09063), dataset.json of its tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.case import Case, LabelledFolder, Source
from genesis_core.volumes.labelled.dataset_json import (
    channel_names,
    count_notes,
    dataset_structures,
    read_dataset_json,
)
from genesis_core.volumes.labelled.folder_listing import FolderListing, same, stem
from genesis_core.volumes.labelled.layout import Detection, Layout, case_id, label_map, make_case

_PARTS = ("training", "validation", "test")


def detect(listing: FolderListing) -> Detection:
    """Tell whether there is a dataset.json with a list "training"."""
    path = listing.other("dataset.json")
    if path is None:
        return Detection(0.0, "no dataset.json")
    try:
        content = read_dataset_json(path)
    except VolumeError as problem:
        folders = {same(folder) for folder in listing.by_folder}
        unless = 0.85 if {"imagestr", "labelstr"} <= folders else 0.0
        return Detection(unless, f"dataset.json cannot be read: {problem}")
    listed = content.get("training")
    if not isinstance(listed, list) or not listed:
        return Detection(0.0, 'dataset.json has no list "training"')
    files = [file for entry in listed if isinstance(entry, Mapping) for file in _texts(entry.get("image"))]
    there = sum(bool(path) and _place(listing, file) is not None for file in files[:20])
    if not there:
        return Detection(0.3, 'dataset.json has a list "training", but its first images do not exist')
    return Detection(0.9, 'dataset.json lists the cases under "training"')


def find(listing: FolderListing, labels: str | None = None) -> LabelledFolder:
    """Return the listed cases, those under "test" without labels as test cases."""
    path = listing.other("dataset.json")
    if labels is not None:
        raise VolumeError(f"{listing.root}: dataset.json says which labels count; leave --labels {quote(labels)} out")
    if path is None:
        raise VolumeError(f"{listing.root}: no dataset.json in this folder")
    content = read_dataset_json(path)
    if not isinstance(content.get("training"), list) or not content["training"]:
        raise VolumeError(f'{path}: needs a list "training": [{{"image": ..., "label": ...}}, ...]')
    channels = channel_names(path, content)
    structures, notes = dataset_structures(path, content) if "labels" in content else ((), ())
    left_out: list[tuple[str, str]] = []
    cases: list[Case] = []
    images = [_texts(entry.get("image")) for entry in content["training"] if isinstance(entry, Mapping)]
    count = len(channels) or max(1, *map(len, images), 1)
    for part in _PARTS:
        entries = content.get(part, [])
        for number, entry in enumerate(entries if isinstance(entries, list) else [], 1):
            made = _case(listing, entry, part, count)
            if isinstance(made, Case):
                cases.append(made)
            elif made is not None:
                left_out.append((_entry_name(entry, part, number), made))
    cases = _without_doubles(listing.root, cases, left_out)
    if not any(case.label or case.class_name for case in cases):
        told = "; ".join(f"{name}: {reason}" for name, reason in left_out[:3])
        raise VolumeError(f'{path}: no case under "training" can be used. {told or "The list is empty"}')
    training = len([case for case in cases if case.part == "training"])
    if content.get("validation"):
        notes += ('The cases under "validation" are training cases here; the split is made later, by subject.',)
    classes = tuple(sorted({case.class_name for case in cases if case.class_name is not None}))
    left_out += _not_listed(listing, cases, left_out)
    return LabelledFolder(
        root=listing.root,
        layout="the Medical Segmentation Decathlon's (dataset.json)",
        channels=channels or (("image",) if count == 1 else tuple(f"channel {number}" for number in range(count))),
        structures=structures,
        classes=classes,
        cases=tuple(cases),
        left_out=tuple(left_out),
        notes=(*notes, *count_notes(content, "numTraining", training)),
    )


def _case(listing: FolderListing, entry: Any, part: str, channels: int) -> Case | str | None:
    """Return the case of an entry, in words why there is none, or None for an entry to pass over."""
    if isinstance(entry, str):
        entry = {"image": entry}
    images = _texts(entry.get("image")) if isinstance(entry, Mapping) else []
    if not images:
        return 'the entry has no "image"'
    # Apple's copies of file attributes got into some lists.
    if PurePosixPath(images[0].replace("\\", "/")).name.startswith("._"):
        return None
    label, class_name = entry.get("label"), None
    if isinstance(label, list) and len(label) == 1:
        label = label[0]
    if isinstance(label, int) and not isinstance(label, bool):
        label, class_name = None, str(label)
    paths = []
    for file in (*images, *([label] if isinstance(label, str) else [])):
        place = _place(listing, file)
        if place is None:
            return f"{file} does not exist in the folder"
        paths.append(place)
    if label is not None and not isinstance(label, str):
        return f'"label" is {label!r}; one file name is needed'
    if label is None and class_name is None and part != "test":
        return 'the entry has no "label"'
    sources = _sources(paths[: len(images)], channels)
    if isinstance(sources, str):
        return sources
    drawn = label_map(Source(paths[-1])) if label is not None else None
    name = stem(PurePosixPath(images[0].replace("\\", "/")).name)
    return make_case(name, sources, drawn, class_name=class_name, test=part == "test")


def _sources(paths: Sequence[Path], channels: int) -> list[Source] | str:
    """Return one source per channel: files, or the frames of one file; in words what does not fit."""
    if len(paths) == channels:
        return [Source(path) for path in paths]
    if len(paths) > 1 or channels == 1:
        return f"{len(paths)} images, where {channels} belong to a case"
    from genesis_core.volumes.reading import read_header

    try:
        frames = read_header(paths[0]).frames
    except VolumeError as problem:
        return str(problem).removeprefix(f"{paths[0]}: ")
    if frames != channels:
        return f"its image holds {frames} frames, but dataset.json names {channels} channels"
    return [Source(paths[0], frame=frame) for frame in range(frames)]


def _place(listing: FolderListing, file: str) -> Path | None:
    """Return where a listed file lies, if it is there and inside the folder."""
    relative = PurePosixPath(file.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts:
        return None
    path = listing.root / relative
    return path if path.exists() else None


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []


def _entry_name(entry: Any, part: str, number: int) -> str:
    files = _texts(entry.get("image")) if isinstance(entry, Mapping) else _texts(entry)
    return files[0] if files else f'"{part}", entry {number}'


def _without_doubles(root: Path, cases: Sequence[Case], left_out: list[tuple[str, str]]) -> list[Case]:
    """Keep the first of cases with the same images; images of one name in several folders are called by their paths."""
    first: dict[tuple[Source, ...], Case] = {}
    for case in cases:
        other = first.setdefault(case.images, case)
        if other is not case:
            left_out.append((case.name, f'listed twice in dataset.json (also under "{other.part}")'))
    called = Counter(same(case.name) for case in first.values())
    kept = []
    for case in first.values():
        path = stem(case.images[0].path.relative_to(root).as_posix())
        kept.append(case if called[same(case.name)] == 1 else replace(case, name=path, id=case_id(path)))
    return kept


def _not_listed(
    listing: FolderListing, cases: Sequence[Case], left_out: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return scan files of the folder that the list does not name."""
    named = {source.path for case in cases for source in case.images}
    named |= {source.path for case in cases if case.label for _, source in case.label.parts}
    told = {name.removeprefix("./") for name, _ in left_out}
    folders = {path.parent for path in named}
    return [
        (file, "dataset.json does not list it")
        for file in listing.scans
        if (path := listing.root / file) not in named and path.parent in folders and file not in told
    ]


LAYOUT = Layout(
    name="decathlon",
    title="the Medical Segmentation Decathlon's, with a list of the cases in dataset.json",
    tree='dataset.json   ("training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}, ...])\n'
    "imagesTr/a.nii.gz\nlabelsTr/a.nii.gz",
    detect=detect,
    find=find,
)
