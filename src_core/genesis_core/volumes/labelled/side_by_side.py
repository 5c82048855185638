"""Layout: images and labels in one folder, told apart by their names (case1.nii.gz with case1_seg.nii.gz).

Also with one folder per case (case1/t1.nii.gz, case1/flair.nii.gz, case1/seg.nii.gz), as in BraTS. A file counts as a
label only where its name says so.
"""

from __future__ import annotations

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.case import LabelledFolder, Source
from genesis_core.volumes.labelled.folder_listing import FolderListing, stem
from genesis_core.volumes.labelled.label_list import naming_of
from genesis_core.volumes.labelled.layout import Detection, Layout, label_map, make_case
from genesis_core.volumes.labelled.pairing import is_label_name, pair_names


def detect(listing: FolderListing) -> Detection:
    """Tell whether some files are called like labels, and lie beside others that are not."""
    folders = _label_folders(listing)
    if not folders:
        return Detection(0.0, "no file is called like a label (case1_seg, mask_case1, ...) beside images")
    return Detection(0.55, f"files called like labels lie beside others, in {len(folders)} folders")


def find(listing: FolderListing, labels: str | None = None) -> LabelledFolder:
    """Return the cases; labels: how the names of the labels to take end, where images have several ("_seg")."""
    folders = _label_folders(listing)
    images, drawn, left_out = [], [], []
    for file in listing.scans:
        name = stem(file)
        if not is_label_name(name):
            images.append((name, file))
        elif labels is None or name.casefold().endswith(labels.casefold()):
            drawn.append((name, file))
        else:
            left_out.append((file, f"it is a label of another set than the one asked for ({labels})"))
    paired = pair_names(images, drawn)
    if not paired.cases:
        told = "; ".join(f"{name}: {reason}" for name, reason in paired.left_out[:3])
        raise VolumeError(
            f"{listing.root}: no image has a label beside it. {told or 'No file is called like a label'}. Call labels "
            "like their image with _seg or _label behind the name"
        )
    cases = []
    for case in paired.cases:
        sources = [Source(listing.root / file) for file in case.images]
        cases.append(make_case(case.name, sources, label_map(Source(listing.root / case.label))))
    naming = naming_of(listing, "labels", is_only_set=True, cases=[case.name for case in cases])
    return LabelledFolder(
        root=listing.root,
        layout="images and labels side by side" + (", one folder per case" if "" not in folders else ""),
        channels=tuple(channel or "image" for channel in paired.channels),
        structures=naming.structures,
        classes=(),
        cases=naming.applied(cases),
        left_out=tuple(sorted([*left_out, *paired.left_out])),
        notes=(*paired.notes, *naming.notes),
    )


def _label_folders(listing: FolderListing) -> list[str]:
    """Return the folders in which some files are called like labels and some are not."""
    found = []
    for folder, names in listing.by_folder.items():
        told = {is_label_name(stem(f"{folder}/{name}" if folder else name)) for name in names}
        found += [folder] if len(told) == 2 else []
    return found


LAYOUT = Layout(
    name="side_by_side",
    title="images and labels side by side",
    tree="case1.nii.gz\ncase1_seg.nii.gz   (or _label, _mask, ...; or case1/t1.nii.gz with case1/seg.nii.gz)",
    detect=detect,
    find=find,
)
