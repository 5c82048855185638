"""What a recipe decided for one sub-volume: small, readable, storable, and all that is needed to do it again."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genesis_core.corruptions.corruption import Corruption, Decided, Shape3
from genesis_core.corruptions.local_shuffle import LocalShuffle
from genesis_core.corruptions.registry import CORRUPTIONS
from genesis_core.errors import RecipeError
from genesis_core.settings import validate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class StepDraw:
    """One corruption that was chosen: its place in the recipe, its settings, its key, and what it decided."""

    position: int
    corruption: Corruption
    key: int
    decided: Decided


@dataclass(frozen=True)
class Draw:
    """Everything that was decided for one sub-volume of `shape` (z, y, x) or (y, x)."""

    shape: tuple[int, ...]
    seed: int
    steps: tuple[StepDraw, ...]

    @property
    def applied(self) -> tuple[str, ...]:
        """The kinds of corruption that are applied, in their order."""
        return tuple(step.corruption.kind for step in self.steps)

    @property
    def shape3(self) -> Shape3:
        """The shape with three axes: a 2D image is one slice."""
        return as_shape3(self.shape)

    def describe(self) -> str:
        """Say in words what was decided, one line a step."""
        if not self.steps:
            return "unchanged"
        return "\n".join(step.corruption.describe(step.decided, self.shape3) for step in self.steps)

    def mask(self) -> NDArray[np.bool_]:
        """Return the voxels whose content was replaced by a cut-out, in the shape of the sub-volume."""
        import numpy as np

        masked = np.zeros(self.shape3, np.bool_)
        for step in self.steps:
            replaced = step.corruption.replaced(step.decided, self.shape3)
            if replaced is not None:
                masked |= replaced
        return masked.reshape(self.shape)

    def windows(self) -> NDArray[np.int64]:
        """Return the windows of local shuffling in their order: (n, 2, 3), first voxel and size, each (z, y, x)."""
        import numpy as np

        found = [
            step.corruption.list_windows(self.shape3, step.key)
            for step in self.steps
            if isinstance(step.corruption, LocalShuffle)
        ]
        return np.concatenate([np.empty((6, 0), np.int64), *found], axis=1).T.reshape(-1, 2, 3)

    def to_dict(self) -> dict[str, Any]:
        """Return the draw as plain values for JSON or YAML."""
        return {
            "schema": 1,
            "shape": list(self.shape),
            "seed": self.seed,
            "steps": [
                {
                    "position": step.position,
                    "corruption": step.corruption.model_dump(mode="json"),
                    "key": step.key,
                    "decided": step.decided.model_dump(mode="json"),
                }
                for step in self.steps
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Draw:
        """Read back what `to_dict` wrote. Raises RecipeError for anything else."""
        if not isinstance(values, Mapping) or values.get("schema") != 1:
            raise RecipeError("draw: not a draw of schema 1")
        try:
            steps = tuple(_read_step(step, f"draw: steps[{n}]") for n, step in enumerate(values["steps"]))
            return cls(shape=check_shape(values["shape"]), seed=check_seed(values["seed"]), steps=steps)
        except (KeyError, TypeError, AttributeError) as problem:
            raise RecipeError(f"draw: incomplete or damaged ({problem!r})") from None


def _read_step(values: Mapping[str, Any], where: str) -> StepDraw:
    settings = values["corruption"]
    kind = settings.get("kind")
    if kind not in CORRUPTIONS:
        raise RecipeError(f"{where}: 'kind' = {kind!r} is not a corruption; allowed: {', '.join(CORRUPTIONS)}")
    corruption = validate(CORRUPTIONS[kind], settings, where=where, error=RecipeError)
    decided = validate(corruption.decided, values["decided"], where=where, error=RecipeError)
    return StepDraw(operator.index(values["position"]), corruption, check_seed(values["key"]), decided)


def as_shape3(shape: Sequence[int]) -> Shape3:
    """Return the shape with three axes: a 2D image is one slice."""
    z, y, x = (1, *shape) if len(shape) == 2 else shape
    return z, y, x


def check_shape(shape: Any) -> tuple[int, ...]:
    """Return a spatial shape as integers. Raises RecipeError unless it has two or three axes of at least one voxel."""
    try:
        axes = tuple(operator.index(length) for length in shape)
    except TypeError:
        raise RecipeError(f"shape {shape!r}: expected two or three whole numbers, (z, y, x) or (y, x)") from None
    if len(axes) not in (2, 3) or min(axes) < 1:
        raise RecipeError(f"shape {axes}: expected two or three axes, (z, y, x) or (y, x), of at least one voxel")
    return axes


def check_seed(seed: Any) -> int:
    """Return a seed as an integer. Raises RecipeError for anything but a whole number."""
    try:
        return operator.index(seed)
    except TypeError:
        raise RecipeError(f"seed {seed!r}: expected a whole number") from None
