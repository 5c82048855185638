"""What every test of the window shares: what napari does again and again for each viewer is done once, or is cheap."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def _icons_drawn_once() -> Iterator[None]:
    """Draw napari's icons for the first viewer only: they are two hundred files a theme."""
    from napari.resources import _icons

    draw, drawn = _icons.write_colorized_svgs, set()

    def draw_once(folder: str | Path, **options: Any) -> None:
        if str(folder) not in drawn:
            draw(folder, **options)
            drawn.add(str(folder))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_icons, "write_colorized_svgs", draw_once)
        yield


@pytest.fixture(scope="module", autouse=True)
def _older_objects_are_not_searched() -> None:
    """Take what lives already out of the search for garbage.

    napari's canvas searches whenever a layer goes (0.9), and half a second passes among the objects of all libraries.
    """
    gc.collect()
    gc.freeze()
