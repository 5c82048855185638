"""Inner cut-out: boxes inside the volume are painted over, so that their content must be guessed from around them.

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


class InnerCutout(Corruption):
    """Paint boxes over, each voxel with its own uniform noise or each box with one constant.

    With a limit below 1, a box that would bring the painted fraction up to `max_masked` is left out. Noise is drawn
    for each channel; boxes and constants are shared by the channels.
    """

    kind: Literal["inner_cutout"] = "inner_cutout"
    label: ClassVar[str] = "inner cut-out"
    teaches: ClassVar[str] = "Local context: to continue organs across the hidden boxes."
    splits: ClassVar[Literal["never", "first", "always"]] = "always"
    decided: ClassVar[type[Decided]] = Boxes
    replaces: ClassVar[bool] = True
    max_boxes: int = setting(5, "Largest number of boxes.", unit="boxes", ge=0, le=100)
    another_box: float = setting(0.95, "Chance of each box, given the one before.", unit="probability", ge=0.0, le=1.0)
    min_size: float = setting(
        1 / 6, "Smallest box edge, as a fraction of the axis.", unit="of the axis", ge=0.0, le=1.0
    )
    max_size: float = setting(1 / 3, "Largest box edge, as a fraction of the axis.", unit="of the axis", gt=0.0, le=1.0)
    margin: int = setting(3, "Voxels next to each face that no box touches.", unit="voxels", ge=0, le=10_000)
    fill: Fill = setting("noise", "Fill with uniform noise, or with one random constant for each box.")
    max_masked: float = setting(
        1.0, "Painted fraction to stay under; 1 is no limit.", unit="of the volume", gt=0.0, le=1.0
    )

    @model_validator(mode="after")
    def _ordered(self) -> InnerCutout:
        if self.min_size > self.max_size:
            raise ValueError(
                f"min_size {self.min_size} is larger than max_size {self.max_size}; it may be at most as large"
            )
        return self

    def draw(self, shape: Shape3, key: int) -> Boxes:
        # The small term keeps 6 * (1 / 3) and the like from rounding down.
        sizes = [(int(n * self.min_size + 1e-9), int(n * self.max_size + 1e-9)) for n in shape]
        boxes = draw_boxes(
            shape, sizes, key, certain=0, most=self.max_boxes, another=self.another_box, margin=self.margin
        )
        if self.max_masked < 1.0:
            kept: list[Box] = []
            for box in boxes:
                if covered_fraction([*kept, box], shape) < self.max_masked:
                    kept.append(box)
            boxes = tuple(kept)
        return Boxes(boxes=boxes, values=draw_values(key, len(boxes)) if self.fill == "constant" else ())

    def apply(
        self, source: NDArray[np.float32], out: NDArray[np.float32], decided: Any, key: int, planes: Planes
    ) -> None:
        import numpy as np

        from genesis_core.corruptions.kernels.noise import noise_inside

        shape = (source.shape[1], source.shape[2], source.shape[3])
        boxes = box_array(decided.boxes, shape)
        part = slice(*planes)
        if source is not out:
            np.copyto(out[:, part], source[:, part])
        if self.fill == "constant":
            if len(decided.values) != len(boxes):
                raise RecipeError(
                    f"{self.kind}: {len(boxes)} boxes need as many values, and {len(decided.values)} are given"
                )
            for (z, y, x, depth, height, width), value in zip(boxes, decided.values, strict=True):
                own = slice(max(z, planes[0]), min(z + depth, planes[1]))
                out[:, own, y : y + height, x : x + width] = value
            return
        for channel in range(len(out)):
            noise_inside(out[channel].reshape(-1), shape[1], shape[2], planes, boxes, noise_key(key, channel))

    def on_device(self) -> DeviceVersion:
        from genesis_core.corruptions.torch_engine.cutouts import CutoutOnDevice

        return CutoutOnDevice(self.kind, outside=False, constant=self.fill == "constant")

    def describe(self, decided: Any, shape: Shape3) -> str:
        count = len(decided.boxes)
        painted = covered_fraction(decided.boxes, shape)
        what = "noise" if self.fill == "noise" else "one constant each"
        return (
            f"{self.label}: {count} {'box' if count == 1 else 'boxes'}, {painted:.1%} of the voxels replaced by {what}"
        )

    def replaced(self, decided: Any, shape: Shape3) -> NDArray[np.bool_]:
        return inside(decided.boxes, shape)
