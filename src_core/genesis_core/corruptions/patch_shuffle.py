"""Patch shuffling: large patches change places, so that the layout of organs must be learnt: context restoration.

Source: Chen et al. 2019, as Zhou et al. 2021 (Models Genesis), appendix A, compare with it: 10 swaps of two isolated
patches with sides of 25 to 50 % of the sub-volume's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from genesis_core.corruptions.boxes import Box, box_array
from genesis_core.corruptions.corruption import Corruption, Decided, Planes, Shape3
from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genesis_core.corruptions.torch_engine.version import DeviceVersion

# Pairs drawn until two lie apart: enough for all sizes but the very largest, which are put beside each other.
_TRIES = 64


class Swap(Settings):
    """Two boxes of one size that change places."""

    first: Box
    second: Box


class Swaps(Decided):
    """The swaps of a draw, in their order."""

    swaps: tuple[Swap, ...]


class PatchShuffle(Corruption):
    """Swap two patches that do not overlap, several times, each time as the last swap left the volume.

    Sizes are uniform between the two limits along each axis, and positions uniform over all pairs that lie apart. A
    pair for which no axis has room, as in a volume of a single voxel, is left out.
    """

    kind: Literal["patch_shuffle"] = "patch_shuffle"
    label: ClassVar[str] = "patch shuffling"
    teaches: ClassVar[str] = "Global layout: where in the body each part belongs."
    decided: ClassVar[type[Decided]] = Swaps
    swaps: int = setting(10, "Number of swaps.", unit="swaps", ge=0, le=1000)
    min_size: float = setting(
        0.25, "Smallest patch edge, as a fraction of the axis.", unit="of the axis", ge=0.0, le=1.0
    )
    max_size: float = setting(0.5, "Largest patch edge, as a fraction of the axis.", unit="of the axis", gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _ordered(self) -> PatchShuffle:
        if self.min_size > self.max_size:
            raise ValueError(
                f"min_size {self.min_size} is larger than max_size {self.max_size}; it may be at most as large"
            )
        return self

    def draw(self, shape: Shape3, key: int) -> Swaps:
        from genesis_core.randomness import integer, stream

        # The small term keeps 0.29 * 100 from rounding down to 28.
        limits = [(max(1, int(n * self.min_size + 1e-9)), max(1, int(n * self.max_size + 1e-9))) for n in shape]
        found = []
        for index in range(self.swaps):
            own = stream(key, "swap", index)
            d, h, w = (integer(own, axis, low, high) for axis, (low, high) in enumerate(limits))
            places = _draw_pair(shape, (d, h, w), own)
            if places is not None:
                first, second = (Box(start=place, size=(d, h, w)) for place in places)
                found.append(Swap(first=first, second=second))
        return Swaps(swaps=tuple(found))

    def apply(
        self, source: NDArray[np.float32], out: NDArray[np.float32], decided: Any, key: int, planes: Planes
    ) -> None:
        import numpy as np

        shape = (source.shape[1], source.shape[2], source.shape[3])
        if source is not out:
            np.copyto(out, source)
        for swap in decided.swaps:
            one, other = (_place(box) for box in box_array((swap.first, swap.second), shape).tolist())
            kept = out[one].copy()
            out[one] = out[other]
            out[other] = kept

    def on_device(self) -> DeviceVersion:
        from genesis_core.corruptions.torch_engine.patches import PatchShuffleOnDevice

        return PatchShuffleOnDevice()

    def describe(self, decided: Any, shape: Shape3) -> str:
        count = len(decided.swaps)
        return f"{self.label}: {count} {'swap' if count == 1 else 'swaps'} of two patches"


def _draw_pair(shape: Shape3, size: Shape3, key: int) -> tuple[Shape3, Shape3] | None:
    """Return the first voxels of two boxes that do not overlap; None if no two find room."""
    from genesis_core.randomness import integer

    roomy = [axis for axis in range(3) if 2 * size[axis] <= shape[axis]]
    if not roomy:
        return None
    for attempt in range(1, _TRIES + 1):
        drawn = [integer(key, 6 * attempt + i, 0, shape[i % 3] - size[i % 3]) for i in range(6)]
        if any(abs(drawn[axis] - drawn[axis + 3]) >= size[axis] for axis in roomy):
            break
    else:
        axis = roomy[0]
        drawn[axis] = integer(key, 3, 0, shape[axis] - 2 * size[axis])
        drawn[axis + 3] = integer(key, 4, drawn[axis] + size[axis], shape[axis] - size[axis])
    return (drawn[0], drawn[1], drawn[2]), (drawn[3], drawn[4], drawn[5])


def _place(box: list[int]) -> tuple[slice, ...]:
    z, y, x, depth, height, width = box
    return (slice(None), slice(z, z + depth), slice(y, y + height), slice(x, x + width))
