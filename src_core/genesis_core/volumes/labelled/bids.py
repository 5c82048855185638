"""Layout: BIDS, one folder per subject (sub-01/ses-01/anat) with labels beside the images or in derivatives.

A label belongs to the images with the same entities (sub, ses, run, ...); what tells labels from images (label, desc,
seg, space, the last word) does not count. The entity "sub" is the subject, as BIDS has it.
Source: Brain Imaging Data Structure 1.10, bids-specification.readthedocs.io (entities, derivatives: imaging, masks).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from shlex import quote

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.case import Case, LabelledFolder, Source
from genesis_core.volumes.labelled.folder_listing import FolderListing, same, stem
from genesis_core.volumes.labelled.label_list import naming_of
from genesis_core.volumes.labelled.layout import Detection, Layout, label_map, make_case, some
from genesis_core.volumes.labelled.pairing import pair_names

# The last word of a name that is a label's; an entity "label-" or "seg-" says so as well.
_LABEL_SUFFIXES = ("mask", "dseg", "seg", "msk", "lesion", "roi", "label")
# Time series and what belongs to them: no channel of a case.
_SERIES = ("bold", "dwi", "sbref", "epi", "asl", "m0scan", "phasediff", "phase1", "phase2", "magnitude1", "magnitude2")
_OF_LABELS = ("label", "desc", "seg", "space", "res", "den", "atlas", "from", "to", "mode")


def detect(listing: FolderListing) -> Detection:
    """Tell whether files are called sub-..., some of them like labels and some like images."""
    images, labels = _sorted_out(listing)
    if not (images and labels):
        what = "of images" if labels else "of labels (_mask, _dseg, _seg, ... at the end)"
        return Detection(0.0, f"no files called sub-... {what}")
    return Detection(0.88, f"{len(images)} images and {len(labels)} labels are called sub-...")


def find(listing: FolderListing, labels: str | None = None) -> LabelledFolder:
    """Return the cases; labels: how the names of the labels to take end ("seg-vert_msk"), where there are several."""
    images, drawn = _sorted_out(listing)
    kinds = Counter(_kind(stem(file)) for file in drawn)
    if not kinds:
        raise VolumeError(f"{listing.root}: no file is called like a label in BIDS (sub-01_..._mask, _dseg)")
    chosen = min(kinds, key=lambda kind: (-kinds[kind], kind)) if labels is None else labels
    taken = [file for file in drawn if same(_kind(stem(file))) == same(chosen)]
    # No kind is called so: perhaps only the end of one was given.
    taken = taken or [file for file in drawn if same(stem(file)).endswith(same(chosen))]
    if not taken:
        raise VolumeError(f"{listing.root}: no label's name ends in {chosen!r}; there are {some(sorted(kinds), 8)}")
    notes = []
    if others := sorted(kind for kind in kinds if kind != chosen):
        notes.append(
            f"Labels are those that end in {chosen}; {some(others)} would be taken with --labels {quote(others[0])}."
        )
    paired = pair_names(
        [(f"{_entities(stem(file))}_{stem(file).rpartition('_')[2]}", file) for file in images],
        [(_entities(stem(file)), file) for file in taken],
    )
    cases: list[Case] = []
    for case in paired.cases:
        sources = [Source(listing.root / file) for file in case.images]
        made = make_case(case.name, sources, label_map(Source(listing.root / case.label)))
        cases.append(replace(made, subject=case.name.partition("_")[0]))
    if not cases:
        told = "; ".join(f"{name}: {reason}" for name, reason in paired.left_out[:3])
        raise VolumeError(f"{listing.root}: no image has a label with the same entities (sub, ses, run). {told}")
    naming = naming_of(listing, "labels", is_only_set=True, cases=[case.name for case in cases])
    return LabelledFolder(
        root=listing.root,
        layout="BIDS",
        channels=paired.channels,
        structures=naming.structures,
        classes=(),
        cases=naming.applied(cases),
        left_out=paired.left_out,
        notes=(*notes, *paired.notes, *naming.notes),
    )


def _sorted_out(listing: FolderListing) -> tuple[list[str], list[str]]:
    """Return the files that are images and those that are labels; derivatives that are no labels are neither."""
    images, labels = [], []
    for file in listing.scans:
        name = stem(file).rpartition("/")[2]
        if not re.match(r"sub-[A-Za-z0-9]+_", name):
            continue
        words = name.split("_")
        last = words[-1].rpartition("-")[2].casefold()
        if last in _LABEL_SUFFIXES or any(word.startswith(("label-", "seg-")) for word in words[:-1]):
            labels.append(file)
        elif "derivatives" not in file.split("/")[:-1] and last not in _SERIES:
            images.append(file)
    return images, labels


def _entities(name: str) -> str:
    """Return the entities that say whose image it is, without those that only labels have and the last word."""
    words = name.rpartition("/")[2].split("_")[:-1]
    return "_".join(word for word in words if word.partition("-")[0] not in _OF_LABELS and "-" in word)


def _kind(name: str) -> str:
    """Return what a label's name has beside the entities ("seg-vert_msk")."""
    words = name.rpartition("/")[2].split("_")
    return "_".join([word for word in words[:-1] if word.partition("-")[0] in _OF_LABELS] + words[-1:])


LAYOUT = Layout(
    name="bids",
    title="BIDS, with labels beside the images or in derivatives",
    tree="sub-01/anat/sub-01_T1w.nii.gz\nderivatives/manual/sub-01/anat/sub-01_label-lesion_mask.nii.gz",
    detect=detect,
    find=find,
)
