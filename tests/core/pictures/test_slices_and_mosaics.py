"""Pictures: windows, signed differences, outlines, sheets of tiles, and PNG bytes that hold the same pixels."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from genesis_core.errors import SettingsError, VolumeError
from genesis_core.pictures.encoding import data_uri, png_bytes, resized, write_png
from genesis_core.pictures.mosaic import Row, Tile, font, mosaic, sheet, wrap
from genesis_core.pictures.slices import coloured, difference_bar, grey, labelled, outline, signed_difference

PLANES = arrays.arrays(
    np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(-3000, 3000, width=32)
)


@given(plane=PLANES, low=st.floats(-1000, 0), width=st.floats(1, 3000))
@settings(deadline=None)
def test_a_grey_slice_keeps_order_and_saturates_at_its_window(plane: np.ndarray, low: float, width: float) -> None:
    pixels = grey(plane, low, low + width)
    assert pixels.shape == plane.shape
    assert pixels.dtype == np.uint8
    assert (pixels[plane <= low] == 0).all()
    assert (pixels[plane >= low + width + 1e-2] == 255).all()
    order = np.argsort(plane, axis=None)
    assert (np.diff(pixels.ravel()[order].astype(int)) >= 0).all()


def test_not_a_number_is_black() -> None:
    assert grey(np.array([[np.nan, 1.0]]), 0, 1).tolist() == [[0, 255]]


@given(plane=PLANES, limit=st.floats(0.1, 2000))
@settings(deadline=None)
def test_a_signed_difference_is_white_at_zero_blue_below_and_red_above(plane: np.ndarray, limit: float) -> None:
    pixels = signed_difference(plane, limit).astype(int)
    assert pixels.shape == (*plane.shape, 3)
    assert (pixels[plane == 0] == 247).all()
    red_minus_blue = pixels[..., 0] - pixels[..., 2]
    assert (red_minus_blue[plane > 0.05 * limit] > 0).all()
    assert (red_minus_blue[plane < -0.05 * limit] < 0).all()


def test_the_difference_colours_differ_in_lightness_from_white_on_both_sides_alike() -> None:
    bar = difference_bar(101, 1)[:, 0].astype(float) @ [0.2126, 0.7152, 0.0722]
    assert bar.argmax() == 50
    assert abs(bar[0] - bar[-1]) < 25


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0, float("nan"))])
def test_an_empty_window_is_refused(low: float, high: float) -> None:
    with pytest.raises(VolumeError, match="low < high"):
        grey(np.zeros((2, 2)), low, high)


def test_a_volume_is_not_a_slice() -> None:
    with pytest.raises(VolumeError, match="slice"):
        grey(np.zeros((2, 2, 2)), 0, 1)
    with pytest.raises(VolumeError, match="above 0"):
        signed_difference(np.zeros((2, 2)), 0)


def test_an_outline_is_one_pixel_wide_and_leaves_the_picture_unchanged() -> None:
    image = np.full((9, 9), 100, np.uint8)
    mask = np.zeros((9, 9), bool)
    mask[2:7, 2:7] = True
    drawn = outline(image, mask, (255, 0, 0))
    assert (image == 100).all()
    red = (drawn == (255, 0, 0)).all(axis=-1)
    assert red.sum() == 16
    assert not red[3:6, 3:6].any()


def test_a_mask_that_fills_the_picture_is_outlined_at_its_border() -> None:
    drawn = outline(np.zeros((5, 6), np.uint8), np.ones((5, 6)), (1, 2, 3))
    assert ((drawn == (1, 2, 3)).all(axis=-1)).sum() == 18


def test_masks_and_labels_of_another_size_are_refused() -> None:
    with pytest.raises(VolumeError, match="does not fit"):
        outline(np.zeros((5, 5), np.uint8), np.ones((4, 5)))
    with pytest.raises(VolumeError, match="do not fit"):
        labelled(np.zeros((5, 5), np.uint8), np.ones((4, 5), int), {1: (1, 1, 1)})


def test_labels_tint_only_their_own_voxels() -> None:
    tinted = labelled(np.full((2, 2), 100, np.uint8), np.array([[0, 1], [2, 0]]), {0: (9, 9, 9), 1: (200, 100, 0)}, 0.5)
    assert tinted[0, 1].tolist() == [150, 100, 50]
    assert tinted[0, 0].tolist() == tinted[1, 0].tolist() == [100, 100, 100]


def test_a_png_holds_the_same_pixels(tmp_path: Path) -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    for data in (png_bytes(pixels), base64.b64decode(data_uri(pixels).removeprefix("data:image/png;base64,"))):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    assert np.array_equal(np.asarray(Image.open(write_png(pixels, tmp_path / "a.png"))), pixels)


def test_a_picture_is_resized_to_rows_then_columns() -> None:
    assert resized(np.zeros((4, 6), np.uint8), 8, 3).shape == (8, 3)
    assert set(np.unique(resized(np.array([[0, 255]], np.uint8), 4, 8, smooth=False))) == {0, 255}


def test_a_mosaic_is_as_wide_as_its_columns_and_grows_with_its_rows() -> None:
    tile = Tile(np.zeros((20, 20), np.uint8), "title", "caption")
    one, two = (mosaic([tile] * n, 3, tile_width=100) for n in (3, 4))
    assert one.shape[1] == two.shape[1] > 300
    assert two.shape[0] > one.shape[0] + 100
    assert one.dtype == np.uint8
    assert one.shape[2] == 3


def test_the_footer_and_the_title_leave_ink_on_the_sheet() -> None:
    rows = [Row((Tile(np.full((10, 10), 255, np.uint8)),), "heading")]
    plain, told = sheet(rows, tile_width=300), sheet(rows, tile_width=300, title="A title", footer="synthetic")
    assert told.shape[0] > plain.shape[0]
    assert (told[:60] < 128).any()
    assert (told[-50:] < 160).any()


def test_a_sheet_is_the_same_every_time() -> None:
    rows = [Row((Tile(np.arange(100, dtype=np.uint8).reshape(10, 10), "a", "b", framed=True),))]
    assert np.array_equal(sheet(rows, title="t"), sheet(rows, title="t"))


def test_an_empty_sheet_is_refused() -> None:
    with pytest.raises(SettingsError, match="tile"):
        mosaic([], 2)
    with pytest.raises(SettingsError, match="column"):
        mosaic([Tile(np.zeros((2, 2), np.uint8))], 0)


@given(text=st.text(max_size=200), width=st.integers(40, 400))
@settings(deadline=None, max_examples=40)
def test_wrapped_lines_fit_and_lose_no_word_that_fits(text: str, width: int) -> None:
    lines = wrap(text, 14, width)
    assert all(font(14).getlength(line) <= width or len(line) <= 2 for line in lines)
    if all(font(14).getlength(word) <= width for word in text.split()):
        assert " ".join(lines).split() == text.split()


def test_grey_becomes_colour_without_changing() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.array_equal(coloured(image)[..., 1], image)
    assert coloured(coloured(image)).shape == (2, 3, 3)
