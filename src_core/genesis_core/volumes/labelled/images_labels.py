"""Layout: a folder of images and a folder of labels beside it, with names that correspond.

Also with parts (imagesTr and labelsTr, train/images and test/images), with several sets of labels (labels,
labels_tissue), with several images per case (case1_T1, case1_FLAIR) and with DICOM folders as images.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from shlex import quote

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.case import Case, LabelledFolder, Source
from genesis_core.volumes.labelled.folder_listing import FolderListing, same, stem
from genesis_core.volumes.labelled.label_list import naming_of
from genesis_core.volumes.labelled.layout import Detection, Layout, case_id, label_map, make_case, some
from genesis_core.volumes.labelled.pairing import Pairing, pair_names

_PART = r"(?:[-_ ]?(?P<part>tr|ts|va|train|training|test|testing|val|valid|validation))?"
_IMAGES = re.compile(rf"(?:images?|imgs?|scans?|volumes?|vols?){_PART}", re.IGNORECASE)
_LABELS = re.compile(
    r"(?P<set>(?:labels?|lbls?|masks?|segs?|segmentations?|annotations?|gts?|ground[-_ ]?truths?|truth|manual)"
    rf"(?:[-_ ](?!(?:tr|ts|va|train|test|val)\w*$)\w[\w -]*?)?){_PART}",
    re.IGNORECASE,
)
_TEST = re.compile(r"ts|test|testing", re.IGNORECASE)


@dataclass(frozen=True)
class _Place:
    """Images and labels that belong together. parent: the folder above both. labels: None where there are none."""

    parent: str
    images: str
    labels: str | None
    test: bool


def detect(listing: FolderListing) -> Detection:
    """Tell whether there is a folder of images with a folder of labels beside it."""
    images, labels = _folders(listing)
    if not images:
        held = " besides " + some([f"{folder}/" for folder in sorted(labels)]) if labels else ""
        return Detection(0.0, f"no folder called images (or image, imgs, scans, volumes){held}")
    if not labels:
        return Detection(0.0, f"{some(sorted(images))}/ holds images, but no folder called labels (or masks, ...)")
    if not any(_parent(label) == _parent(image) for image in images for label in labels):
        return Detection(0.0, "the folders of images and of labels do not lie beside each other")
    told = f"{some([folder or 'the folder itself' for folder in sorted(images)])} with {some(sorted(labels))}/"
    usual = all(_IMAGES.fullmatch(folder.rpartition("/")[2]) for folder in images)
    return Detection(0.8 if usual else 0.6, f"{told} {'beside it' if usual else 'beside it, which may be its labels'}")


def find(listing: FolderListing, labels: str | None = None) -> LabelledFolder:
    """Return the cases; labels: name of the folder of labels where there are several (default: the shortest name)."""
    images, label_folders = _folders(listing)
    sets = sorted({_set_name(folder) for folder in label_folders}, key=lambda name: (len(name), name))
    chosen = _chosen_set(listing, sets, labels)
    places = [_place(image, label_folders, chosen) for image in sorted(images)]
    notes = []
    if len(sets) > 1:
        others = [f"{name}/" for name in sets if name != chosen]
        notes.append(
            f"Labels are those in {chosen}/; {some(others)} would be taken with --labels {quote(others[0][:-1])}."
        )
    found: list[tuple[str, Case]] = []
    left_out: list[tuple[str, str]] = []
    pairings = [(place, _pairing(listing, place.images, place.labels)) for place in places if place.labels is not None]
    channels = next((pairing.channels for _, pairing in pairings if pairing.cases), ("",))
    several = len(places) > 1
    for place, pairing in pairings:
        left_out += pairing.left_out
        notes += pairing.notes
        if pairing.cases and pairing.channels != channels:
            reason = f"its images are {_named(pairing.channels)}, those of the first folder {_named(channels)}"
            left_out += [(case.label, reason) for case in pairing.cases]
            continue
        for case in pairing.cases:
            name = _full_name(place, case.name, several)
            sources = [Source(listing.root / file) for file in case.images]
            made = make_case(name, sources, label_map(Source(listing.root / case.label)), test=place.test)
            found.append((f"{place.images}/{case.name}", made))
    unlabelled = [place for place in places if place.labels is None]
    more, lost = _unlabelled(listing, unlabelled, channels, several)
    cases = _with_own_names([*found, *more])
    left_out += lost
    if not any(case.label for case in cases):
        told = "; ".join(f"{name}: {reason}" for name, reason in left_out[:3])
        raise VolumeError(
            f"{listing.root}: no image has a label. {told or 'the folders are empty'}. Name each label like its image "
            "(case1.nii.gz with case1.nii.gz or case1_seg.nii.gz)"
        )
    naming = naming_of(listing, chosen, is_only_set=chosen == sets[0], cases=[case.name for case in cases])
    return LabelledFolder(
        root=listing.root,
        layout="a folder of images with a folder of labels",
        channels=tuple(channel or "image" for channel in channels),
        structures=naming.structures,
        classes=(),
        cases=naming.applied(cases),
        left_out=tuple(left_out),
        notes=(*notes, *naming.notes),
    )


def _folders(listing: FolderListing) -> tuple[set[str], set[str]]:
    """Return the folders of images and of labels: in the root or in a folder of it, with something in them."""
    images, labels = set(), set()
    for folder in listing.folders:
        name = folder.rpartition("/")[2]
        if folder.count("/") > 1:
            continue
        if _IMAGES.fullmatch(name) and (listing.inside(folder) or listing.dicom_inside(folder)):
            images.add(folder)
        elif _LABELS.fullmatch(name) and listing.inside(folder):
            labels.add(folder)
    if not images and any("/" not in folder for folder in labels):
        # Images at the root beside labels/, or in the only other folder, whatever it is called.
        others = {folder.partition("/")[0] for folder in listing.folders} - labels
        if "" in listing.by_folder:
            images.add("")
        elif len(others) == 1:
            images |= others
    return images, labels


def _place(images: str, labels: set[str], chosen: str) -> _Place:
    parent, name = _parent(images), images.rpartition("/")[2]
    part = (hit["part"] or "") if (hit := _IMAGES.fullmatch(name)) else ""
    match = None
    for folder in sorted(labels):
        hit = _LABELS.fullmatch(folder.rpartition("/")[2])
        own = hit and (hit["part"] or "").casefold() == part.casefold()
        if _parent(folder) == parent and own and same(_set_name(folder)) == same(chosen):
            match = folder
    test = bool(_TEST.fullmatch(part) or _TEST.fullmatch(parent.rpartition("/")[2]))
    return _Place(parent, images, match, test)


def _pairing(listing: FolderListing, images: str, labels: str) -> Pairing:
    """Pair what lies in two folders; images: "" for those directly in the root."""
    shown = [*listing.inside(images), *listing.dicom_inside(images)] if images else listing.by_folder.get("", ())
    start = len(images) + 1 if images else 0
    return pair_names(
        [(stem(file[start:]), file) for file in shown],
        [(stem(file[len(labels) + 1 :]), file) for file in listing.inside(labels)],
        f"{labels}/",
    )


def _unlabelled(
    listing: FolderListing, places: list[_Place], channels: tuple[str, ...], several: bool
) -> tuple[list[tuple[str, Case]], list[tuple[str, str]]]:
    """Return the cases, by path, of folders of test images, which have no labels; other such folders are left out."""
    cases, left_out = [], []
    for place in places:
        groups: dict[str, dict[str, str]] = {}
        for file in [*listing.inside(place.images), *listing.dicom_inside(place.images)]:
            name = stem(file[len(place.images) + 1 :])
            if not place.test:
                left_out.append((file, f"no folder of labels belongs to {place.images}/"))
                continue
            channel = next((c for c in channels if c and re.search(rf"[-_. /]{re.escape(c)}$", name)), "")
            groups.setdefault(name[: len(name) - len(channel) - 1] if channel else name, {})[channel] = file
        for name, members in groups.items():
            if missing := [channel for channel in channels if channel not in members]:
                left_out.append((f"{place.images}/{name}", f"its image {missing[0] or 'itself'} is missing"))
                continue
            sources = [Source(listing.root / members[channel]) for channel in channels]
            made = make_case(_full_name(place, name, several), sources, None, test=True)
            cases.append((f"{place.images}/{name}", made))
    return cases, left_out


def _chosen_set(listing: FolderListing, sets: list[str], asked: str | None) -> str:
    if asked is None:
        return sets[0]
    chosen = next((name for name in sets if same(name) == same(asked.rstrip("/"))), None)
    if chosen is None:
        raise VolumeError(f"{listing.root}: no set of labels is called {asked!r}; there are {some(sets, 10)}")
    return chosen


def _set_name(folder: str) -> str:
    """Return what a folder of labels is called without its part ("labelsTr": "labels")."""
    hit = _LABELS.fullmatch(folder.rpartition("/")[2])
    return hit["set"] if hit else folder


def _parent(folder: str) -> str:
    return folder.rpartition("/")[0]


def _full_name(place: _Place, name: str, several: bool) -> str:
    """Return the name of a case, with its part or site where there are several."""
    if not several:
        return name
    if place.parent:
        return f"{place.parent}/{name}"
    return f"test/{name}" if place.test else name


def _with_own_names(found: list[tuple[str, Case]]) -> list[Case]:
    """Return the cases of (path, case); those that share a name are called by the path, with the folder of images."""
    counts = Counter(same(case.name) for _, case in found)
    return [
        case if counts[same(case.name)] == 1 else replace(case, name=path, id=case_id(path)) for path, case in found
    ]


def _named(channels: tuple[str, ...]) -> str:
    return ", ".join(channel or "one without a name" for channel in channels)


LAYOUT = Layout(
    name="images_labels",
    title="a folder of images with a folder of labels",
    tree="images/case1.nii.gz\nlabels/case1.nii.gz   (or case1_seg.nii.gz; masks/, imagesTr/ and labelsTr/ do as well)",
    detect=detect,
    find=find,
)
