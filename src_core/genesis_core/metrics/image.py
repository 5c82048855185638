"""How far one scan is from another, voxel by voxel: MSE, MAE, PSNR and SSIM, in float64 and in bounded memory.

Arrays are read plane by plane along their first axis, so a memory map is never loaded as a whole; SSIM keeps seven.
These numbers compare intensities; they say nothing about anatomy or disease.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import SettingsError, VolumeError

# Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", sec. III-B.
SSIM_K1, SSIM_K2 = 0.01, 0.03
# Edge of the uniform window; the default of scikit-image, whose figures these are.
SSIM_WINDOW = 7

_Planes = Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_] | None]]


def mse(reference: NDArray[Any], test: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> float:
    """Return the mean squared error, in the square of the arrays' units.

    reference, test: same shape, (z, y, x) or (y, x), finite. mask: only where it is True.
    Raises VolumeError if the shapes differ, the mask is empty, or a voxel is not finite.
    """
    return _errors(reference, test, mask)[0]


def mae(reference: NDArray[Any], test: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> float:
    """Return the mean absolute error, in the arrays' units; arguments and errors as for `mse`."""
    return _errors(reference, test, mask)[1]


def psnr(
    reference: NDArray[Any], test: NDArray[Any], data_range: float, mask: NDArray[np.bool_] | None = None
) -> float:
    """Return the peak signal-to-noise ratio in dB, infinite for equal arrays (JSON has no infinity: write null).

    data_range: distance between the smallest and the largest possible value, 1 for arrays in [0, 1].
    """
    return _psnr(mse(reference, test, mask), data_range)


def ssim(
    reference: NDArray[Any], test: NDArray[Any], data_range: float, mask: NDArray[np.bool_] | None = None
) -> float:
    """Return the mean structural similarity, in [-1, 1], 1 for equal arrays.

    A uniform window of 7 voxels along every axis, sample covariances, and the mean over all windows that lie inside the
    array: scikit-image's default. A shorter axis gets a window of its own length. mask: the mean over the windows whose
    centre it holds. data_range: as for `psnr`.
    Raises VolumeError as `mse` does, and if the mask holds no window's centre.
    Source: Wang et al. 2004, K1 = 0.01, K2 = 0.03.
    """
    from genesis_core.metrics.similarity import box_sums, similarity_sum

    _check_range(data_range)
    first, second, where = _volumes(reference, test, mask)
    window = tuple(min(SSIM_WINDOW, length) for length in first.shape)
    rows, columns = (first.shape[axis] - window[axis] + 1 for axis in (1, 2))
    ring = np.zeros((window[0], 5, rows, columns))
    everywhere = np.ones((rows, columns), np.bool_)
    # Variances do not depend on a common offset, and lose digits to a large one.
    offset = float(np.mean(first[len(first) // 2], dtype=np.float64))
    constants = ((SSIM_K1 * data_range) ** 2, (SSIM_K2 * data_range) ** 2)
    total, count = 0.0, 0
    for z, (one, two, _) in enumerate(_planes(first, second, None)):
        box_sums(one, two, offset, window[1], window[2], ring[z % window[0]])
        if z < window[0] - 1:
            continue
        chosen = everywhere
        if where is not None:
            centres = where[z - window[0] + 1 + window[0] // 2]
            chosen = np.ascontiguousarray(centres[window[1] // 2 :, window[2] // 2 :][:rows, :columns], np.bool_)
        total += similarity_sum(ring, chosen, offset, math.prod(window), *constants)
        count += int(np.count_nonzero(chosen))
    if not count:
        raise VolumeError(f"the mask holds no voxel that is {SSIM_WINDOW // 2} voxels away from the border: no SSIM")
    return _finite(total / count)


def image_metrics(
    reference: NDArray[Any], test: NDArray[Any], data_range: float, mask: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Return "mse", "mae", "psnr" (dB, infinite for equal arrays) and "ssim"; arguments and errors as for each."""
    squared, absolute = _errors(reference, test, mask)
    similarity = ssim(reference, test, data_range, mask)
    return {"mse": squared, "mae": absolute, "psnr": _psnr(squared, data_range), "ssim": similarity}


def _errors(reference: NDArray[Any], test: NDArray[Any], mask: NDArray[np.bool_] | None) -> tuple[float, float]:
    squared = absolute = 0.0
    count = 0
    for one, two, where in _planes(*_volumes(reference, test, mask)):
        difference = one - two if where is None else (one - two)[where]
        absolute += float(np.abs(difference).sum())
        squared += float(np.vdot(difference, difference))
        count += difference.size
    if not count:
        raise VolumeError("the mask is empty: there is nothing to compare")
    return _finite(squared / count), _finite(absolute / count)


def _psnr(squared_error: float, data_range: float) -> float:
    _check_range(data_range)
    return 10 * math.log10(data_range**2 / squared_error) if squared_error > 0 else math.inf


def _check_range(data_range: float) -> None:
    if not (data_range > 0 and math.isfinite(data_range)):
        raise SettingsError(f"data_range = {data_range}: must be a positive number, 1 for arrays in [0, 1]")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise VolumeError(
            "an array to compare holds values that are not finite (NaN or infinite) or too large to square"
        )
    return value


def _volumes(
    reference: NDArray[Any], test: NDArray[Any], mask: NDArray[np.bool_] | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_] | None]:
    if reference.shape != test.shape or (mask is not None and mask.shape != reference.shape):
        shapes = [reference.shape, test.shape, *([mask.shape] if mask is not None else [])]
        raise VolumeError(f"arrays to compare must have one shape, not {' and '.join(map(str, shapes))}")
    if reference.ndim not in (2, 3) or reference.size == 0:
        raise VolumeError(f"expected arrays (z, y, x) or (y, x) with voxels, not shape {reference.shape}")
    if reference.ndim == 2:
        return reference[None], test[None], None if mask is None else mask[None]
    return reference, test, mask


def _planes(first: NDArray[Any], second: NDArray[Any], mask: NDArray[np.bool_] | None) -> _Planes:
    for z in range(len(first)):
        one = np.ascontiguousarray(first[z], np.float64)
        two = np.ascontiguousarray(second[z], np.float64)
        yield one, two, None if mask is None else np.asarray(mask[z], np.bool_)
