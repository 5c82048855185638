"""Outer cut-out: everything outside a few boxes is painted over, and must be guessed from what is left.

Source: Zhou et al. 2021 (Models Genesis), sec. 2.2; defaults are those of the published code since 2020-02-20.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from genesis_core.corruptions.boxes import (
    Box,
    Boxes,
    Fill,
    box_array,
    covered_fraction,
    draw_boxes,
    draw_values,
    inside,
    noise_key,
)
from genesis_core.corruptions.corruption import Corruption, Decided, Planes, Shape3
from genesis_core.errors import RecipeError
from genesis_core.settings import setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genesis_core.corruptions.torch_engine.version import DeviceVersion


class OuterCutout(Corruption):
    """Keep overlapping boxes and paint everything else over, with uniform noise or with one constant.

    Each kept box is shorter than the volume by a random cut along each axis. With a limit below 1, the boxes grow by
    a voxel on every side, also into the margin, until the painted fraction is under `max_masked`. Noise is drawn for
    each channel; boxes and the constant are shared by the channels.
    """

    kind: Literal["outer_cutout"] = "outer_cutout"
    label: ClassVar[str] = "outer cut-out"
    teaches: ClassVar[str] = "Global geometry: to extrapolate the layout of organs from a part of it."
    splits: ClassVar[Literal["never", "first", "always"]] = "always"
    decided: ClassVar[type[Decided]] = Boxes
    replaces: ClassVar[bool] = True
    max_boxes: int = setting(5, "Largest number of kept boxes; there is always one.", unit="boxes", ge=1, le=100)
    another_box: float = setting(
        0.95, "Chance of each further box, given the one before.", unit="probability", ge=0.0, le=1.0
    )
    min_cut: float = setting(
        3 / 7, "Least a kept box is shorter than the axis, as a fraction of it.", unit="of the axis", ge=0.0, le=1.0
    )
    max_cut: float = setting(
        4 / 7, "Most a kept box is shorter than the axis, as a fraction of it.", unit="of the axis", ge=0.0, le=1.0
    )
    margin: int = setting(3, "Voxels next to each face that are always painted.", unit="voxels", ge=0, le=10_000)
    fill: Fill = setting("noise", "Fill with uniform noise, or with one random constant.")
    max_masked: float = setting(
        1.0, "Painted fraction to stay under; 1 is no limit.", unit="of the volume", gt=0.0, le=1.0
    )

    @model_validator(mode="after")
    def _ordered(self) -> OuterCutout:
        if self.min_cut > self.max_cut:
            raise ValueError(
                f"min_cut {self.min_cut} is larger than max_cut {self.max_cut}; it may be at most as large"
            )
        return self

    def draw(self, shape: Shape3, key: int) -> Boxes:
        # The small term keeps 7 * (3 / 7) and the like from rounding down.
        sizes = [(n - int(n * self.max_cut + 1e-9), n - int(n * self.min_cut + 1e-9)) for n in shape]
        boxes = draw_boxes(
            shape, sizes, key, certain=1, most=self.max_boxes, another=self.another_box, margin=self.margin
        )
        if self.max_masked < 1.0:
            while 1.0 - covered_fraction(boxes, shape) >= self.max_masked:
                boxes = tuple(_grown(box, shape) for box in boxes)
        return Boxes(boxes=boxes, values=draw_values(key, 1) if self.fill == "constant" else ())

    def apply(
        self, source: NDArray[np.float32], out: NDArray[np.float32], decided: Any, key: int, planes: Planes
    ) -> None:
        import numpy as np

        from genesis_core.corruptions.kernels.noise import fill_outside

        shape = (source.shape[1], source.shape[2], source.shape[3])
        constant = self.fill == "constant"
        if constant and len(decided.values) != 1:
            raise RecipeError(f"{self.kind}: one value is needed to fill with, and {len(decided.values)} are given")
        boxes = box_array(decided.boxes, shape)
        boxes = boxes[boxes[:, 2].argsort(kind="stable")]
        value = np.float32(decided.values[0] if constant else 0.0)
        for channel in range(len(out)):
            fill_outside(
                source[channel].reshape(-1),
                out[channel].reshape(-1),
                shape[1],
                shape[2],
                planes,
                boxes,
                noise_key(key, channel),
                constant,
                value,
                source is not out,
            )

    def on_device(self) -> DeviceVersion:
        from genesis_core.corruptions.torch_engine.cutouts import CutoutOnDevice

        return CutoutOnDevice(self.kind, outside=True, constant=self.fill == "constant")

    def describe(self, decided: Any, shape: Shape3) -> str:
        count = len(decided.boxes)
        painted = 1.0 - covered_fraction(decided.boxes, shape)
        what = "noise" if self.fill == "noise" else "one constant"
        noun = "box" if count == 1 else "boxes"
        return f"{self.label}: {count} {noun} kept, {painted:.1%} of the voxels replaced by {what}"

    def replaced(self, decided: Any, shape: Shape3) -> NDArray[np.bool_]:
        return ~inside(decided.boxes, shape)


def _grown(box: Box, shape: Shape3) -> Box:
    starts = [max(first - 1, 0) for first in box.start]
    ends = [min(first + edge + 1, length) for first, edge, length in zip(box.start, box.size, shape, strict=True)]
    edges = [end - start for start, end in zip(starts, ends, strict=True)]
    return Box(start=(starts[0], starts[1], starts[2]), size=(edges[0], edges[1], edges[2]))
