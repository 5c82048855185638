"""Small label maps for the tests of evaluations: boxes on a grid, written with or without names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels
from genesis_core.volumes.volume import Geometry

SHAPE = (12, 20, 24)
SPACING = (1.0, 1.5, 3.0)


def labels(
    boxes: Mapping[int, tuple[int, int, int]],
    names: Mapping[int, str] | None = None,
    spacing: tuple[float, float, float] = SPACING,
    shape: tuple[int, int, int] = SHAPE,
) -> LabelVolume:
    """Cubes of 4 x 6 x 6 voxels: number -> its first corner; names: of the listed structures, drawn or not."""
    array = np.zeros(shape, np.uint8)
    for value, (z, y, x) in boxes.items():
        array[z : z + 4, y : y + 6, x : x + 6] = value
    named = names or {value: f"label {value}" for value in boxes}
    structures = tuple(Structure(name, value) for value, name in named.items())
    return LabelVolume((array,), Geometry(shape, spacing), structures)


def write(folder: Path, name: str, volume: LabelVolume, *, with_names: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = write_labels(volume, folder / name)
    if not with_names:
        path.with_name(name.replace(".nii.gz", ".json")).unlink()
    return path
