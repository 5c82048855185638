"""Small labelled cases on disk, for the tests in this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK

from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.labelled.case import Case, LabelSource, Source
from genesis_core.volumes.preprocessing import Preprocessing

CT = Preprocessing(modality="ct")
MR = Preprocessing(modality="mr")
LIVER, TUMOUR, SPLEEN = Structure("liver", 1), Structure("tumour", 2), Structure("spleen", 5)
ORGANS = (LIVER, TUMOUR, SPLEEN)
SHAPE = (20, 30, 40)


def save(array: np.ndarray, path: Path, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Source:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(spacing)
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(path))
    return Source(path)


def drawn(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """A liver with a one-voxel tumour, and a spleen."""
    labels = np.zeros(shape, np.uint8)
    labels[4:14, 5:15, 6:20] = 1
    labels[8, 9, 10] = 2
    labels[2:5, 20:28, 30:38] = 5
    return labels


def shown(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """A CT in whose voxels the label can be seen: 100 HU for each of its numbers, and a little noise."""
    noise = np.random.default_rng(seed).integers(0, 40, labels.shape)
    return (labels.astype(np.int16) * 100 + noise).astype(np.int16)


def case(
    folder: Path,
    name: str = "one",
    labels: np.ndarray | None = None,
    channels: int = 1,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    **more: object,
) -> Case:
    """A case of a label map and its images."""
    labels = drawn() if labels is None else labels
    images = tuple(
        save(shown(labels, channel), folder / f"{name}_{channel}.nii.gz", spacing) for channel in range(channels)
    )
    label = LabelSource("map", (("", save(labels, folder / f"{name}_label.nii.gz", spacing)),))
    return Case(name, f"case_{name}", images, label, None, f"subject_{name}", **more)  # type: ignore[arg-type]


def masks(folder: Path, name: str = "one", **parts: np.ndarray) -> Case:
    """A case of one file per structure."""
    shape = next(iter(parts.values())).shape
    image = save(shown(np.zeros(shape, np.uint8)), folder / f"{name}_image.nii.gz")
    files = tuple((part, save(mask.astype(np.uint8), folder / name / f"{part}.nii.gz")) for part, mask in parts.items())
    return Case(name, f"case_{name}", (image,), LabelSource("masks", files), None, f"subject_{name}")
