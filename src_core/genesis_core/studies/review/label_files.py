"""Where the labels of a case lie in a folder, and files that lose nothing: values, names, colours, overlapping layers.

One layer is a NIfTI file with its names in a JSON beside it, which every tool reads. Structures that overlap go into
a NRRD file as 3D Slicer's segmentations are, the only one of the two formats that has layers; it is called like the
case as well, so that a folder of both still pairs with its images by name alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genesis_core.volumes.label_volume import LabelVolume

ONE_LAYER, SEVERAL_LAYERS, NAMES = ".nii.gz", ".nrrd", ".json"


def label_path(folder: Path, case: str, labels: LabelVolume) -> Path:
    """Return where the labels of a case go."""
    return with_ending(folder, case, ONE_LAYER if len(labels.layers) == 1 else SEVERAL_LAYERS)


def write_label_files(labels: LabelVolume, folder: Path, case: str, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write the labels of a case below a folder, and return the files: the labels first, then their names, if apart.

    Raises OutputExistsError and VolumeError as `write_labels` does.
    """
    from genesis_core.volumes.label_writing import write_labels

    path = label_path(folder, case, labels)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_labels(labels, path, overwrite=overwrite)
    names = with_ending(folder, case, NAMES)
    return (path, names) if path.name.endswith(ONE_LAYER) else (path,)


def with_ending(folder: Path, case: str, ending: str) -> Path:
    """Return folder/case with an ending; a case may lie in subfolders ("site/p1"), and its name may hold dots."""
    *above, name = case.split("/")
    return folder.joinpath(*above, f"{name}{ending}")


def flat_name(case: str, others: Iterable[str]) -> str:
    """Return what the files of a case are called in corrected/: its name with "__" for "/".

    others: all cases that are known; where another one would be called the same, a hash of the name is added. Folders
    of scans may be called imagesTs or masks, and a labelled folder with such folders in it reads as something else.
    """
    flat = case.replace("/", "__")
    # Some file systems hold A and a to be the same.
    if any(other != case and other.replace("/", "__").casefold() == flat.casefold() for other in others):
        flat += f"_{blake2b(case.encode('utf-8', 'surrogateescape'), digest_size=4).hexdigest()}"
    return flat
