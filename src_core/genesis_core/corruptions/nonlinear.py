"""Non-linear intensity: a smooth monotone curve re-maps all intensities, so that appearance must be learnt.

Source: Zhou et al. 2021 (Models Genesis), sec. 2.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from genesis_core.corruptions.corruption import Corruption, Decided, Planes, Shape3
from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genesis_core.corruptions.torch_engine.version import DeviceVersion


class Point(Settings):
    """A control point of an intensity curve."""

    x: float = Field(ge=0.0, le=1.0, description="Intensity before.")
    y: float = Field(ge=0.0, le=1.0, description="Intensity after.")


class Curve(Decided):
    """A cubic Bezier curve with end points (0, 0) and (1, 1), or (0, 1) and (1, 0) if it is decreasing."""

    first: Point
    second: Point
    decreasing: bool

    def __call__(self, intensities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the curve at `intensities`, any shape, in [0, 1]: the very values voxels get."""
        import numpy as np

        source = np.ascontiguousarray(intensities, np.float32)
        out = np.empty_like(source)
        self._map(source.reshape(-1), out.reshape(-1))
        return out

    def _map(self, source: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        from genesis_core.corruptions.kernels.curve import map_curve

        map_curve(source, out, *self._rising(), self.decreasing)

    def _rising(self) -> tuple[float, float, float, float]:
        # The table knows rising curves and their mirror images.
        y1, y2 = (1.0 - self.first.y, 1.0 - self.second.y) if self.decreasing else (self.first.y, self.second.y)
        return self.first.x, y1, self.second.x, y2

    def table(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
        """Return the curve as a table, (base, slope, child): see `kernels.curve`."""
        import numpy as np

        from genesis_core.corruptions.kernels.curve import CAPACITY, build_table

        base, slope = np.empty(CAPACITY, np.float32), np.empty(CAPACITY, np.float32)
        child = np.empty(CAPACITY, np.int32)
        build_table(*self._rising(), self.decreasing, base, slope, child)
        return base, slope, child


class Nonlinear(Corruption):
    """Map every intensity through a random cubic Bezier curve, shared by all channels.

    Both inner control points are uniform in the unit square; the curve is then monotone, rising or falling from end
    to end.
    """

    kind: Literal["nonlinear"] = "nonlinear"
    label: ClassVar[str] = "non-linear intensity"
    splits: ClassVar[Literal["never", "first", "always"]] = "always"
    teaches: ClassVar[str] = "The appearance of organs: which intensity each tissue should have."
    decided: ClassVar[type[Decided]] = Curve
    decreasing: float = setting(
        0.5, "Chance that the curve falls, which inverts the image.", unit="probability", ge=0.0, le=1.0
    )

    def draw(self, shape: Shape3, key: int) -> Curve:
        from genesis_core.randomness import stream, uniform

        own = stream(key, "curve")
        u = [uniform(own, counter) for counter in range(5)]
        return Curve(first=Point(x=u[0], y=u[1]), second=Point(x=u[2], y=u[3]), decreasing=u[4] < self.decreasing)

    def apply(
        self, source: NDArray[np.float32], out: NDArray[np.float32], decided: Any, key: int, planes: Planes
    ) -> None:
        whole = slice(*planes)
        for channel in range(len(out)):
            decided._map(source[channel, whole].reshape(-1), out[channel, whole].reshape(-1))

    def on_device(self) -> DeviceVersion:
        from genesis_core.corruptions.torch_engine.curves import CurvesOnDevice

        return CurvesOnDevice()

    def describe(self, decided: Any, shape: Shape3) -> str:
        way = "falling" if decided.decreasing else "rising"
        points = " and ".join(f"({point.x:.2f}, {point.y:.2f})" for point in (decided.first, decided.second))
        return f"{self.label}: {way} curve with control points {points}"
