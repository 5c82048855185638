"""A synthetic thorax CT with labels, made from a seed: the data set that is always there.

It is anatomy drawn by formulas, not a person: good to see a corruption, to try the whole path, and to test; not to
judge a method. Every picture of it says "synthetic". The same seed gives the same bits.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genesis_core.errors import OutputExistsError, SettingsError
from genesis_core.phantom.abdomen import make_diaphragm, paint_abdomen
from genesis_core.phantom.cage import make_cage
from genesis_core.phantom.canvas import Canvas, Grid
from genesis_core.phantom.chest_wall import paint_chest_wall
from genesis_core.phantom.labels import STRUCTURES, Structure
from genesis_core.phantom.lung_trees import paint_trees
from genesis_core.phantom.lungs import make_lungs, paint_lungs, paint_nodules
from genesis_core.phantom.mediastinum import make_mediastinum, paint_mediastinum
from genesis_core.phantom.scanner import paint_table, scan
from genesis_core.phantom.skeleton import paint_breastbone, paint_shoulders, paint_spine
from genesis_core.phantom.subject import Subject, draw_subject
from genesis_core.phantom.texture import smooth_field
from genesis_core.volumes.volume import Geometry, Volume

# The field of view in mm along (x, y, z).
FIELD = (352.0, 352.0, 320.0)
SYNTHETIC = "synthetic thorax CT"


@dataclass(frozen=True)
class Phantom:
    """volume: int16 HU, LPS; labels: uint8 on the same grid, numbers as in `structures`; subject: what was drawn."""

    volume: Volume
    labels: Volume
    subject: Subject
    structures: tuple[Structure, ...] = STRUCTURES


def make_phantom(
    seed: int, shape: tuple[int, int, int] = (128, 160, 160), spacing: tuple[float, float, float] | None = None
) -> Phantom:
    """Make one thorax CT.

    seed: any integer; the same seed, shape and spacing give the same bits.
    shape: voxels (z, y, x), each at least 8. spacing: (x, y, z) in mm; default: so that the field of view stays
    352 x 352 x 320 mm (2.2 x 2.2 x 2.5 mm at the default shape); a smaller field shows a part of the chest.
    Returns the scan and its labels, axis codes LPS, world origin in the middle of the chest.
    Raises SettingsError if the shape or the spacing cannot be.
    """
    if len(shape) != 3 or min(shape) < 8:
        raise SettingsError(f"phantom: shape {shape} must be three numbers (z, y, x) of at least 8 voxels")
    spacing = spacing or (FIELD[0] / shape[2], FIELD[1] / shape[1], FIELD[2] / shape[0])
    origin = tuple(-(n - 1) / 2 * step for n, step in zip(reversed(shape), spacing, strict=True))
    geometry = Geometry(shape, spacing, (origin[0], origin[1], origin[2]))
    subject = draw_subject(seed)
    canvas = _paint(_grid(geometry, subject), subject)
    note = f"{SYNTHETIC}, seed {seed}: drawn by formulas, not a person"
    volume = Volume(scan(canvas, subject, spacing), geometry, "ct", None, (note,))
    return Phantom(volume, Volume(canvas.labels, geometry, None, None, (note,)), subject)


def _grid(geometry: Geometry, subject: Subject) -> Grid:
    """Return the voxels' places in the average anatomy: the subject's size and position undone."""
    axes = []
    for axis in range(3):
        world = geometry.origin[axis] + geometry.spacing[axis] * np.arange(geometry.shape[2 - axis])
        axes.append(((world - subject.shift[axis]) / subject.scale[axis]).astype(np.float32))
    return Grid(axes[2], axes[1], axes[0])


def _paint(grid: Grid, subject: Subject) -> Canvas:
    canvas = Canvas(grid)
    pitch = tuple(max(length / step, 1.0) for length, step in zip((12, 11, 11), grid.steps, strict=True))
    texture = smooth_field(subject.draws.key("texture"), grid.shape, (pitch[0], pitch[1], pitch[2]))
    cage = make_cage(grid, subject)
    paint_chest_wall(canvas, cage, subject, texture)
    diaphragm = make_diaphragm(grid, subject, cage)
    paint_abdomen(canvas, cage, diaphragm, subject, texture)
    middle = make_mediastinum(grid, subject)
    lungs = make_lungs(grid, cage, diaphragm, middle)
    paint_lungs(canvas, lungs, subject)
    paint_mediastinum(canvas, middle, subject, texture)
    paint_trees(canvas, lungs, subject)
    paint_nodules(canvas, lungs, subject, texture)
    paint_spine(canvas, subject, texture)
    paint_breastbone(canvas, cage, subject)
    paint_shoulders(canvas, subject)
    if subject.table:
        paint_table(canvas, cage)
    return canvas


def write_phantoms(
    folder: str | os.PathLike[str],
    count: int,
    seed: int = 0,
    shape: tuple[int, int, int] = (128, 160, 160),
    *,
    labels: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Write `count` phantoms as thorax_000.nii.gz, thorax_001.nii.gz, ... and return the paths of the scans.

    Phantom i has seed `seed + i`. labels: also write each one's labels under the same name in `folder`/labels.
    Raises OutputExistsError if a file is there and `overwrite` is not set.
    """
    from genesis_core.volumes.writing import write_volume

    folder = Path(folder)
    (folder / "labels" if labels else folder).mkdir(parents=True, exist_ok=True)
    paths = [folder / f"thorax_{i:03d}.nii.gz" for i in range(count)]
    drawn = [folder / "labels" / path.name for path in paths] if labels else []
    if not overwrite and (there := next((path for path in (*paths, *drawn) if path.exists()), None)):
        # Before anything is written: labels beside the scan of another seed would be wrong.
        raise OutputExistsError(f"{there} exists; choose another folder, or ask for overwriting")
    for i, path in enumerate(paths):
        phantom = make_phantom(seed + i, shape)
        if labels:
            write_volume(phantom.labels, drawn[i], overwrite=overwrite)
        write_volume(phantom.volume, path, overwrite=overwrite)
    return paths
