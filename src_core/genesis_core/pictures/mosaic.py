"""Tiles with titles and captions on one sheet, with a heading, and a footer that says where the pictures are from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from genesis_core.errors import SettingsError
from genesis_core.pictures.encoding import resized
from genesis_core.pictures.slices import Pixels, coloured

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_PAPER = (255, 255, 255)
_INK = (26, 28, 32)
_SOFT = (98, 104, 114)
_LINE = (214, 218, 224)
# Sizes in pixels.
_TITLE, _TEXT, _SMALL = 26, 16, 13
_MARGIN, _GAP = 28, 14


@dataclass(frozen=True)
class Tile:
    """One picture: grey (y, x) or coloured (y, x, 3) uint8, a title above, a caption below (either may be empty).

    framed: draw a coloured frame around it. smooth: enlarge by interpolation, not by repeating pixels.
    """

    image: Pixels
    title: str = ""
    caption: str = ""
    framed: bool = False
    smooth: bool = True


@dataclass(frozen=True)
class Row:
    """Tiles side by side, with an optional heading over them."""

    tiles: tuple[Tile, ...]
    heading: str = ""


@cache
def font(size: int) -> Font:
    """Return Pillow's own font, which is the same on every machine."""
    return ImageFont.load_default(size)


def mosaic(
    tiles: Sequence[Tile], columns: int, *, title: str = "", subtitle: str = "", footer: str = "", tile_width: int = 240
) -> Pixels:
    """Lay tiles out row by row; see `sheet` for the rest."""
    if columns < 1:
        raise SettingsError(f"a mosaic needs at least one column, not {columns}")
    rows = [Row(tuple(tiles[k : k + columns])) for k in range(0, len(tiles), columns)]
    return sheet(rows, title=title, subtitle=subtitle, footer=footer, tile_width=tile_width)


def sheet(
    rows: Sequence[Row], *, title: str = "", subtitle: str = "", footer: str = "", tile_width: int = 240
) -> Pixels:
    """Return a sheet of rows of tiles as uint8 pixels (y, x, 3), white background.

    title, subtitle: at the top. footer: at the bottom, for the source ("synthetic", a citation). All are wrapped.
    tile_width: every tile is brought to this width in pixels, its height follows its shape.
    Raises SettingsError if there is no tile.
    """
    if not any(row.tiles for row in rows):
        raise SettingsError("a mosaic needs at least one tile")
    columns = max(len(row.tiles) for row in rows)
    width = 2 * _MARGIN + columns * tile_width + (columns - 1) * _GAP
    inner = width - 2 * _MARGIN
    blocks = [_Text(line, _TITLE, _INK) for line in wrap(title, _TITLE, inner)]
    blocks += [_Text(line, _TEXT, _SOFT) for line in wrap(subtitle, _TEXT, inner)]
    bottom = [_Text(line, _SMALL, _SOFT) for line in wrap(footer, _SMALL, inner)]
    heights = [_row_height(row, tile_width) for row in rows]
    top = _MARGIN + sum(block.height for block in blocks) + (10 if blocks else 0)
    height = top + sum(heights) + (14 + sum(block.height for block in bottom) if bottom else 0) + _MARGIN - _GAP
    page = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(page)
    y = _write(draw, blocks, _MARGIN) + (10 if blocks else 0)
    for row, tall in zip(rows, heights, strict=True):
        _draw_row(page, draw, row, y, tile_width)
        y += tall
    if bottom:
        draw.line([(_MARGIN, y), (width - _MARGIN, y)], fill=_LINE)
        _write(draw, bottom, y + 8)
    return np.asarray(page)


@dataclass(frozen=True)
class _Text:
    line: str
    size: int
    colour: tuple[int, int, int]

    @property
    def height(self) -> int:
        return int(self.size * 1.42)


def _write(draw: ImageDraw.ImageDraw, blocks: Sequence[_Text], y: int) -> int:
    for block in blocks:
        draw.text((_MARGIN, y), block.line, fill=block.colour, font=font(block.size))
        y += block.height
    return y


def wrap(text: str, size: int, width: int) -> list[str]:
    """Return `text` in lines of at most `width` pixels at a font size; a word too long for a line is cut short."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            word = _shortened(word, size, width)
            longer = f"{line} {word}".strip()
            if line and font(size).getlength(longer) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return [line for line in lines if line]


def _shortened(word: str, size: int, width: int) -> str:
    if font(size).getlength(word) <= width:
        return word
    while word and font(size).getlength(word + "…") > width:
        word = word[:-1]
    return word + "…"


def _picture(tile: Tile, width: int) -> Pixels:
    image = coloured(tile.image)
    height = max(round(image.shape[0] * width / image.shape[1]), 1)
    return resized(image, height, width, tile.smooth)


def _row_height(row: Row, width: int) -> int:
    heading = int(_TEXT * 1.8) if row.heading else 0
    titles = max((len(wrap(tile.title, _TEXT, width)) for tile in row.tiles), default=0) * int(_TEXT * 1.35)
    captions = max((len(wrap(tile.caption, _SMALL, width)) for tile in row.tiles), default=0) * int(_SMALL * 1.4)
    picture = max((round(tile.image.shape[0] * width / tile.image.shape[1]) for tile in row.tiles), default=0)
    return heading + titles + 3 + max(picture, 1) + 5 + captions + _GAP


def _draw_row(page: Image.Image, draw: ImageDraw.ImageDraw, row: Row, y: int, width: int) -> None:
    if row.heading:
        draw.text((_MARGIN, y), row.heading, fill=_INK, font=font(_TEXT + 2))
        y += int(_TEXT * 1.8)
    titles = [wrap(tile.title, _TEXT, width) for tile in row.tiles]
    lines = max((len(title) for title in titles), default=0)
    for k, (tile, title) in enumerate(zip(row.tiles, titles, strict=True)):
        x = _MARGIN + k * (width + _GAP)
        # Titles of one line stand next to the picture, not above the gap that a longer neighbour needs.
        line_y = y + (lines - len(title)) * int(_TEXT * 1.35)
        for line in title:
            draw.text((x, line_y), line, fill=_INK, font=font(_TEXT))
            line_y += int(_TEXT * 1.35)
        top = y + lines * int(_TEXT * 1.35) + 3
        picture = _picture(tile, width)
        page.paste(Image.fromarray(picture), (x, top))
        if tile.framed:
            draw.rectangle([x - 3, top - 3, x + width + 2, top + picture.shape[0] + 2], outline=(0, 114, 178), width=3)
        caption_y = top + picture.shape[0] + 5
        for line in wrap(tile.caption, _SMALL, width):
            draw.text((x, caption_y), line, fill=_SOFT, font=font(_SMALL))
            caption_y += int(_SMALL * 1.4)
