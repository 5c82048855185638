"""Writing labels so that names and colours travel with them, and a kill at any moment never leaves wrong names.

NIfTI has no place for names, so they lie in a JSON beside it; NRRD is written as 3D Slicer's segmentations are, which
hold names, colours and overlapping layers in one file.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.atomic import replacing, write_text
from genesis_core.errors import OutputExistsError, VolumeError
from genesis_core.volumes.formats.headers import file_header, parse_file
from genesis_core.volumes.formats.payload import read_arrays
from genesis_core.volumes.label_values import whole_numbers
from genesis_core.volumes.label_volume import LabelVolume
from genesis_core.volumes.segment_keys import segment_remarks
from genesis_core.volumes.structure_names import _parsed, _text, sidecar_of
from genesis_core.volumes.volume import Volume
from genesis_core.volumes.writing import refuse_moved, write_checked

LABEL_ENDINGS = (".nii.gz", ".nii", ".nrrd")

_NRRD_TYPES = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}


def write_labels(labels: LabelVolume, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write labels; the ending chooses the format.

    path: .nii.gz or .nii, with names, numbers and colours in a JSON of the same name beside it; or .nrrd (.seg.nrrd by
    custom), which 3D Slicer opens as a segmentation, with layers. Numbers are written in the smallest unsigned type,
    read back and compared before the file gets its name. In a JSON that is already there, what else it says is kept.
    Returns the path. Raises OutputExistsError if it exists and `overwrite` is false; VolumeError if the ending is
    unknown, structures overlap in a NIfTI file, numbers are negative, that JSON cannot be understood, or the labels
    cannot be written.
    """
    path = Path(path)
    ending = next((ending for ending in LABEL_ENDINGS if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise VolumeError(f"{path}: unknown ending; labels can be written as {', '.join(LABEL_ENDINGS)}")
    if ending != ".nrrd" and len(labels.layers) > 1:
        raise VolumeError(
            f"{path}: the structures overlap, and one number per voxel cannot hold them. Write them as .seg.nrrd, "
            "which has layers, or each structure into a file of its own"
        )
    names = None if ending == ".nrrd" else sidecar_of(path, ending)
    for target in (path, names):
        if target is not None and target.exists() and not overwrite:
            raise OutputExistsError(f"{target} exists; choose another name, or ask for overwriting")
    if not path.parent.is_dir():
        raise VolumeError(f"{path}: the folder {path.parent} does not exist; make it first")
    layers = [whole_numbers(layer, str(path)) for layer in labels.layers]
    try:
        if names is None:
            with replacing(path) as temporary:
                _write_segmentation(labels, layers, temporary, path)
        else:
            _write_with_names(labels, layers[0], path, names)
    except OSError as problem:
        raise VolumeError(
            f"{path}: cannot be written ({problem.strerror or problem}). Is the disk full, or the folder read-only?"
        ) from None
    return path


def _write_with_names(labels: LabelVolume, layer: NDArray[Any], path: Path, names: Path) -> None:
    """Replace the old names by none, then the numbers, then write the new names: never names of other numbers."""
    kept = _other_facts(names)
    before = kept.pop("structures", None)
    entries = [
        {"name": one.name, "value": one.value, "colour": list(one.colour) if one.colour else None}
        for one in labels.structures
    ]
    with replacing(path) as temporary:
        write_checked(Volume(layer, labels.geometry), temporary, path)
        if before not in (None, entries):
            forget_names(names)
    _write_json(names, {**kept, "structures": entries})


def forget_names(names: Path) -> None:
    """Take the structures out of a JSON beside a label map; the file goes if it says nothing else.

    Raises VolumeError if it is there and is no JSON of keys and values.
    """
    kept = _other_facts(names)
    if kept.pop("structures", None) is not None:
        _write_json(names, kept) if kept else names.unlink()


def _other_facts(names: Path) -> dict[str, Any]:
    """Return what the JSON about to be replaced says; other programs keep facts about the file there (BIDS)."""
    content = _parsed(names, _text(names)) if names.is_file() else {}
    if not isinstance(content, dict):
        raise VolumeError(f"{names}: holds a list or a value, beside which no names can be kept. Move it elsewhere")
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _write_segmentation(labels: LabelVolume, layers: list[NDArray[Any]], temporary: Path, path: Path) -> None:
    kind = np.result_type(*layers) if layers else np.dtype(np.uint8)
    several = len(layers) > 1
    # The layer is the fastest axis, as 3D Slicer has it.
    voxels = np.stack(layers, axis=-1) if several else layers[0]
    voxels = np.ascontiguousarray(voxels, dtype=kind.newbyteorder("<"))
    head = _header(labels, len(layers), kind)
    with open(temporary, "wb") as file:
        file.write(head)
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as stream:
            for plane in voxels:
                stream.write(plane.tobytes())
    stored = parse_file(temporary)
    again = read_arrays(stored)
    if len(again) != len(layers) or not all(map(np.array_equal, again, layers)):
        raise VolumeError(f"{path}: what was written does not read back as it was. Is the disk full or failing?")
    refuse_moved(labels.geometry, file_header(stored).geometry, path)


def _header(labels: LabelVolume, layers: int, kind: np.dtype[Any]) -> bytes:
    geometry = labels.geometry
    steps = (np.reshape(geometry.direction, (3, 3)) * np.asarray(geometry.spacing)).T
    several = layers > 1
    vector: Callable[[Any], str] = lambda values: "(" + ",".join(repr(float(v)) for v in values) + ")"  # noqa: E731
    sizes = [str(n) for n in geometry.shape[::-1]]
    lines = [
        "NRRD0005",
        f"type: {_NRRD_TYPES[kind.itemsize]}",
        f"dimension: {4 if several else 3}",
        "space: left-posterior-superior",
        "sizes: " + " ".join([str(layers), *sizes] if several else sizes),
        "space directions: " + " ".join((["none"] if several else []) + [vector(step) for step in steps]),
        "kinds: " + ("list " if several else "") + "domain domain domain",
        "endian: little",
        "encoding: gzip",
        "space origin: " + vector(geometry.origin),
    ]
    for key, value in segment_remarks(labels):
        lines.append(f"{key}:=" + value.replace("\\", "\\\\").replace("\r", " ").replace("\n", "\\n"))
    return ("\n".join(lines) + "\n\n").encode("utf-8")
