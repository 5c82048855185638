"""A cut-out block keeps its place."""

from __future__ import annotations

import numpy as np
import pytest

from genesis_core.errors import VolumeError
from genesis_core.volumes.cropping import crop
from genesis_core.volumes.volume import Geometry, Volume


def test_every_voxel_of_a_block_keeps_its_place_in_the_world() -> None:
    angle = 0.3
    direction = (np.cos(angle), -np.sin(angle), 0.0, np.sin(angle), np.cos(angle), 0.0, 0.0, 0.0, -1.0)
    geometry = Geometry((5, 6, 7), (0.5, 1.5, 2.5), (10.0, -20.0, 30.0), tuple(map(float, direction)))
    volume = Volume(np.arange(5 * 6 * 7).reshape(5, 6, 7), geometry)
    block = crop(volume, (1, 2, 3), (2, 3, 4))
    np.testing.assert_array_equal(block.array, volume.array[1:3, 2:5, 3:7])
    np.testing.assert_allclose(block.affine @ [1, 1, 1, 1], volume.affine @ [2, 3, 4, 1], atol=1e-9)
    block.array[:] = -1
    assert volume.array.min() == 0


@pytest.mark.parametrize(("start", "size"), [((-1, 0, 0), (2, 2, 2)), ((0, 0, 6), (1, 1, 2)), ((0, 0, 0), (0, 1, 1))])
def test_a_block_beyond_the_volume_is_refused(start: tuple[int, int, int], size: tuple[int, int, int]) -> None:
    with pytest.raises(VolumeError, match="does not lie inside"):
        crop(Volume.from_array(np.zeros((5, 6, 7))), start, size)
