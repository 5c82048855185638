"""Local shuffling in torch: every voxel finds the last window that covers it, and its own source inside that window.

Windows are the compiled engine's. The order inside one is another: a sequential shuffle cannot be asked for one voxel
alone. Here `permute` gives any voxel its source by a bijection of 0..n-1 that needs nothing but the window's key, so
a window alone is permuted, and a voxel never reads anything but its own window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.corruptions.corruption import Shape3
from genesis_core.corruptions.torch_engine.hashing import LOW, outputs, upper
from genesis_core.corruptions.torch_engine.version import DeviceVersion, Portion, Tables, signed
from genesis_core.errors import RecipeError
from genesis_core.randomness import stream

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genesis_core.corruptions.local_shuffle import LocalShuffle

# Rounds of the bijection. With four, the 24 orders of four voxels and the 120 of five come out equally often as far as
# a chi-square test over 200,000 windows can tell, and the 720 of six within a tenth; with three it does tell.
ROUNDS = 4
# Rows of a table of windows before those of the rounds.
FIXED = 7
# Voxels of windows painted at a time, each 16 bytes while it is painted.
PAINTED = 1 << 22


@dataclass(frozen=True)
class Painting:
    """How windows are painted: ranges of windows (first, last, rows of voxels in them), and the longest row."""

    ranges: tuple[tuple[int, int, int], ...]
    longest: int


class ShuffleOnDevice(DeviceVersion):
    """`LocalShuffle` on the device."""

    def __init__(self, corruption: LocalShuffle) -> None:
        self._corruption = corruption

    def elements(self, shape: Shape3, channels: int) -> int:
        # Two hashes a round for each window, of 64 bits.
        return max(super().elements(shape, channels), 4 * ROUNDS * self._corruption.windows)

    def tables(self, portion: Portion) -> Tables:
        if portion.voxels * len(portion.keys) >= 1 << 31:
            raise RecipeError(f"{self._corruption.kind}: a sub-volume of {portion.voxels:,} voxels is too large for it")
        listed = [self._corruption.list_windows(portion.shape, key) for key in portion.keys]
        windows = np.concatenate(listed, axis=1)
        rows = windows[3] * windows[4]
        longest = self._corruption.largest(portion.shape)[2]
        ranges = _ranges(rows, max(1, PAINTED // longest))
        before = np.cumsum(rows) - rows
        for first, last, _ in ranges:
            before[first:last] -= before[first]
        return Tables(
            {
                "windows": windows.astype(np.int32),
                "bits": (np.frexp(windows[3:].prod(0).astype(np.float64))[1] - 1).astype(np.int32),
                "before": before.astype(np.int32),
                "keys": signed([stream(key, "order in torch") for key in portion.keys]),
            },
            Painting(ranges, longest),
        )

    def apply(self, x: Tensor, portion: Portion, arrays: Mapping[str, Tensor], facts: Any) -> Tensor:
        if not arrays["windows"].shape[1]:
            return x
        # On a GPU, by kernels where they can be had.
        paint, find = triton_kernels(x.device) or (last_windows, find_sources)
        owner = paint(arrays["windows"], arrays["before"], facts, len(x), portion.shape)
        table = window_table(arrays["windows"], arrays["bits"], arrays["keys"])
        source = find(owner, table, len(x), portion.shape)
        return x.gather(2, source.view(len(x), 1, -1).expand_as(x))


def _ranges(rows: NDArray[np.int64], most: int) -> tuple[tuple[int, int, int], ...]:
    """Cut the windows, in their order, into ranges of at most `most` rows, or of a single window."""
    ends = np.cumsum(rows)
    found, first, done = [], 0, 0
    while first < len(rows):
        last = max(first + 1, int(np.searchsorted(ends, done + most, "right")))
        found.append((first, last, int(ends[last - 1]) - done))
        first, done = last, int(ends[last - 1])
    return tuple(found)


def last_windows(windows: Tensor, before: Tensor, painting: Painting, samples: int, shape: Shape3) -> Tensor:
    """Return the number of the last window that covers each voxel, (sample * voxel,) int32; -1 where none does.

    windows: (6, sample * window) int32, first voxel and size (z, y, x). before: rows of voxels in the windows
    before it in its range.
    """
    import torch

    device = windows.device
    depth, height, width = shape
    voxels = depth * height * width
    count = windows.shape[1]
    number = torch.arange(count, dtype=torch.int32, device=device)
    z, y, x = windows[:3]
    corner = ((number // (count // samples)) * voxels).add_(z * (height * width)).add_(y * width).add_(x)
    lane = torch.arange(painting.longest, dtype=torch.int32, device=device)
    owner = torch.full((samples * voxels,), -1, dtype=torch.int32, device=device)
    for first, last, rows in painting.ranges:
        own = slice(first, last)
        # The size is told, so that nobody waits for the device to count.
        window = torch.repeat_interleave(number[own], windows[3, own] * windows[4, own], output_size=rows)
        row = torch.arange(rows, dtype=torch.int32, device=device)
        row -= before.index_select(0, window)
        tall = windows[4].index_select(0, window)
        slice_ = torch.div(row, tall, rounding_mode="trunc")
        begin = corner.index_select(0, window) + slice_ * (height * width) + (row - slice_ * tall) * width
        # A row shorter than the longest repeats its last voxel: the largest number is the same.
        end = windows[5].index_select(0, window) - 1
        place = torch.minimum(lane, end[:, None]).add_(begin[:, None]).to(torch.int64).view(-1)
        painter = window[:, None].expand(rows, painting.longest).reshape(-1)
        owner.scatter_reduce_(0, place, painter, "amax")
    return owner


def window_table(windows: Tensor, bits: Tensor, keys: Tensor) -> Tensor:
    """Return what the bijection asks of a window, (FIXED + 4 * ROUNDS, sample * window) int32.

    First voxel (z, y, x), height, width, voxels and the largest power of two in them, less one; then for each round a
    factor, a summand, a shift and a turn.
    """
    import torch

    hashes = outputs(keys, windows.shape[1] // len(keys) * 2 * ROUNDS).view(-1, ROUNDS, 2)
    table = torch.empty((FIXED + 4 * ROUNDS, windows.shape[1]), dtype=torch.int32, device=windows.device)
    table[:3] = windows[:3]
    table[3:5] = windows[4:]
    table[5] = windows[3] * windows[4] * windows[5]
    table[6] = torch.bitwise_left_shift(torch.ones_like(bits), bits) - 1
    rounds = table[FIXED:].view(ROUNDS, 4, -1)
    first, second = hashes.unbind(2)
    # Only low bits of factor and summand count: the int32 of the same bits will do.
    rounds[:, 0] = (first & LOW).bitwise_or_(1).to(torch.int32).T
    rounds[:, 1] = (first >> 32).to(torch.int32).T
    rounds[:, 2] = ((second & LOW).mul_(bits[:, None]) >> 32).add_(1).to(torch.int32).T
    rounds[:, 3] = (upper(second).mul_(table[5][:, None]) >> 32).to(torch.int32).T
    return table


def permute(place: Tensor, table: Tensor, window: Tensor) -> Tensor:
    """Return the source of each `place` in 0..n-1 of its window, an int32 array that is overwritten.

    table: as `window_table` makes it. window: the number of each place's window. A round permutes the places below the
    largest power of two in n (an odd factor, a summand, a shift folded in: each can be undone), then turns all n places
    on, so that those left out come in.
    """
    import torch

    count, mask = (table[row].index_select(0, window) for row in (5, 6))
    for factor, summand, shift, turn in table[FIXED:].view(ROUNDS, 4, -1):
        mixed = factor.index_select(0, window).mul_(place).add_(summand.index_select(0, window)).bitwise_and_(mask)
        mixed ^= mixed >> shift.index_select(0, window)
        place = torch.where(place <= mask, mixed, place).add_(turn.index_select(0, window))
        place -= count * (place >= count)
    return place


@cache
def triton_kernels(device: torch.device) -> tuple[Callable[..., Tensor], Callable[..., Tensor]] | None:
    """Return the kernels for `last_windows` and `find_sources` on this device, or None: asked once for each device."""
    if device.type != "cuda" or find_spec("triton") is None:
        return None
    from genesis_core.corruptions.torch_engine import triton_shuffling as kernels

    return (kernels.last_windows, kernels.find_sources) if kernels.proven(device) else None


def find_sources(owner: Tensor, table: Tensor, samples: int, shape: Shape3) -> Tensor:
    """Return where each voxel's value comes from, as a voxel's number in its sample, (sample * voxel,) int64.

    owner: as `last_windows` makes it. table: as `window_table` makes it.
    """
    import torch

    depth, height, width = shape
    window = owner.clamp_min(0)

    def of_window(row: int) -> Tensor:
        return table[row].index_select(0, window).view(samples, depth, height, width)

    index = torch.arange(depth * height * width, dtype=torch.int32, device=owner.device).view(1, depth, height, width)
    tall, wide = of_window(3), of_window(4)
    z = index // (height * width)
    place = (z - of_window(0)).mul_(tall)
    place += (index // width) % height
    place -= (y := of_window(1))
    place.mul_(wide).add_(index % width).sub_(x := of_window(2))
    inside = permute(place.view(-1), table, window).view_as(tall)
    row = torch.div(inside, wide, rounding_mode="trunc")
    x += inside - row * wide
    slice_ = torch.div(row, tall, rounding_mode="trunc")
    y += row - slice_ * tall
    slice_ += of_window(0)
    source = slice_.mul_(height).add_(y).mul_(width).add_(x)
    return torch.where(owner.view_as(source) < 0, index, source).to(torch.int64).view(-1)


def example(device: torch.device) -> tuple[Tensor, Tensor, Painting, Tensor, int, Shape3]:
    """Return two samples' windows of many sizes that leave voxels free: `last_windows`'s arguments with the table."""
    import torch

    from genesis_core.corruptions.local_shuffle import LocalShuffle

    shape, keys = (9, 31, 40), (1, 2)
    version = ShuffleOnDevice(LocalShuffle(windows=70, max_window=0.3))
    tables = version.tables(Portion((None,) * len(keys), keys, shape, 1))
    windows, bits, before, streams = (
        torch.from_numpy(tables.arrays[name].copy()).to(device) for name in ("windows", "bits", "before", "keys")
    )
    return windows, before, tables.facts, window_table(windows, bits, streams), len(keys), shape
