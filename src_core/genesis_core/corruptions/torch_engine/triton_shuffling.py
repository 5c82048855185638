"""The two long parts of local shuffling as one Triton kernel each, where Triton is there.

They repeat `shuffling.last_windows` and `shuffling.find_sources` number for number, in place of some two hundred
launches for eight sub-volumes of 96 x 96 x 96. They are proven on each GPU before they are first used there: should one
fail or differ, the torch operations stay, and a warning says so. The rest of the engine takes about twenty launches a
step of a recipe, and has no kernels.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

import torch

from genesis_core.corruptions.corruption import Shape3
from genesis_core.corruptions.torch_engine import shuffling

if TYPE_CHECKING:
    from torch import Tensor

triton: Any = importlib.import_module("triton")
tl: Any = importlib.import_module("triton.language")

_BLOCK = tl.constexpr(512)
# Voxels of a window painted at a time: the published windows hold 125 on average, at 96 x 96 x 96.
_PAINTED = tl.constexpr(128)
# Those of `shuffling`; a kernel reads no others than constants of its own.
_FIXED, _ROUNDS = tl.constexpr(shuffling.FIXED), tl.constexpr(shuffling.ROUNDS)


# Triton reads annotations as code, and knows none of ours.
def _paint(windows, owners, count, per_sample, voxels, height, width):  # type: ignore[no-untyped-def]
    window = tl.program_id(0)
    own = windows + window
    tall, wide = tl.load(own + 4 * count), tl.load(own + 5 * count)
    size = tl.load(own + 3 * count) * tall * wide
    corner = (tl.load(own) * height + tl.load(own + count)) * width + tl.load(own + 2 * count)
    corner += (window // per_sample) * voxels
    for first in range(0, size, _PAINTED):
        place = first + tl.arange(0, _PAINTED)
        row = place // wide
        slab = row // tall
        voxel = corner + (slab * height + row - slab * tall) * width + place - row * wide
        tl.atomic_max(owners + voxel, window, mask=place < size, sem="relaxed")


def _sources(owners, table, out, total, windows, voxels, height, width):  # type: ignore[no-untyped-def]
    at = tl.program_id(0) * _BLOCK + tl.arange(0, _BLOCK)
    exists = at < total
    owner = tl.load(owners + at, mask=exists, other=-1)
    covered = owner >= 0
    own = table + tl.where(covered, owner, 0)
    index = at % voxels
    first_z = tl.load(own, mask=covered, other=0)
    first_y = tl.load(own + windows, mask=covered, other=0)
    first_x = tl.load(own + 2 * windows, mask=covered, other=0)
    tall = tl.load(own + 3 * windows, mask=covered, other=1)
    wide = tl.load(own + 4 * windows, mask=covered, other=1)
    count = tl.load(own + 5 * windows, mask=covered, other=1)
    low = tl.load(own + 6 * windows, mask=covered, other=0)
    z = index // (height * width) - first_z
    y = (index // width) % height - first_y
    x = index % width - first_x
    place = (z * tall + y) * wide + x
    for number in tl.static_range(_ROUNDS):
        turn = own + (_FIXED + 4 * number) * windows
        mixed = place * tl.load(turn, mask=covered, other=1) + tl.load(turn + windows, mask=covered, other=0)
        mixed = mixed & low
        mixed = mixed ^ (mixed >> tl.load(turn + 2 * windows, mask=covered, other=1))
        place = tl.where(place <= low, mixed, place) + tl.load(turn + 3 * windows, mask=covered, other=0)
        place = tl.where(place >= count, place - count, place)
    row = place // wide
    slab = row // tall
    source = ((slab + first_z) * height + row - slab * tall + first_y) * width + place - row * wide + first_x
    tl.store(out + at, tl.where(covered, source, index).to(tl.int64), mask=exists)


_paint_kernel: Any = triton.jit(_paint)
_sources_kernel: Any = triton.jit(_sources)


def last_windows(windows: Tensor, before: Tensor, painting: shuffling.Painting, samples: int, shape: Shape3) -> Tensor:
    """Do what `shuffling.last_windows` does, without cutting the windows into ranges."""
    depth, height, width = shape
    count = windows.shape[1]
    owner = torch.full((samples * depth * height * width,), -1, dtype=torch.int32, device=windows.device)
    voxels = depth * height * width
    # Triton launches on the current device, whichever holds the arrays.
    with torch.cuda.device_of(owner):  # type: ignore[no-untyped-call]
        _paint_kernel[(count,)](windows, owner, count, count // samples, voxels, height, width)
    return owner


def find_sources(owner: Tensor, table: Tensor, samples: int, shape: Shape3) -> Tensor:
    """Do what `shuffling.find_sources` does."""
    depth, height, width = shape
    out = torch.empty(len(owner), dtype=torch.int64, device=owner.device)
    grid = (triton.cdiv(len(owner), _BLOCK.value),)
    with torch.cuda.device_of(owner):  # type: ignore[no-untyped-call]
        _sources_kernel[grid](owner, table, out, len(owner), table.shape[1], depth * height * width, height, width)
    return out


def proven(device: torch.device) -> bool:
    """Say whether the kernels run on this device and find what the torch operations find."""
    windows, before, painting, table, samples, shape = shuffling.example(device)
    try:
        owner = last_windows(windows, before, painting, samples, shape)
        same = torch.equal(owner, shuffling.last_windows(windows, before, painting, samples, shape))
        source = find_sources(owner, table, samples, shape)
        same = same and torch.equal(source, shuffling.find_sources(owner, table, samples, shape))
        problem = "find other voxels than the torch operations do"
    except Exception as failure:
        # Whatever a compiler for GPUs may lack on this machine: there is another way.
        same, problem = False, f"cannot be used ({type(failure).__name__}: {str(failure).strip()[:200]})"
    if not same:
        message = f"the Triton kernels of local shuffling {problem}; the torch operations are used"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return same
