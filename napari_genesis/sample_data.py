"""Sample data for napari's File > Open Sample: the synthetic thorax CT, made on the spot, with its labels."""

from __future__ import annotations

from typing import Any

LayerData = tuple[Any, dict[str, Any], str]


def thorax_phantom(seed: int = 0) -> list[LayerData]:
    """Return the phantom of `seed` as an Image (HU) and a Labels layer on the same grid, in millimetres."""
    from genesis_core.phantom.thorax import make_phantom

    phantom = make_phantom(seed)
    place = {"affine": phantom.volume.affine, "units": ("mm", "mm", "mm"), "axis_labels": ("z", "y", "x")}
    image = {**place, "name": f"thorax CT {seed} (synthetic)", "colormap": "gray", "contrast_limits": (-1000, 400)}
    labels = {**place, "name": f"thorax labels {seed} (synthetic)", "opacity": 0.4}
    return [(phantom.volume.array, image, "image"), (phantom.labels.array, labels, "labels")]
