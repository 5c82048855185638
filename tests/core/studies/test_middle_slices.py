"""Pictures of the demo show the same planes the same way up, however the scan was stored."""

from __future__ import annotations

import numpy as np
import pytest

from genesis_core.studies.middle_slices import middle_slices
from genesis_core.volumes.resampling import reorient
from genesis_core.volumes.volume import Geometry, Volume


@pytest.mark.parametrize("codes", ["LPS", "RAS", "LAS", "PSR", "AIL", "SRP"])
def test_planes_are_the_patients_and_upright_in_every_orientation(codes: str) -> None:
    # Axes grow toward head, back and left; voxels are 4 mm high and 1 mm wide.
    array = np.zeros((5, 7, 9), np.float32)
    array[2, 0, 8] = 1
    array[4, 3, 8] = 2
    slices = middle_slices(reorient(Volume(array, Geometry(array.shape, (1.0, 1.0, 4.0))), codes))
    axial, coronal = slices["axial"], slices["coronal"]
    assert (axial.shape, coronal.shape) == ((7, 9), (20, 9))
    # The left front at the top right, and so the left top.
    assert axial[0, 8] == 1
    assert (coronal[:4, 8] == 2).all()
    assert np.count_nonzero(coronal) == 4
    assert np.count_nonzero(axial) == 1


def test_flat_voxels_of_a_sagittal_scan_get_their_true_shape() -> None:
    volume = Volume(np.zeros((10, 12, 4), np.float32), Geometry((10, 12, 4), (3.0, 1.0, 1.0)))
    assert middle_slices(volume)["axial"].shape == (12, 12)
    assert middle_slices(volume)["coronal"].shape == (10, 12)
