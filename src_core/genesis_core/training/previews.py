"""Previews of a run: small arrays for a viewer, such as original, corrupted and restored, one file a validation.

Names, colours and spacings that a viewer needs stand in the same file, as arrays of fewer axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genesis_core.atomic import replacing
from genesis_core.training.run_folder import RunFolder

# Previews are small but many; the first and the latest are what people look at.
_KEPT = 10
# Axes of samples of volumes; what else is in a file tells about them.
_VOLUMES = 4


def write_preview(run: RunFolder, step: int, arrays: Mapping[str, Any]) -> str:
    """Write the arrays of one step, and remove all but the first and the latest previews; return the file's place."""
    path = run.previews / f"step_{step:07d}.npz"
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
    for old in sorted(run.previews.glob("step_*.npz"))[1 : -(_KEPT - 1)]:
        old.unlink(missing_ok=True)
    return f"previews/{path.name}"


def read_preview(run: RunFolder, which: Literal["first", "last"]) -> dict[str, NDArray[np.float32]]:
    """Return the volumes of the run's first or last preview by name, each (sample, z, y, x)."""
    files = sorted(run.previews.glob("step_*.npz"))
    with np.load(files[0] if which == "first" else files[-1]) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    return {name: array.astype(np.float32) for name, array in found.items() if array.ndim == _VOLUMES}
