"""Local pixel shuffling: voxels change places inside many small windows, so that texture must be learnt from context.

Source: Zhou et al. 2021 (Models Genesis), sec. 2.2; defaults are those of the published code since 2020-02-20.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from genesis_core.corruptions.corruption import Corruption, Decided, Planes, Shape3
from genesis_core.settings import setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genesis_core.corruptions.torch_engine.version import DeviceVersion


class LocalShuffle(Corruption):
    """Permute the voxels inside each of many windows.

    Every window reads the volume as it was before; where windows overlap, the last one wins. Sizes are uniform in
    1..max(1, floor(axis * max_window)) along each axis, positions uniform over all places inside the volume.
    """

    kind: Literal["local_shuffle"] = "local_shuffle"
    label: ClassVar[str] = "local shuffling"
    splits: ClassVar[Literal["never", "first", "always"]] = "first"
    teaches: ClassVar[str] = "Local boundaries and texture: what lies inside each small window, whatever its order."
    windows: int = setting(
        10_000, "Number of windows, whatever the size of the volume.", unit="windows", ge=0, le=1_000_000
    )
    max_window: float = setting(
        0.1, "Largest window edge, as a fraction of the axis.", unit="of the axis", gt=0.0, le=1.0
    )

    def largest(self, shape: Shape3) -> Shape3:
        """Return the largest window (z, y, x) for a volume of this shape, in voxels."""
        # The small term keeps 0.29 * 100 from rounding down to 28.
        z, y, x = (max(1, int(length * self.max_window + 1e-9)) for length in shape)
        return z, y, x

    def draw(self, shape: Shape3, key: int) -> Decided:
        # Ten thousand windows are hashed from the key again whenever they are needed, not stored.
        return Decided()

    def list_windows(self, shape: Shape3, key: int) -> NDArray[np.int64]:
        """Return the windows of a draw, in their order: (6, windows), first voxel (z, y, x) and size (z, y, x)."""
        import numpy as np

        from genesis_core.corruptions.kernels.shuffle import list_windows
        from genesis_core.randomness import stream

        windows = np.empty((6, self.windows), np.int64)
        list_windows(np.uint64(stream(key, "windows")), self._axes(shape), windows)
        return windows

    def _axes(self, shape: Shape3) -> NDArray[np.int64]:
        import numpy as np

        return np.array((shape, self.largest(shape)), np.int64)

    def apply(
        self, source: NDArray[np.float32], out: NDArray[np.float32], decided: Any, key: int, planes: Planes
    ) -> None:
        import numpy as np

        from genesis_core.corruptions.kernels.shuffle import shuffle_windows
        from genesis_core.randomness import stream

        axes = self._axes((source.shape[1], source.shape[2], source.shape[3]))
        windows, order = np.uint64(stream(key, "windows")), np.uint64(stream(key, "order"))
        # Windows read the volume as it was, so working in place needs a copy of it.
        original = source.copy() if source is out else source
        for channel in range(len(out)):
            shuffle_windows(
                original[channel].reshape(-1), out[channel].reshape(-1), axes, planes, self.windows, windows, order
            )

    def reach(self, shape: Shape3) -> int:
        return self.largest(shape)[0] - 1

    def on_device(self) -> DeviceVersion:
        from genesis_core.corruptions.torch_engine.shuffling import ShuffleOnDevice

        return ShuffleOnDevice(self)

    def describe(self, decided: Any, shape: Shape3) -> str:
        edges = " x ".join(str(edge) for edge in self.largest(shape))
        return f"{self.label}: {self.windows:,} windows of at most {edges} voxels (z, y, x)"
