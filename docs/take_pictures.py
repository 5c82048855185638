"""Take the pictures in docs/images anew from the screenshots that tests left in build/screenshots.

A picture is the screenshot of its name; one that ends in _dock is the dock alone, so that its words can be read.
Pictures without a screenshot stay as they are. New ones: name them, as in `take_pictures.py pretrain_empty_dark_dock`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

IMAGES = Path(__file__).resolve().parent / "images"
SCREENSHOTS = Path(__file__).resolve().parent.parent / "build" / "screenshots"
# Where the dock begins in windows of 1280 pixels, as the tests arrange them, and where its tab bar and title end.
_DOCK, _WINDOW = 918, (1280, 800)
# Rows of background that stay where the middle of a dock is empty.
_KEPT = 24


def dock(window: Image.Image) -> Image.Image:
    """Return the dock at the right of a screenshot, with its empty rows cut out. Raises ValueError for other sizes."""
    if window.size != _WINDOW:
        raise ValueError(f"a window of {window.size} pixels; docks are cut out of {_WINDOW}")
    pixels = np.asarray(window.convert("RGB"))[24:778, _DOCK:]
    empty = (pixels == pixels[:, :1]).all(axis=(1, 2))
    keep, run = np.ones(len(empty), bool), 0
    for row, is_empty in enumerate(empty):
        run = run + 1 if is_empty else 0
        keep[row] = run <= _KEPT
    return Image.fromarray(pixels[keep])


def take(name: str) -> bool:
    """Write one picture from its screenshot; False if there is none."""
    made = SCREENSHOTS / f"{name.removesuffix('_dock')}.png"
    if not made.is_file():
        return False
    with Image.open(made) as window:
        picture = dock(window) if name.endswith("_dock") else window.convert("RGB")
        picture.save(IMAGES / f"{name}.png", optimize=True)
    return True


def main(names: list[str]) -> None:
    """Take the pictures of these names; of none, all there are."""
    for name in names or sorted(path.stem for path in IMAGES.glob("*.png")):
        if not take(name) and names:
            raise SystemExit(f"no build/screenshots/{name.removesuffix('_dock')}.png: run the test that makes it")


if __name__ == "__main__":
    main(sys.argv[1:])
