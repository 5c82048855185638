"""Layers of a case that a dock left in the viewer when it was closed: the case is gone on with there, not opened twice.

They are the user's own by then, and may have been painted on with nobody to keep it: such ones are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_genesis.correct.case_files import MARK, CaseRead, checksum


@dataclass(frozen=True, eq=False)
class LeftLayers:
    """images, labels: layers of one case, in the viewer. voxels: of each Labels layer, not copied."""

    images: tuple[Any, ...]
    labels: tuple[Any, ...]
    voxels: tuple[NDArray[Any], ...]

    def same_as(self, found: CaseRead) -> bool:
        """Whether they show what was read. For a thread: it looks at every voxel of the labels."""
        if (len(self.images), len(self.labels)) != (len(found.images), len(found.labels)):
            return False
        pairs = ((*self.images, *self.labels), (*found.images, *found.labels))
        if any(
            mine.data.shape != theirs.data.shape or not np.allclose(mine.extent.world, theirs.extent.world)
            for mine, theirs in zip(*pairs, strict=True)
        ):
            return False
        return tuple(checksum(one) for one in self.voxels) == found.checksums


def left_layers(viewer: Any, mark: tuple[str, str], own: Sequence[Any]) -> LeftLayers | None:
    """Return what lies in a viewer of the case with this mark, beside a dock's own layers; None if there is nothing."""
    from napari.layers import Labels

    mine = [layer for layer in viewer.layers if layer.metadata.get(MARK) == mark and layer not in own]
    labels = tuple(layer for layer in mine if isinstance(layer, Labels))
    if not labels:
        return None
    images = tuple(layer for layer in mine if layer not in labels)
    return LeftLayers(images, labels, tuple(np.asarray(layer.data) for layer in labels))
