"""Pixels as PNG bytes, as a file, and as a data URI for a report that is one file."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

from PIL import Image

from genesis_core.atomic import replacing
from genesis_core.pictures.slices import Pixels


def png_bytes(image: Pixels) -> bytes:
    """Return grey (y, x) or coloured (y, x, 3) uint8 pixels as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def write_png(image: Pixels, path: str | os.PathLike[str]) -> Path:
    """Write pixels to a PNG file, atomically; the folder must exist."""
    path = Path(path)
    with replacing(path) as temporary:
        temporary.write_bytes(png_bytes(image))
    return path


def data_uri(image: Pixels) -> str:
    """Return pixels as `data:image/png;base64,...`, to be used as the source of an HTML image."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(image)).decode("ascii")


def resized(image: Pixels, height: int, width: int, smooth: bool = True) -> Pixels:
    """Return a picture at another size in pixels; smooth: bicubic, else nearest (labels, outlines)."""
    import numpy as np

    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(image).resize((width, height), method))
