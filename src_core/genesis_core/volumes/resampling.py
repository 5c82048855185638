"""A volume on another grid: reoriented (voxels change places only), at another spacing, or on another scan's grid.

Positions are of voxel centres. Beyond the outermost centres, and within half a voxel, the outermost value holds.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.grid import describe_grid_difference as describe_grid_difference
from genesis_core.volumes.grid import same_grid as same_grid
from genesis_core.volumes.volume import Geometry, Volume

Order = Literal["linear", "nearest"]

# Shares of a voxel this close to a half are a half.
_HALF = 1e-6
_LETTERS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}


def reorient(volume: Volume, axis_codes: str) -> Volume:
    """Return the volume with its index axes (x, y, z) growing toward `axis_codes`, for instance "LPS" or "RAS".

    Voxels change places but not values, and stay where they are in the patient; oblique axes stay oblique (the nearest
    code counts). Raises VolumeError if the codes are not one of L/R, one of P/A and one of S/I.
    """
    wanted = _parse_codes(axis_codes)
    order, flips = [], []
    for physical, sign in wanted:
        own, own_sign = next((i, s) for i, (p, s) in enumerate(_parse_codes(volume.axis_codes)) if p == physical)
        order.append(own)
        flips.append(sign != own_sign)
    if order == [0, 1, 2] and not any(flips):
        return volume
    columns = np.reshape(volume.direction, (3, 3))
    start = np.zeros(3)
    # An axis that is turned around starts at what was its last voxel.
    for own, flip in zip(order, flips, strict=True):
        if flip:
            start[own] = volume.shape[2 - own] - 1
    origin = np.asarray(volume.origin) + columns @ (start * np.asarray(volume.spacing))
    # Array axis a holds index axis 2 - a.
    array = volume.array.transpose([2 - order[2 - a] for a in range(3)])
    array = np.ascontiguousarray(array[tuple(slice(None, None, -1 if flips[2 - a] else 1) for a in range(3))])
    signs = np.where(flips, -1.0, 1.0)
    geometry = Geometry(
        shape=array.shape,
        spacing=(volume.spacing[order[0]], volume.spacing[order[1]], volume.spacing[order[2]]),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=tuple(float(v) + 0.0 for v in (columns[:, order] * signs).ravel()),
    )
    return replace(volume, array=array, geometry=geometry)


def resample(volume: Volume, spacing: tuple[float, float, float], *, order: Order = "linear") -> Volume:
    """Return the volume with voxels of `spacing` (x, y, z) in mm on the same axes.

    The outer corner of the first voxel stays where it is, and each axis gets round(extent / spacing) voxels (halves
    down), so the far end moves by half a voxel at most; an axis shorter than that gets one voxel, around its middle.
    order: "linear" gives float32 (float64 stays), without
    smoothing first; "nearest" keeps the type, for labels. Raises VolumeError if the spacing is not positive or the
    result would be absurdly large.
    """
    if len(spacing) != 3 or not np.isfinite(spacing).all() or min(spacing) <= 0:
        raise VolumeError(f"spacing must be three positive lengths in mm, not {spacing}")
    old, new = np.asarray(volume.spacing), np.asarray(spacing, dtype=float)
    if np.allclose(old, new, rtol=1e-6, atol=0):
        return _typed(volume, order)
    extent = np.asarray(volume.shape[::-1]) * old
    # Halves go down, since the centre of one more voxel would lie on the outer face, where nothing is measured.
    size = [max(1, math.ceil(n - 0.5 - _HALF)) for n in (extent / new).tolist()]
    if math.prod(size) > 2**36:
        raise VolumeError(
            f"spacing {spacing} would make {size[0]} x {size[1]} x {size[2]} voxels of this scan; choose a larger one"
        )
    short = extent / new <= 0.5 + _HALF
    shift = np.reshape(volume.direction, (3, 3)) @ (np.where(short, extent, new) / 2 - old / 2)
    origin = np.asarray(volume.origin) + shift
    geometry = Geometry(
        shape=(size[2], size[1], size[0]),
        spacing=(float(new[0]), float(new[1]), float(new[2])),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=volume.direction,
    )
    # The new outermost centres lie up to half an old voxel further out, where the outermost value holds; beyond
    # that nothing lies.
    return replace(volume, array=_interpolate(volume, geometry, order, _edge_fill(volume)), geometry=geometry)


def resample_onto(volume: Volume, geometry: Geometry, *, order: Order = "linear", fill: float) -> Volume:
    """Return the volume on another grid, for instance a result back onto the scan it was made from.

    fill: value where the volume does not reach. If the grids are equal, or differ by the order and direction of their
    axes only, voxels are moved and not interpolated, which is exact. Otherwise "linear" gives float32 (float64 stays),
    "nearest" keeps the type.
    """
    turned = reorient(volume, geometry.axis_codes)
    if same_grid(turned.geometry, geometry):
        return _typed(replace(turned, geometry=geometry), order)
    return replace(volume, array=_interpolate(volume, geometry, order, fill), geometry=geometry)


def straighten(
    array: NDArray[Any], columns: NDArray[np.float64], origin: NDArray[np.float64]
) -> tuple[NDArray[Any], Geometry]:
    """Resample voxels on sheared axes linearly onto a grid with axes at right angles that covers all of them.

    columns: 3x3, one step along x, y, z in mm (LPS) as columns. The first axis keeps its direction, the plane of the
    first two stays (an undone gantry tilt keeps its slices); the first voxel of each row keeps its place along it, and
    the grid reaches the last one. Places outside get the smallest value. Returns the float array and its grid.
    """
    import SimpleITK

    # Gram-Schmidt, x first, as a QR decomposition with a positive diagonal.
    turn, upper = np.linalg.qr(columns)
    signs = np.where(np.diag(upper) < 0, -1.0, 1.0)
    turn, upper = turn * signs, upper * signs[:, None]
    spacing = np.diag(upper)
    shape = array.shape
    corners = (
        np.array([[x, y, z] for x in (0, shape[2] - 1) for y in (0, shape[1] - 1) for z in (0, shape[0] - 1)]) @ upper.T
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    # Rounding in the header must not add a voxel; anything more would cut the outermost voxels off.
    size = np.ceil((high - low) / spacing - 1e-3).astype(int) + 1
    start = origin + turn @ low
    geometry = Geometry(
        shape=(int(size[2]), int(size[1]), int(size[0])),
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        origin=(float(start[0]), float(start[1]), float(start[2])),
        direction=tuple(float(v) + 0.0 for v in turn.ravel()),
    )
    inverse = np.linalg.inv(columns)
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix(inverse.ravel().tolist())
    transform.SetTranslation((-inverse @ origin).tolist())
    # The source lies in index space, 1 mm apart at the origin; the transform leads there from the patient.
    image = SimpleITK.GetImageFromArray(_floating(array))
    return _resampled(image, geometry, "linear", float(array.min()), transform), geometry


def _interpolate(volume: Volume, geometry: Geometry, order: Order, fill: float) -> NDArray[Any]:
    array = _floating(volume.array) if order == "linear" else plain(volume.array)
    return _resampled(to_image(array, volume.geometry), geometry, order, fill, None)


def _resampled(image: Any, geometry: Geometry, order: Order, fill: float, transform: Any) -> NDArray[Any]:
    import SimpleITK

    filter_ = SimpleITK.ResampleImageFilter()
    filter_.SetSize(geometry.shape[::-1])
    filter_.SetOutputSpacing(geometry.spacing)
    filter_.SetOutputOrigin(geometry.origin)
    filter_.SetOutputDirection(_plain_direction(geometry))
    filter_.SetInterpolator(SimpleITK.sitkLinear if order == "linear" else SimpleITK.sitkNearestNeighbor)
    filter_.SetDefaultPixelValue(fill)
    if transform is not None:
        filter_.SetTransform(transform)
    try:
        result: NDArray[Any] = SimpleITK.GetArrayFromImage(filter_.Execute(image))
    except (RuntimeError, MemoryError):
        need = np.prod([float(n) for n in geometry.shape]) * image.GetSizeOfPixelComponent() / 2**30
        raise VolumeError(
            f"resampling to shape {geometry.shape} failed; it needs {need:.1f} GiB for its result"
        ) from None
    return result


def to_image(array: NDArray[Any], geometry: Geometry) -> Any:
    """Return a SimpleITK image of an array (z, y, x) on its grid; the voxels are copied."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(_plain_direction(geometry))
    return image


def _plain_direction(geometry: Geometry) -> tuple[float, ...]:
    """SimpleITK cannot invert matrices with denormal numbers; cosines this small move nothing."""
    return tuple(0.0 if abs(cosine) < 1e-15 else cosine for cosine in geometry.direction)


def _typed(volume: Volume, order: Order) -> Volume:
    return replace(volume, array=_floating(volume.array)) if order == "linear" else volume


def _floating(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float64 if array.dtype == np.float64 else np.float32, copy=False)


def plain(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array of a type that SimpleITK knows, without loss: bool as uint8, float16 as float32."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    return (
        array.astype(np.float32)
        if array.dtype == np.float16
        else array.astype(array.dtype.newbyteorder("="), copy=False)
    )


def _edge_fill(volume: Volume) -> float:
    return float(volume.array.min())


def _parse_codes(codes: str) -> list[tuple[int, int]]:
    parsed = [_LETTERS[letter] for letter in codes.upper() if letter in _LETTERS]
    if len(codes) != 3 or sorted(physical for physical, _ in parsed) != [0, 1, 2]:
        raise VolumeError(
            f"axis codes must be one of L/R, one of P/A and one of S/I, in any order, for instance LPS; not '{codes}'"
        )
    return parsed
