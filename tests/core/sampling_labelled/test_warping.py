"""Reading a sub-volume turned: the right box, the right voxels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genesis_core.sampling.warping import Index3, read_warped

SHAPE = (21, 24, 27)


class Scan:
    """A scan in memory that remembers which boxes were read."""

    def __init__(self, shape: Index3 = SHAPE, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        self.image = generator.random(shape).astype(np.float32)
        self.numbers = generator.integers(0, 4, shape).astype(np.int16)
        self.boxes: list[tuple[Index3, Index3]] = []

    def read(self, start: Index3, size: Index3) -> tuple[np.ndarray, np.ndarray]:
        self.boxes.append((start, size))
        pad = 40
        place = tuple(slice(first + pad, first + pad + n) for first, n in zip(start, size, strict=True))
        image = np.pad(self.image, pad)[place]
        numbers = np.pad(self.numbers, pad, constant_values=-1)[place]
        return image[None], numbers[None]


def test_without_a_matrix_the_box_is_read_as_it_is() -> None:
    scan = Scan()
    images, layers = read_warped(scan.read, (2, 3, 4), (5, 6, 7), None)
    assert np.array_equal(images[0], scan.image[2:7, 3:9, 4:11])
    assert np.array_equal(layers[0], scan.numbers[2:7, 3:9, 4:11])


def test_mirroring_moves_voxels_and_interpolates_nothing() -> None:
    scan = Scan()
    images, layers = read_warped(scan.read, (2, 3, 4), (5, 6, 7), np.diag([-1.0, 1.0, -1.0]))
    assert np.array_equal(images[0], scan.image[2:7, 3:9, 4:11][::-1, :, ::-1])
    assert np.array_equal(layers[0], scan.numbers[2:7, 3:9, 4:11][::-1, :, ::-1])
    assert images.flags.c_contiguous
    assert scan.boxes == [((2, 3, 4), (5, 6, 7))]


def test_a_quarter_turn_of_a_cube_is_exact() -> None:
    scan = Scan()
    # Offsets (z, y, x): what is looked up at y is x, and at x is -y.
    matrix = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    images, layers = read_warped(scan.read, (2, 3, 4), (7, 7, 7), matrix)
    cube = (slice(2, 9), slice(3, 10), slice(4, 11))
    expected = np.rot90(scan.image[cube], 1, axes=(1, 2))
    assert np.abs(images[0] - expected).max() < 1e-6
    assert np.array_equal(layers[0], np.rot90(scan.numbers[cube], 1, axes=(1, 2)))


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.float64, (3, 3), elements=st.floats(-1.5, 1.5)),
    st.tuples(st.integers(-3, 12), st.integers(-3, 12), st.integers(-3, 12)),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
)
def test_any_matrix_gives_what_scipy_gives(matrix: np.ndarray, start: Index3, size: Index3) -> None:
    from scipy.ndimage import affine_transform

    scan = Scan()
    images, layers = read_warped(scan.read, start, size, matrix)
    half = (np.array(size) - 1) / 2
    offset = np.array(start) + half - matrix @ half
    expected = affine_transform(np.pad(scan.image, 40), matrix, offset + 40, output_shape=size, order=1, mode="nearest")
    assert np.abs(images[0] - expected).max() < 1e-5
    assert layers.dtype == np.int16
    # Nearest neighbours, away from ties.
    places = np.einsum("ij,jzyx->izyx", matrix, np.indices(size)) + offset.reshape(3, 1, 1, 1)
    untied = (np.abs(places - np.floor(places) - 0.5) > 1e-6).all(axis=0)
    nearest = np.floor(places + 0.5).astype(int) + 40
    padded = np.pad(scan.numbers, 40, constant_values=-1)
    assert np.array_equal(layers[0][untied], padded[tuple(nearest)][untied])


@pytest.mark.parametrize("degrees", [0.5, 20, 45])
def test_only_the_box_that_is_needed_is_read(degrees: float) -> None:
    scan = Scan()
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    read_warped(scan.read, (5, 5, 5), (9, 9, 9), np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]]))
    [(start, size)] = scan.boxes
    reach = 4 * (c + s)
    assert size[0] <= 12
    assert start[1] >= 9 - reach - 1
    assert size[1] <= 2 * reach + 3
