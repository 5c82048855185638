"""The latest preview of a run, as its folder holds it; a damaged one is passed over. No Qt."""

from __future__ import annotations

import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.training.run_folder import RunFolder
from napari_genesis.jobs.view import NamedColour, PreviewArrays

# Samples of volumes; what has fewer axes tells about them.
_VOLUMES = 4
# A preview of another version may hold anything; no viewer shows more.
_LARGEST = 1 << 28


def read_latest(run: RunFolder) -> PreviewArrays | None:
    """Return the latest preview; None if there is none, or it is damaged or was removed meanwhile."""
    files = sorted(run.previews.glob("step_*.npz"))
    if not files:
        return None
    try:
        with np.load(files[-1], allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        volumes = {
            name: _shown(array) for name, array in arrays.items() if array.ndim == _VOLUMES and array.size <= _LARGEST
        }
        return PreviewArrays(
            int(files[-1].stem.removeprefix("step_")),
            volumes,
            case=str(arrays["case"]) if "case" in arrays else "",
            spacing=_spacing(arrays.get("case_spacing")),
            structures=_structures(arrays),
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        # The next one comes.
        return None


def _shown(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype == np.uint8 else array.astype(np.float32)


def _spacing(found: NDArray[Any] | None) -> tuple[float, ...] | None:
    if found is None or found.shape != (3,) or not np.all(np.isfinite(found)) or not np.all(found > 0):
        return None
    return tuple(float(value) for value in found)


def _structures(arrays: dict[str, NDArray[Any]]) -> tuple[NamedColour, ...]:
    names, colours = arrays.get("structures"), arrays.get("colours")
    if names is None or colours is None or colours.shape != (len(names), 3):
        return ()
    return tuple(
        NamedColour(str(name), (int(red), int(green), int(blue)))
        for name, (red, green, blue) in zip(names, colours, strict=True)
    )
