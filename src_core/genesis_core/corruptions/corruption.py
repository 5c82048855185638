"""What every corruption is: settings, a draw that decides, and a pure application of what was decided."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from genesis_core.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genesis_core.corruptions.torch_engine.version import DeviceVersion

# Spatial shape (z, y, x); a 2D image is one slice, (1, y, x).
Shape3 = tuple[int, int, int]
# Planes of a volume along z: the first one, and the first behind the last.
Planes = tuple[int, int]


class Decided(Settings):
    """What one corruption decided in one draw. Small, and complete together with the step's key."""


class Corruption(Settings, ABC):
    """One corruption and its parameters.

    A new one is a file with a subclass, holding a `kind` (its name in recipes), a `label` (in words), `teaches` (a
    sentence on what undoing it teaches a network), `decided` (the model of what it draws), `replaces` (whether it
    throws the content of voxels away, which `replaced` then names), `splits` (see there) and the methods below, and one
    line in `registry`.
    With `on_device` besides, it also runs on the device that trains; without, its recipes run on the CPU.
    Random numbers are hashed from the step's key with `genesis_core.randomness`; nothing else may decide anything.
    """

    kind: str
    label: ClassVar[str]
    teaches: ClassVar[str] = ""
    replaces: ClassVar[bool] = False
    splits: ClassVar[Literal["never", "first", "always"]] = "never"
    """Whether several threads may share a volume, each writing planes of its own. first: where `out` is not `source`;
    always: also in place, since a voxel's new value depends on its old one and its place alone."""
    decided: ClassVar[type[Decided]] = Decided

    @abstractmethod
    def draw(self, shape: Shape3, key: int) -> Decided:
        """Decide everything for a volume of this shape. key: the step's 64 bits."""

    @abstractmethod
    def apply(
        self, source: NDArray[np.float32], out: NDArray[np.float32], decided: Any, key: int, planes: Planes
    ) -> None:
        """Write `planes` of the corrupted copy of `source` to `out`, and touch no other.

        Both are C-contiguous, of shape (channel, z, y, x), in [0, 1]; `out` may be `source` itself. planes: all, but
        for a corruption that `splits`; then they begin and end at a multiple of 16 voxels, the vectors of the kernels.
        Raises RecipeError if what was decided does not fit the shape.
        """

    @abstractmethod
    def describe(self, decided: Any, shape: Shape3) -> str:
        """Say in words what was decided."""

    def replaced(self, decided: Any, shape: Shape3) -> NDArray[np.bool_] | None:
        """Return the voxels (z, y, x) whose content is thrown away, or None if this corruption throws nothing away."""
        return None

    def reach(self, shape: Shape3) -> int:
        """Return how many planes beyond those it writes are read, where `splits` lets it write some alone."""
        return 0

    def on_device(self) -> DeviceVersion | None:
        """Return this corruption for the torch engine, or None if only the compiled engine knows it."""
        return None
