"""Sample data for napari's File > Open Sample: the synthetic thorax CT, made on the spot, with its labels."""

from __future__ import annotations

from typing import Any

LayerData = tuple[Any, dict[str, Any], str]


def thorax_phantom(seed: int = 0) -> list[LayerData]:
    """Return the phantom of `seed` as an Image (HU) and a Labels layer on the same grid, in millimetres."""
    from napari.utils.colormaps import DirectLabelColormap

    from genesis_core.phantom.thorax import make_phantom

    phantom = make_phantom(seed)
    place = {"affine": phantom.volume.affine, "units": ("mm", "mm", "mm"), "axis_labels": ("z", "y", "x")}
    image = {**place, "name": f"thorax CT {seed} (synthetic)", "colormap": "gray", "contrast_limits": (-1000, 400)}
    colours: dict[int | None, Any] = {None: (0, 0, 0, 0)}
    for structure in phantom.structures:
        colours[structure.number] = (*(part / 255 for part in structure.colour), float(structure.number > 0))
    labels = {
        **place,
        "name": f"thorax labels {seed} (synthetic)",
        "opacity": 0.4,
        "colormap": DirectLabelColormap(color_dict=colours),
        # napari shows a label's features beside the cursor: there the structure is named.
        "features": {
            "index": [s.number for s in phantom.structures],
            "structure": [s.name for s in phantom.structures],
        },
    }
    return [(phantom.volume.array, image, "image"), (phantom.labels.array, labels, "labels")]
