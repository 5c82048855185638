"""Layout: one folder per case with its image and a folder of masks, one file per structure, as TotalSegmentator's.

Masks may overlap. A structure without a file in a case was not looked for there, which is not the same as an empty
one; the case's `annotated` says it. Source: the TotalSegmentator data set (zenodo.org/records/10047292).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.case import Case, LabelledFolder, LabelSource, Source
from genesis_core.volumes.labelled.folder_listing import FolderListing, same, stem
from genesis_core.volumes.labelled.label_list import named_structures
from genesis_core.volumes.labelled.layout import Detection, Layout, make_case, some
from genesis_core.volumes.labelled.rows import read_rows

_MASKS = ("segmentations", "segmentation", "masks", "mask", "labels", "label", "segs", "seg", "structures", "rois")
# What the one image is called where a folder holds more than one scan.
_IMAGES = ("ct", "mri", "mr", "image", "img", "scan", "volume", "t1", "t1w", "t2")


@dataclass(frozen=True)
class _Found:
    """A case's folder, its scans by stem and its masks by structure; files relative to the root."""

    folder: str
    images: dict[str, str]
    masks: dict[str, str]
    doubled: tuple[str, ...]


def detect(listing: FolderListing) -> Detection:
    """Tell whether folders hold a scan, and a folder of masks that are not called like it."""
    found = _cases(listing)
    with_image = [case for case in found if case.images]
    if not with_image:
        return Detection(0.0, "no folder with a scan and a folder of masks (segmentations/, masks/, ...) in it")
    if all(case.folder == "" for case in with_image):
        images = {same(name) for name in with_image[0].images}
        if len(images) > 1 or images & {same(name) for name in with_image[0].masks}:
            return Detection(0.0, "the folder of labels holds one file per image, not per structure")
    return Detection(0.9, f"{len(with_image)} folders hold a scan and a folder with one mask per structure")


def find(listing: FolderListing, labels: str | None = None) -> LabelledFolder:
    """Return the cases; labels: name of the folder of masks, where the cases have several."""
    found = _cases(listing, labels)
    if not found:
        raise VolumeError(f"{listing.root}: no folder of a case holds a folder of masks ({labels or 'segmentations'})")
    left_out: list[tuple[str, str]] = []
    found = _with_one_name(found)
    channels, notes = _channels(found)
    names = sorted({name for case in found for name in case.masks})
    test, told = _test_cases(listing)
    lacking: Counter[str] = Counter()
    cases: list[Case] = []
    for item in found:
        name = item.folder or listing.root.name
        if item.doubled:
            left_out.append((name, f"several masks share one name: {some(item.doubled)}; keep one of them"))
            continue
        images = {same(key): file for key, file in item.images.items()}
        if len(images) < len(item.images):
            alike = some(sorted(item.images.values()))
            left_out.append((name, f"several scans share one name, but for capitals: {alike}; keep one of them"))
            continue
        missing = [channel for channel in channels if same(channel) not in images]
        if missing:
            there = f"there is only {some(sorted(item.images.values()))}" if item.images else "it holds no scan"
            left_out.append((name, f"its image {missing[0]} is missing; {there}"))
            continue
        lacking.update(structure for structure in names if structure not in item.masks)
        parts = tuple((structure, Source(listing.root / file)) for structure, file in sorted(item.masks.items()))
        sources = [Source(listing.root / images[same(channel)]) for channel in channels]
        annotated = tuple(structure for structure in names if structure in item.masks)
        cases.append(
            make_case(
                name,
                sources,
                LabelSource("masks", parts),
                test=same(name) in test,
                annotated=None if len(annotated) == len(names) else annotated,
            )
        )
    left_out += _without_masks(listing, found)
    if not cases:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out[:3])
        raise VolumeError(f"{listing.root}: no case has both its image and its masks. {reasons}")
    return LabelledFolder(
        root=listing.root,
        layout="one folder per case with one mask per structure",
        channels=tuple(channels) if len(channels) > 1 else ("image",),
        structures=named_structures(names),
        classes=(),
        cases=tuple(cases),
        left_out=tuple(sorted(left_out)),
        notes=(*notes, *told, *_lacking(lacking, len(cases))),
    )


def _cases(listing: FolderListing, labels: str | None = None) -> list[_Found]:
    """Return the folders that hold a folder of masks; of several such folders, the one asked for or the usual one."""
    choices: dict[str, list[str]] = {}
    for place in listing.by_folder:
        parent, _, name = place.rpartition("/")
        wanted = same(name) in _MASKS if labels is None else same(name) == same(labels)
        if place and wanted:
            choices.setdefault(parent, []).append(place)
    found = []
    masks_of_others = {place for places in choices.values() for place in places}
    for folder, places in sorted(choices.items()):
        # A folder of masks inside a folder of masks makes no case of the outer masks.
        if folder in masks_of_others:
            continue
        place = min(places, key=lambda path: (_rank(path), path))
        masks: dict[str, str] = {}
        doubled = []
        for name in listing.by_folder[place]:
            if stem(name) in masks:
                doubled.append(name)
            masks[stem(name)] = f"{place}/{name}"
        start = f"{folder}/" if folder else ""
        images = {stem(name): start + name for name in listing.by_folder.get(folder, ())}
        found.append(_Found(folder, images, masks, tuple(doubled)))
    return found


def _rank(place: str) -> int:
    name = same(place.rpartition("/")[2])
    return _MASKS.index(name) if name in _MASKS else len(_MASKS)


def _with_one_name(found: list[_Found]) -> list[_Found]:
    """Return cases that hold one scan each, called after its case (p1/p1_ct, p2/p2_ct), with one name for it."""
    counts = Counter(same(name) for case in found for name in case.images)
    # Where most scans share a name, or are called ct here and mr there, the name says which is meant.
    named = any(2 * count > len(found) or name in _IMAGES for name, count in counts.items())
    if named or any(len(case.images) > 1 for case in found):
        return found
    return [replace(case, images=dict(zip(["image"], case.images.values(), strict=False))) for case in found]


def _channels(found: list[_Found]) -> tuple[list[str], list[str]]:
    """Return the names of the images of a case: the one called like an image, else those most cases have."""
    counts: Counter[str] = Counter(name for case in found for name in case.images)
    most = [name for name, count in sorted(counts.items()) if 2 * count > len(found)]
    if len(most) <= 1:
        return most or [next(iter(counts), "ct")], []
    usual = [name for name in most if same(name) in _IMAGES]
    if len(usual) == 1:
        others = [name for name in most if name not in usual]
        return usual, [f"The image of a case is {usual[0]}; other scans beside it are not used: {some(others)}."]
    return usual or most, []


def _without_masks(listing: FolderListing, found: list[_Found]) -> list[tuple[str, str]]:
    """Return folders beside the cases that hold a scan but no folder of masks."""
    have = {case.folder for case in found}
    beside = {folder.rpartition("/")[0] for folder in have if folder}
    return [
        (folder, "it has no folder of masks (looked for segmentations/, masks/, ...)")
        for folder in listing.by_folder
        if folder and folder not in have and folder.rpartition("/")[0] in beside and _rank(folder) == len(_MASKS)
    ]


def _lacking(lacking: Counter[str], cases: int) -> list[str]:
    if not lacking:
        return []
    told = [f"{name} in {count} of {cases} cases" for name, count in sorted(lacking.items())]
    return [f"Not annotated, which is not the same as empty, since there is no file: {some(told, 5)}."]


def _test_cases(listing: FolderListing) -> tuple[set[str], list[str]]:
    """Return the cases that TotalSegmentator's meta.csv sets aside as test cases, and a sentence on it."""
    path = listing.other("meta.csv")
    if path is None:
        return set(), []
    rows = read_rows(path)
    if not {"image_id", "split"} <= set(rows.columns):
        return set(), []
    test = {same(row.cells["image_id"]) for row in rows.rows if same(row.cells["split"]) == "test"}
    return test, ["meta.csv says which cases are test cases; those for validation are training cases here."]


LAYOUT = Layout(
    name="mask_folders",
    title="one folder per case with one mask per structure (TotalSegmentator)",
    tree="case1/ct.nii.gz\ncase1/segmentations/liver.nii.gz\ncase1/segmentations/spleen.nii.gz",
    detect=detect,
    find=find,
)
