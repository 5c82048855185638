"""Read, turn, resample, bring back, write, reopen: every voxel stays at its place to 1e-4 mm, and left stays left.

The voxels carry their own place (a number each, or their coordinates in mm), so a voxel in the wrong place is seen even
where the header looks right. NIfTI-1 holds its geometry in single precision: a coordinate is off by at most 2**-24 of
the origin and of each axis' length, together 3e-5 mm at 500 mm from the origin.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from test_reading_formats import nifti_bytes, save

from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.resampling import describe_grid_difference, reorient, resample, resample_onto, same_grid
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.writing import write_volume

CODES = ["".join(letters) for order in permutations(["LR", "PA", "SI"]) for letters in product(*order)]
ENDINGS = [".nii", ".nii.gz", ".mha", ".mhd", ".nrrd"]
AXES = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}


@st.composite
def grids(draw: st.DrawFn, least: int = 1, most: int = 7) -> Geometry:
    """Any of the 48 orders and directions of axes, straight or turned by any angle; 0.1 to 10 mm, up to 500 mm off."""
    columns = np.array([AXES[letter] for letter in draw(st.sampled_from(CODES))], dtype=float).T
    turn = Rotation.from_euler("xyz", draw(st.just((0, 0, 0)) | st.tuples(*[st.floats(-3.1, 3.1)] * 3))).as_matrix()
    return Geometry(
        draw(st.tuples(*[st.integers(least, most)] * 3)),
        draw(st.tuples(*[st.floats(0.1, 10.0)] * 3)),
        draw(st.tuples(*[st.floats(-500, 500)] * 3)),
        tuple((turn @ columns).ravel().tolist()),
    )


def world(geometry: Geometry) -> np.ndarray:
    """The place (z, y, x) in mm of every voxel, by the header: shape (z, y, x, 3)."""
    index = np.indices(geometry.shape).reshape(3, -1)
    places = (geometry.affine @ np.vstack([index, np.ones(index.shape[1])]))[:3]
    return places.T.reshape(*geometry.shape, 3)


def numbered(geometry: Geometry) -> Volume:
    return Volume(np.arange(1, np.prod(geometry.shape) + 1, dtype="i4").reshape(geometry.shape), geometry)


def places(volume: Volume) -> np.ndarray:
    """Place of the voxels with the numbers 1, 2, ..., each once."""
    order = np.argsort(volume.array, axis=None)
    assert np.array_equal(volume.array.ravel()[order], np.arange(1, volume.array.size + 1))
    return world(volume.geometry).reshape(-1, 3)[order]


@given(
    grid=grids(),
    codes=st.sampled_from(CODES),
    first=st.sampled_from(ENDINGS),
    second=st.sampled_from(ENDINGS),
    finer=st.tuples(*[st.floats(0.3, 0.97)] * 3),
)
@settings(deadline=None, max_examples=120)
def test_every_voxel_ends_where_it_began(
    tmp_path_factory: pytest.TempPathFactory,
    grid: Geometry,
    codes: str,
    first: str,
    second: str,
    finer: tuple[float, float, float],
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    scan = numbered(grid)
    opened = read_volume(write_volume(scan, folder / f"in{first}"))
    np.testing.assert_allclose(places(opened), places(scan), atol=1e-4)
    turned = reorient(opened, codes)
    assert turned.axis_codes == codes
    np.testing.assert_allclose(places(turned), places(scan), atol=1e-4)
    fine = resample(turned, tuple(s * f for s, f in zip(turned.spacing, finer, strict=True)), order="nearest")
    # No label is lost or made up on finer voxels, and each one lies where it was, to half a voxel.
    assert set(np.unique(fine.array)) == set(np.unique(scan.array))
    off = world(fine.geometry) - places(scan)[fine.array - 1]
    along = np.abs(off @ (np.reshape(fine.direction, (3, 3))[::-1]))
    assert (along <= np.array(turned.spacing) / 2 + 1e-4).all()
    back = resample_onto(fine, opened.geometry, order="nearest", fill=-1)
    np.testing.assert_array_equal(back.array, scan.array)
    again = read_volume(write_volume(back, folder / f"out{second}"))
    np.testing.assert_array_equal(again.array, scan.array)
    np.testing.assert_allclose(places(again), places(scan), atol=1e-4)
    assert same_grid(again.geometry, grid)


@given(grid=grids(), codes=st.sampled_from(CODES), ending=st.sampled_from(ENDINGS))
@settings(deadline=None, max_examples=60)
def test_left_stays_left(tmp_path_factory: pytest.TempPathFactory, grid: Geometry, codes: str, ending: str) -> None:
    scan = numbered(grid)
    leftmost = int(np.argmax(world(grid)[..., 2]))
    x = world(grid)[..., 2].ravel()[leftmost]
    path = tmp_path_factory.mktemp("left") / f"scan{ending}"
    again = read_volume(write_volume(reorient(scan, codes), path))
    assert again.axis_codes == codes
    at = np.unravel_index(np.argmax(again.array == leftmost + 1), again.shape)
    assert world(again.geometry)[at][2] == pytest.approx(x, abs=1e-4)
    assert world(again.geometry)[..., 2].max() == pytest.approx(x, abs=1e-4)


@given(grid=grids(least=5, most=9), spacing=st.tuples(*[st.floats(0.5, 1.5)] * 3), codes=st.sampled_from(CODES))
@settings(deadline=None, max_examples=40)
def test_voxels_that_hold_their_coordinates_still_hold_them_after_resampling(
    grid: Geometry, spacing: tuple[float, float, float], codes: str
) -> None:
    for axis in range(3):
        scan = Volume(np.ascontiguousarray(world(grid)[..., axis]), grid)
        turned = reorient(scan, codes)
        other = resample(turned, tuple(s * f for s, f in zip(turned.spacing, spacing, strict=True)))
        index = (world(other.geometry) - grid.affine[:3, 3]) @ np.linalg.inv(grid.affine[:3, :3]).T
        inside = ((index >= 0) & (index <= np.array(grid.shape) - 1)).all(axis=-1)
        np.testing.assert_allclose(other.array[inside], world(other.geometry)[inside][:, axis], atol=1e-4)
        back = resample_onto(other, grid, fill=np.nan)
        # Beyond the outermost centres of the other grid its outermost value holds.
        core = (slice(2, -2),) * 3
        np.testing.assert_allclose(back.array[core], scan.array[core], atol=1e-4)


@given(
    grid=grids(least=3, most=9),
    shear=st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    ending=st.sampled_from([".nii", ".nii.gz"]),
)
@settings(deadline=None, max_examples=60)
def test_sheared_scans_land_at_their_places(
    tmp_path_factory: pytest.TempPathFactory, grid: Geometry, shear: tuple[float, float, float], ending: str
) -> None:
    skew = np.array([[1, shear[0], shear[1]], [0, 1, shear[2]], [0, 0, 1]])
    columns = np.reshape(grid.direction, (3, 3)) @ skew * np.asarray(grid.spacing)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = columns, grid.origin
    index = np.indices(grid.shape[::-1]).reshape(3, -1)
    true = (columns @ index + np.reshape(grid.origin, (3, 1))).reshape(3, *grid.shape[::-1])
    ras = np.diag([-1.0, -1, 1, 1]) @ affine
    tall = max(np.abs(true).max(), 1.0)
    for axis in range(3):
        data = nifti_bytes(
            np.ascontiguousarray(true[axis].T), affine=ras, pixdim=tuple(np.linalg.norm(columns, axis=0))
        )
        path = save(tmp_path_factory.mktemp("shear") / f"scan{ending}", data)
        volume = read_volume(path, resample_shear=True)
        here = world(volume.geometry)[..., ::-1]
        inverse = np.linalg.inv(columns)
        at = (here - np.asarray(grid.origin)) @ inverse.T
        inside = ((at >= 0) & (at <= np.array(grid.shape[::-1]) - 1)).all(axis=-1)
        moved = not any("right angles" in note for note in volume.notes)
        # Shears too small to matter are taken as rounding, which may move voxels by a twentieth of a voxel.
        atol = 0.06 * min(grid.spacing) + 1e-4 if moved else 2e-6 * tall + 1e-4
        np.testing.assert_allclose(volume.array[inside], here[inside][:, axis], atol=atol)
        # The straight grid reaches every voxel there was.
        corner = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (
            np.array(grid.shape[::-1]) - 1
        )
        own = (corner @ columns.T + grid.origin - volume.origin) @ np.linalg.inv(
            np.reshape(volume.direction, (3, 3)) * np.asarray(volume.spacing)
        ).T
        assert own.min() > -0.06
        assert (own <= np.array(volume.shape[::-1]) - 1 + 0.06).all()


@given(grid=grids())
@settings(deadline=None, max_examples=60)
def test_what_single_precision_can_hold_is_below_the_promise(
    tmp_path_factory: pytest.TempPathFactory, grid: Geometry
) -> None:
    again = read_volume(write_volume(numbered(grid), tmp_path_factory.mktemp("f4") / "scan.nii"))
    extent = np.abs(np.reshape(grid.direction, (3, 3)) * np.asarray(grid.spacing)) @ (np.array(grid.shape[::-1]) - 1)
    bound = 2.0**-24 * (np.abs(grid.origin) + 2 * extent + 10) * 2
    off = np.abs(world(again.geometry) - world(grid)).max(axis=(0, 1, 2))
    assert (off <= bound[::-1]).all()


SIDE = Geometry((10, 12, 14), (1.0, 2.0, 3.0), (5.0, 6.0, 7.0))
TURNED = tuple(Rotation.from_euler("z", 0.1).as_matrix().ravel().tolist())


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (SIDE, ["the same grid to 0.001 mm"]),
        (Geometry((10, 12, 15), SIDE.spacing, SIDE.origin), ["14 against 10 x 12 x 15", "steps: the first is a block"]),
        (Geometry(SIDE.shape, (1.0, 2.0, 3.5), SIDE.origin), ["1 x 2 x 3 against 1 x 2 x 3.5 mm", "up to 4.5 mm"]),
        (Geometry(SIDE.shape, SIDE.spacing, (5.0, 6.0, 19.0)), ["12.0 mm apart", "shifted by -4 x 0 x 0 whole voxels"]),
        (Geometry(SIDE.shape, SIDE.spacing, (5.0, 6.02, 7.0)), ["origins (first voxels) 0.02 mm apart"]),
        (Geometry(SIDE.shape, SIDE.spacing, SIDE.origin, TURNED), ["directions up to 5.7 degrees apart"]),
        (reorient(numbered(SIDE), "SRA").geometry, ["axes toward LPS against SRA", "same voxels in another order"]),
    ],
)  # fmt: skip
def test_how_two_grids_differ_is_said_in_words(other: Geometry, words: list[str]) -> None:
    said = describe_grid_difference(SIDE, other)
    assert [word for word in words if word not in said] == [], said
    assert not said.endswith(".")


@given(first=grids(), second=grids())
@settings(deadline=None, max_examples=60)
def test_some_difference_is_always_found_between_different_grids(first: Geometry, second: Geometry) -> None:
    assert ("the same grid" in describe_grid_difference(first, second)) == same_grid(first, second)
    assert describe_grid_difference(first, second)
