"""Boxes for the cut-outs: where they lie, what they cover together, and the fills they can take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from genesis_core.corruptions.corruption import Decided, Shape3
from genesis_core.errors import RecipeError
from genesis_core.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Fill = Literal["noise", "constant"]
Unit = Field(ge=0.0, le=1.0)


class Box(Settings):
    """A box of voxels: the first one and the number along each axis, (z, y, x); a 2D image is one slice."""

    start: tuple[int, int, int]
    size: tuple[int, int, int]


class Boxes(Decided):
    """The boxes of a cut-out, and the constants it fills with (none for noise)."""

    boxes: tuple[Box, ...]
    values: tuple[float, ...] = ()


def draw_boxes(
    shape: Shape3,
    sizes: Sequence[tuple[int, int]],
    key: int,
    *,
    certain: int,
    most: int,
    another: float,
    margin: int,
) -> tuple[Box, ...]:
    """Draw boxes one by one: `certain` of them, then each further one with probability `another`, up to `most`.

    sizes: smallest and largest edge along each axis, uniform between them. Positions are uniform over the places that
    leave `margin` voxels free on both sides; on an axis too short for box and margins, sizes and margins shrink.
    """
    import numpy as np

    from genesis_core.corruptions.kernels import box_drawing
    from genesis_core.randomness import stream

    low = [min(max(size[0], 1), length) for size, length in zip(sizes, shape, strict=True)]
    high = [min(max(size[1], least), length) for size, least, length in zip(sizes, low, shape, strict=True)]
    found = np.empty((most, 6), np.int64)
    axes = np.array((shape, low, high), np.int64)
    count = box_drawing.draw_boxes(np.uint64(stream(key, "boxes")), axes, certain, another, margin, found)
    return tuple(Box(start=(z, y, x), size=(d, h, w)) for z, y, x, d, h, w in found[:count].tolist())


def box_array(boxes: Sequence[Box], shape: Shape3) -> NDArray[np.int64]:
    """Return (n, 6): first voxel and size of each box. Raises RecipeError if one does not lie inside the shape."""
    import numpy as np

    for box in boxes:
        for first, edge, length in zip(box.start, box.size, shape, strict=True):
            if first < 0 or edge < 1 or first + edge > length:
                raise RecipeError(f"box {box.start} of size {box.size} does not lie inside a volume of shape {shape}")
    return np.array([(*box.start, *box.size) for box in boxes], np.int64).reshape(-1, 6)


def inside(boxes: Sequence[Box], shape: Shape3) -> NDArray[np.bool_]:
    """Return the voxels (z, y, x) that lie in any box."""
    import numpy as np

    covered = np.zeros(shape, np.bool_)
    for z, y, x, depth, height, width in box_array(boxes, shape):
        covered[z : z + depth, y : y + height, x : x + width] = True
    return covered


def covered_fraction(boxes: Sequence[Box], shape: Shape3) -> float:
    """Return the fraction of the voxels that lie in any box, without visiting every voxel."""
    import numpy as np

    array = box_array(boxes, shape)
    if not len(array):
        return 0.0
    # Between neighbouring faces of boxes, a cell lies wholly in a box or wholly outside.
    faces = [np.unique(np.concatenate((array[:, axis], array[:, axis] + array[:, axis + 3]))) for axis in range(3)]
    cells = np.zeros([len(face) - 1 for face in faces], np.bool_)
    for row in array:
        place = tuple(
            slice(*np.searchsorted(face, (row[axis], row[axis] + row[axis + 3]))) for axis, face in enumerate(faces)
        )
        cells[place] = True
    z, y, x = (np.diff(face) for face in faces)
    voxels = np.einsum("zyx,z,y,x->", cells.astype(np.int64), z, y, x)
    return float(voxels) / (shape[0] * shape[1] * shape[2])


def draw_values(key: int, count: int) -> tuple[float, ...]:
    """Return `count` constants to fill with, uniform in [0, 1)."""
    from genesis_core.randomness import stream, uniforms

    return tuple(uniforms(stream(key, "fill"), count).tolist())


def noise_key(key: int, channel: int) -> np.uint64:
    """Return the stream of one channel's noise."""
    import numpy as np

    from genesis_core.randomness import stream

    return np.uint64(stream(key, "noise", channel))
