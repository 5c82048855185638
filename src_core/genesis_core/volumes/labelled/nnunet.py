"""Layout: nnU-Net's raw data, imagesTr with one file per channel (case_0000), labelsTr, imagesTs and dataset.json.

Versions 1 and 2 of dataset.json are understood, and the "dataset" of version 2 that lists files elsewhere.
Source: nnU-Net, documentation/dataset_format.md (version 2) and dataset_conversion.md (version 1).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.headers import file_ending
from genesis_core.volumes.labelled.case import Case, LabelledFolder, Source
from genesis_core.volumes.labelled.dataset_json import (
    channel_names,
    count_notes,
    dataset_structures,
    read_dataset_json,
)
from genesis_core.volumes.labelled.folder_listing import FolderListing, same, stem
from genesis_core.volumes.labelled.layout import Detection, Layout, label_map, make_case, some

_CHANNEL = re.compile(r"(.+)_(\d{4})")


def detect(listing: FolderListing) -> Detection:
    """Tell whether imagesTr holds files that end in a channel number, and labelsTr is there."""
    images = _folder(listing, "imagesTr")
    if not images:
        return Detection(0.0, "no folder imagesTr with scans")
    names = [same(stem(file).rpartition("/")[2]) for file in images]
    numbered = [hit[1] for name in names if (hit := _CHANNEL.fullmatch(name))]
    if 2 * len(numbered) <= len(images):
        return Detection(0.0, "most names in imagesTr do not end in a channel number (_0000)")
    labels = {same(stem(file).rpartition("/")[2]) for file in _folder(listing, "labelsTr")}
    if not labels:
        return Detection(0.5, "imagesTr with channel numbers, but no labelsTr with scans")
    # Other sets number their cases that way ("amos_0001"), and their labels too.
    if len(labels.intersection(names)) > len(labels.intersection(numbered)):
        return Detection(0.0, "the numbers that names in imagesTr end in are those of cases, not of channels")
    return Detection(0.95, "imagesTr with channel numbers (_0000), and labelsTr")


def find(listing: FolderListing, labels: str | None = None) -> LabelledFolder:
    """Return the cases of imagesTr, and those of imagesTs as test cases (with labels where labelsTs has them)."""
    if labels is not None:
        raise VolumeError(f"{listing.root}: nnU-Net's layout has one set of labels; leave --labels {quote(labels)} out")
    path = listing.other("dataset.json")
    content: Mapping[str, Any] = read_dataset_json(path) if path else {}
    names = channel_names(path, content) if path else ()
    notes = [] if path else ["There is no dataset.json: channels and labels have no names."]
    structures, told = dataset_structures(path, content) if path else ((), ())
    notes += told
    left_out: list[tuple[str, str]] = []
    cases: list[Case] = []
    groups = {part: _grouped(listing, f"images{part}", left_out) for part in ("Tr", "Ts")}
    count = len(names) or _usual_count(groups["Tr"])
    for part, grouped in groups.items():
        drawn = _by_stem(listing, f"labels{part}", left_out)
        for key, channels in grouped.items():
            name, reason = _display(channels), _incomplete(channels, count)
            if reason:
                left_out.append((f"images{part}/{name}", reason))
                drawn.pop(key, None)
                continue
            file = drawn.pop(key, None)
            if file is None and part == "Tr":
                left_out.append((f"images{part}/{name}", f"no label: looked for labels{part}/{name}"))
                continue
            sources = [Source(listing.root / channels[number]) for number in range(count)]
            label = label_map(Source(listing.root / file)) if file else None
            cases.append(make_case(name, sources, label, test=part == "Ts"))
        left_out += [
            (file, f"no image: looked for images{part}/{stem(file).rpartition('/')[2]}_0000") for file in drawn.values()
        ]
    cases += _listed_elsewhere(listing, content, count, {same(case.name) for case in cases}, left_out)
    if not any(case.label for case in cases):
        told_reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out[:3])
        raise VolumeError(f"{listing.root}: imagesTr and labelsTr give no case. {told_reasons}")
    training = sum(case.part == "training" for case in cases)
    notes += [*_count_and_endings(content, training, cases), *_lies(content, cases)]
    return LabelledFolder(
        root=listing.root,
        layout="nnU-Net's raw data",
        channels=names or tuple(f"{number:04d}" if count > 1 else "image" for number in range(count)),
        structures=structures,
        classes=(),
        cases=tuple(_unique(cases)),
        left_out=tuple(sorted(left_out)),
        notes=tuple(notes),
    )


def _folder(listing: FolderListing, name: str) -> tuple[str, ...]:
    """Return the scan files directly in a folder of the root, whose name may be written in any case."""
    found = [folder for folder in listing.by_folder if same(folder) == same(name)]
    return tuple(f"{folder}/{file}" for folder in found for file in listing.by_folder[folder])


def _grouped(listing: FolderListing, folder: str, left_out: list[tuple[str, str]]) -> dict[str, dict[int, str]]:
    """Return files by case and channel number."""
    cases: dict[str, dict[int, str]] = {}
    doubled: set[str] = set()
    for file in _folder(listing, folder):
        hit = _CHANNEL.fullmatch(stem(file).rpartition("/")[2])
        if hit is None:
            left_out.append((file, "its name does not end in a channel number (_0000, _0001, ...)"))
            continue
        members = cases.setdefault(same(hit[1]), {})
        if int(hit[2]) in members:
            doubled.add(same(hit[1]))
            left_out.append((file, f"channel {hit[2]} of this case is there twice (also {members[int(hit[2])]})"))
        members[int(hit[2])] = file
    return {key: members for key, members in cases.items() if key not in doubled}


def _by_stem(listing: FolderListing, folder: str, left_out: list[tuple[str, str]]) -> dict[str, str]:
    files = _folder(listing, folder)
    counts = Counter(same(stem(file).rpartition("/")[2]) for file in files)
    found = {}
    for file in files:
        key = same(stem(file).rpartition("/")[2])
        if counts[key] > 1:
            left_out.append((file, "several labels share this name; keep one of them"))
        else:
            found[key] = file
    return found


def _display(channels: dict[int, str]) -> str:
    name = stem(next(iter(channels.values()))).rpartition("/")[2]
    return name.rpartition("_")[0]


def _usual_count(groups: dict[str, dict[int, str]]) -> int:
    counts = Counter(max(channels) + 1 for channels in groups.values())
    return counts.most_common(1)[0][0] if counts else 1


def _incomplete(channels: dict[int, str], count: int) -> str | None:
    missing = [f"_{number:04d}" for number in range(count) if number not in channels]
    if missing:
        return f"its channels {some(missing)} are missing, where {count} belong to a case"
    more = [f"_{number:04d}" for number in sorted(channels) if number >= count]
    return f"it has the channels {some(more)}, where {count} belong to a case" if more else None


def _listed_elsewhere(
    listing: FolderListing, content: Mapping[str, Any], count: int, known: set[str], left_out: list[tuple[str, str]]
) -> list[Case]:
    """Return the cases that version 2's "dataset" lists by their files."""
    cases: list[Case] = []
    listed = content.get("dataset")
    if not isinstance(listed, Mapping):
        return cases
    for name, entry in listed.items():
        images = _texts(entry.get("images")) if isinstance(entry, Mapping) else []
        label = entry.get("label") if isinstance(entry, Mapping) else None
        if same(str(name)) in known:
            continue
        if not images or not isinstance(label, str):
            left_out.append((str(name), 'its entry in "dataset" needs "images": [...] and "label": "..."'))
            continue
        missing = [file for file in (*images, label) if not (listing.root / file).is_file()]
        if missing or len(images) != count:
            reason = f"{missing[0]} does not exist" if missing else f"it has {len(images)} images instead of {count}"
            left_out.append((str(name), reason))
            continue
        sources = [Source(listing.root / file) for file in images]
        cases.append(make_case(str(name), sources, label_map(Source(listing.root / label))))
    return cases


def _texts(value: object) -> list[str]:
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []


def _count_and_endings(content: Mapping[str, Any], training: int, cases: Sequence[Case]) -> list[str]:
    notes = list(count_notes(content, "numTraining", training))
    said = content.get("file_ending")
    others = sorted({file_ending(case.images[0].path) or "" for case in cases} - {str(said).lower()})
    if isinstance(said, str) and others:
        notes.append(f'dataset.json says "file_ending": "{said}", but there are files with {some(others)}: taken too.')
    return notes


def _lies(content: Mapping[str, Any], cases: Sequence[Case]) -> list[str]:
    """Return a sentence where version 1's list of training cases names others than are there."""
    listed = content.get("training")
    if not isinstance(listed, list):
        return []
    names = {
        stem(str(entry["image"]).replace("\\", "/").rpartition("/")[2])
        for entry in listed
        if isinstance(entry, Mapping) and "image" in entry
    }
    bare = {hit[1] if (hit := _CHANNEL.fullmatch(name)) else name for name in names}
    have = {case.name for case in cases}
    gone = sorted(bare - have)
    return [f"dataset.json lists {len(gone)} cases that cannot be used: {some(gone)}."] if gone else []


def _unique(cases: Sequence[Case]) -> list[Case]:
    """Return cases with names of their own, where a test case is called like a training case."""
    training = {same(case.name) for case in cases if case.part == "training"}
    return [
        make_case(f"test/{case.name}", case.images, case.label, test=True)
        if case.part == "test" and same(case.name) in training
        else case
        for case in cases
    ]


LAYOUT = Layout(
    name="nnunet",
    title="nnU-Net's raw data",
    tree="dataset.json\nimagesTr/case1_0000.nii.gz   (one file per channel)\nlabelsTr/case1.nii.gz\n"
    "imagesTs/case9_0000.nii.gz   (test cases, if any)",
    detect=detect,
    find=find,
)
