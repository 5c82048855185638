"""Made labelled folders of every layout, with volumes of a few voxels, as people leave them on a disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK

SHAPE = (4, 5, 6)


def write_scan(path: Path, array: np.ndarray | None = None, *, spacing: float = 2.0, origin: float = 0.0) -> Path:
    """Write (z, y, x), or (frame, z, y, x); default: a ramp of int16. Endings may be in capitals."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE) if array is None else np.asarray(array)
    image = SimpleITK.GetImageFromArray(values, isVector=False)
    image.SetSpacing([spacing] * values.ndim)
    image.SetOrigin([origin] * values.ndim)
    lower = path.with_name(path.name.lower())
    written = path if lower == path else path.with_name("written_" + path.name.lower())
    SimpleITK.WriteImage(image, str(written))
    written.rename(path)
    return path


def box(value: int = 1, start: int = 1, stop: int = 3) -> np.ndarray:
    """A label map with a box of one number."""
    array = np.zeros(SHAPE, np.uint8)
    array[start:stop, start:stop, start:stop] = value
    return array


def write_label(path: Path, value: int = 1, **more: float) -> Path:
    return write_scan(path, box(value), **more)


def touch(root: Path, *names: str) -> None:
    """Make empty files: enough where only names are looked at."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def images_and_labels(root: Path, names: Iterable[str], *, label: str = "labels/{}.nii.gz") -> Path:
    for name in names:
        write_scan(root / "images" / f"{name}.nii.gz")
        write_label(root / label.format(name))
    return root


def nnunet(root: Path, names: Iterable[str], channels: Sequence[str] = ("CT",), **content: object) -> Path:
    """Version 2 of nnU-Net's layout; content: entries of dataset.json to change, None to leave one out."""
    names = list(names)
    for name in names:
        for number in range(len(channels)):
            write_scan(root / "imagesTr" / f"{name}_{number:04d}.nii.gz")
        write_label(root / "labelsTr" / f"{name}.nii.gz")
    written: dict[str, object] = {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": {"background": 0, "liver": 1},
        "numTraining": len(names),
        "file_ending": ".nii.gz",
    }
    return write_dataset(root, {**written, **content})


def decathlon(root: Path, names: Iterable[str], modality: Sequence[str] = ("MRI",), **content: object) -> Path:
    names = list(names)
    for name in names:
        frames = len(modality)
        write_scan(root / "imagesTr" / f"{name}.nii.gz", np.zeros((frames, *SHAPE) if frames > 1 else SHAPE, np.int16))
        write_label(root / "labelsTr" / f"{name}.nii.gz")
    written: dict[str, object] = {
        "modality": {str(number): name for number, name in enumerate(modality)},
        "labels": {"0": "background", "1": "Anterior"},
        "numTraining": len(names),
        "training": [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in names],
        "test": [],
    }
    return write_dataset(root, {**written, **content})


def write_dataset(root: Path, content: Mapping[str, object]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in content.items() if value is not None}
    (root / "dataset.json").write_text(json.dumps(kept), encoding="utf-8")
    return root


def totalsegmentator(root: Path, organs: Mapping[str, Iterable[str]], *, image: str = "ct") -> Path:
    """organs: of each case. The masks of one case overlap in part."""
    for case, names in organs.items():
        write_scan(root / case / f"{image}.nii.gz")
        for number, organ in enumerate(names):
            write_scan(root / case / "segmentations" / f"{organ}.nii.gz", box(1, number % 3, number % 3 + 2))
    return root


def write_table(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path
