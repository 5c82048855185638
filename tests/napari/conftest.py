"""What every test of the window shares: what napari does again and again for each viewer is done once."""

from __future__ import annotations

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
