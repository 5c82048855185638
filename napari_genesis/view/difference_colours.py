"""The colours of signed differences in the canvas: blue, white at zero, red, as in every other picture of ours."""

from __future__ import annotations

from typing import Any


def difference_colours() -> Any:
    """Return them as a napari colormap, for contrast limits that are symmetric about zero."""
    from napari.utils.colormaps import Colormap

    from genesis_core.pictures.slices import difference_bar

    return Colormap(difference_bar(11, 1)[::-1, 0] / 255, name="difference")
