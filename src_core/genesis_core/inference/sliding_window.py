"""Apply a network to an array of any size: overlapping windows, blended by a Gaussian, in bounded memory.

`sliding_window` returns the whole blended array. `finished_slabs` hands the blended planes out as soon as no later
window can change them, so that a caller who reduces them (to a label, say) never holds more than one patch's height.
Neither the input nor what the network returns is ever changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import ModelError, SettingsError
from genesis_core.inference.window_grid import AxisWindows, axis_windows

Array = NDArray[np.float32]
# (batch, channels in, z, y, x), read-only -> (batch, channels out, z, y, x)
Predict = Callable[[Array], NDArray[np.floating]]
Progress = Callable[[int, int], object]
Stop = Callable[[], bool]


class Stopped(Exception):  # noqa: N818 - it is a wish that was granted, not an error
    """The caller's `stop` said so; nothing is wrong, and nothing was finished."""


@dataclass(frozen=True, eq=False)
class Slab:
    """Planes that are final: `values` (channels, planes, y, x), plane 0 being plane `start` of the array.

    `values` is a view into a buffer that is used again: reduce or copy it before asking for the next slab.
    """

    start: int
    values: Array


def count_windows(shape: Sequence[int], patch_size: Sequence[int], overlap: float) -> int:
    """Return how many windows of `patch_size` cover an array of `shape`, both (z, y, x)."""
    axes = [axis_windows(length, patch, overlap) for length, patch in zip(shape, patch_size, strict=True)]
    return int(np.prod([len(axis.starts) for axis in axes]))


def sliding_window(
    predict: Predict,
    array: NDArray[Any],
    patch_size: Sequence[int],
    *,
    overlap: float = 0.5,
    channels: int = 1,
    batch_size: int = 1,
    fill: float = 0.0,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Array:
    """Return the blended output of `predict` over `array`: (channels, z, y, x) float32, as large as the array.

    predict: gets (batch, channels in, z, y, x) float32, read-only; returns (batch, channels, z, y, x), sizes unchanged.
    array: (z, y, x), or (channels in, z, y, x). patch_size: (z, y, x) in voxels; a shorter axis is padded with `fill`,
    in the array's units, and the result cropped. overlap: fraction shared by neighbours, in [0, 0.95].
    channels: what `predict` returns. batch_size: windows per call. progress(done, total) is called after every batch;
    `stop` is asked before every batch, and `Stopped` is raised if it returns True.
    Memory: the result and one batch. Raises SettingsError for sizes out of bounds, ModelError if the network returns
    another shape or a value that is not finite.
    Source: Gaussian importance weighting of nnU-Net (Isensee et al. 2021), sigma one eighth of the patch.
    """
    plan = _plan(array, patch_size, overlap, channels, batch_size)
    # A ring as high as the volume is the result itself: blending straight into it saves a copy of everything.
    total = np.zeros((channels, *plan.shape), np.float32)
    for _ in _blend(predict, plan, total, fill, progress, stop):
        pass
    return total


def finished_slabs(
    predict: Predict,
    array: NDArray[Any],
    patch_size: Sequence[int],
    *,
    overlap: float = 0.5,
    channels: int = 1,
    batch_size: int = 1,
    fill: float = 0.0,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Iterator[Slab]:
    """Yield the same blended output as `sliding_window`, slab by slab along z, each plane exactly once and in order.

    Memory: channels x min(patch, array) planes of float32, and one batch. Arguments and errors as for `sliding_window`.
    """
    plan = _plan(array, patch_size, overlap, channels, batch_size)
    depth, height, width = plan.shape
    total = np.zeros((channels, min(plan.axes[0].patch, depth), height, width), np.float32)
    for start, end in _blend(predict, plan, total, fill, progress, stop):
        while start < end:
            # Planes wrap around at the ring's end, so a stretch may come out in two pieces.
            first = start % total.shape[1]
            planes = min(end - start, total.shape[1] - first)
            values = total[:, first : first + planes]
            yield Slab(start, values)
            values[...] = 0
            start += planes


_Axes = tuple[AxisWindows, AxisWindows, AxisWindows]


@dataclass(frozen=True, eq=False)
class _Plan:
    array: NDArray[Any]
    axes: _Axes
    channels: int
    batch_size: int

    @property
    def patch(self) -> tuple[int, int, int]:
        return self.axes[0].patch, self.axes[1].patch, self.axes[2].patch

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.axes[0].length, self.axes[1].length, self.axes[2].length


@dataclass(frozen=True, eq=False)
class _Place:
    """One window: the part of the array it covers, the part of the window that is, and that part's weights."""

    there: tuple[slice, ...]
    inside: tuple[slice, ...]
    weights: tuple[Array, Array, Array]

    def whole(self, patch: Sequence[int]) -> bool:
        return all(part == slice(0, size) for part, size in zip(self.inside, patch, strict=True))


def _place(axes: _Axes, window: tuple[int, int, int]) -> _Place:
    inside = tuple(axis.inside(number) for axis, number in zip(axes, window, strict=True))
    starts = [axis.starts[number] for axis, number in zip(axes, window, strict=True)]
    there = tuple(slice(start + cut.start, start + cut.stop) for start, cut in zip(starts, inside, strict=True))
    z, y, x = (axis.weights[number, cut] for axis, number, cut in zip(axes, window, inside, strict=True))
    return _Place(there, inside, (z, y, x))


def _plan(array: NDArray[Any], patch_size: Sequence[int], overlap: float, channels: int, batch_size: int) -> _Plan:
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise SettingsError(f"expected an array (z, y, x) or (channels, z, y, x) with voxels, not shape {array.shape}")
    if len(patch_size) != 3:
        raise SettingsError(f"patch size = {tuple(patch_size)}: expected three sizes (z, y, x)")
    if channels < 1 or batch_size < 1:
        raise SettingsError(f"channels = {channels}, batch size = {batch_size}: both must be at least 1")
    depth, height, width = (int(length) for length in array.shape[-3:])
    z, y, x = (int(size) for size in patch_size)
    axes = (axis_windows(depth, z, overlap), axis_windows(height, y, overlap), axis_windows(width, x, overlap))
    whole = array if array.ndim == 4 else array[None]
    return _Plan(whole, axes, channels, batch_size)


def _blend(
    predict: Predict, plan: _Plan, total: Array, fill: float, progress: Progress | None, stop: Stop | None
) -> Iterator[tuple[int, int]]:
    """Add all windows to the ring `total`; yield (first, end) of the planes that no later window reaches."""
    z_axis, y_axis, x_axis = plan.axes
    in_plane = list(product(range(len(y_axis.starts)), range(len(x_axis.starts))))
    count, done, given = len(z_axis.starts) * len(in_plane), 0, 0
    for z in range(len(z_axis.starts)):
        for first in range(0, len(in_plane), plan.batch_size):
            if stop is not None and stop():
                raise Stopped("stopped on request")
            windows = [_place(plan.axes, (z, y, x)) for y, x in in_plane[first : first + plan.batch_size]]
            for place, values in zip(windows, _predicted(predict, plan, windows, fill), strict=True):
                _add(plan, total, place, values)
            done += len(windows)
            if progress is not None:
                progress(done, count)
        end = z_axis.starts[z + 1] if z + 1 < len(z_axis.starts) else plan.shape[0]
        yield given, end
        given = end


def _predicted(predict: Predict, plan: _Plan, windows: list[_Place], fill: float) -> Array:
    batch = _read(plan, windows, fill)
    batch.flags.writeable = False
    values = np.asarray(predict(batch))
    expected = (len(windows), plan.channels, *plan.patch)
    if values.shape != expected:
        raise ModelError(f"the network returned shape {values.shape}, where {expected} was expected")
    return np.ascontiguousarray(values, np.float32)


def _read(plan: _Plan, windows: list[_Place], fill: float) -> Array:
    """Return the windows' voxels (batch, channels in, z, y, x): a view of the array where that will do, else a copy."""
    if len(windows) == 1 and windows[0].whole(plan.patch):
        return plan.array[(slice(None), *windows[0].there)][None].astype(np.float32, copy=False)
    batch = np.full((len(windows), plan.array.shape[0], *plan.patch), fill, np.float32)
    for number, place in enumerate(windows):
        batch[number][(slice(None), *place.inside)] = plan.array[(slice(None), *place.there)]
    return batch


def _add(plan: _Plan, total: Array, place: _Place, values: Array) -> None:
    from genesis_core.inference.blending import add_window

    part = np.ascontiguousarray(values[(slice(None), *place.inside)])
    first_z, first_y, first_x = (cut.start for cut in place.there)
    if not add_window(total, part, place.weights, (first_z, first_y, first_x)):
        start = tuple(there.start - inside.start for there, inside in zip(place.there, place.inside, strict=True))
        raise ModelError(
            f"the network returned values that are not finite (NaN or infinite) in the window that starts at voxel "
            f"{start} (z, y, x): its weights are damaged, or the scan's intensities are not mapped as it expects"
        )
