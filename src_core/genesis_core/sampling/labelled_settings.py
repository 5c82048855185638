"""Settings of how sub-volumes are drawn from labelled cases, declared once for YAML, command line and forms."""

from __future__ import annotations

from genesis_core.settings import Settings, Size3, setting


class LabelledSamplingSettings(Settings):
    """How sub-volumes are drawn from labelled cases."""

    patch_size: Size3 = setting((32, 64, 64), "Size z, y, x of a sub-volume.", unit="voxels")
    foreground: float = setting(
        1 / 3, "Part of the sub-volumes that are centred on a voxel of a structure; the rest lies anywhere.", ge=0, le=1
    )
