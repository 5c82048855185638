"""One case, read whole and measured: its scans, what is drawn on them, and how much of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.volumes.label_volume import LabelVolume
from genesis_core.volumes.labelled.check_records import SPECK_VOXELS, ChannelRecord, DrawnRecord
from genesis_core.volumes.modality import guess_modality
from genesis_core.volumes.sides import LEFT_WORDS, RIGHT_WORDS, WORD
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.voxel_fingerprint import image_fingerprint
from genesis_core.volumes.voxel_statistics import percentiles

# Larger boxes than this are not searched for specks: numbering their pieces takes 4 bytes a voxel and many seconds.
_LARGEST_SEARCH = 1 << 26
# Numbers above this are counted by sorting instead of in a table.
_LARGEST_TABLE = 1 << 20
_OTHER_SIDE = dict(zip(LEFT_WORDS, RIGHT_WORDS, strict=True))


def measure_channel(volume: Volume) -> ChannelRecord:
    """Return what one image of a case is."""
    guess = guess_modality(volume)
    low, p05, middle, p995, high = percentiles(volume.array, (0, 0.5, 50, 99.5, 100))
    return ChannelRecord(
        guess.modality,
        round(guess.certainty, 2),
        guess.reason,
        guess.label_map,
        (low, p05, middle, p995, high),
        image_fingerprint(volume),
    )


@dataclass(frozen=True)
class Drawing:
    """What is drawn in a case: structures in the label's order, without those that are not there.

    outside: (number, voxels) of numbers that mean no structure. fingerprint: a hash of where each named structure
    lies, whatever its number, layer and order; None where nothing is drawn.
    """

    structures: tuple[DrawnRecord, ...]
    outside: tuple[tuple[int, int], ...]
    fingerprint: str | None


def measure_labels(labels: LabelVolume) -> Drawing:
    """Return what is drawn, where, and how much of it."""
    from scipy import ndimage

    from genesis_core.volumes.resampling import reorient

    drawn: dict[tuple[int, int], DrawnRecord] = {}
    outside: dict[int, int] = {}
    digests = []
    for number, layer in enumerate(labels.layers):
        volume = reorient(Volume(layer, labels.geometry), "LPS")
        names = {one.value: one.name for one in labels.structures if one.layer == number}
        counts = count_values(volume.array)
        for value in sorted(set(counts) - set(names) - {0}):
            outside[value] = outside.get(value, 0) + counts[value]
        present = sorted(set(counts) & set(names))
        ranks = _ranked(volume.array, present)
        for rank, box in enumerate(ndimage.find_objects(ranks, max_label=len(present)), start=1):
            name, mask = names[present[rank - 1]], np.equal(ranks[box], rank)
            drawn[number, present[rank - 1]] = _measure(name, mask, box, volume.geometry)
            place = repr((name, ranks.shape, [(axis.start, axis.stop) for axis in box]))
            digests.append(blake2b(np.packbits(mask).tobytes(), digest_size=12, person=_digest(place)).hexdigest())
    found = [drawn.get((one.layer, one.value)) for one in labels.structures]
    return Drawing(
        tuple(one for one in found if one),
        tuple(sorted(outside.items())),
        blake2b("".join(sorted(digests)).encode(), digest_size=12).hexdigest() if digests else None,
    )


def count_values(layer: NDArray[Any]) -> dict[int, int]:
    """Return how many voxels have each number."""
    low, high = int(layer.min()), int(layer.max())
    if low < 0 or high >= _LARGEST_TABLE:
        values, counts = np.unique(layer, return_counts=True)
        return {int(value): int(count) for value, count in zip(values, counts, strict=True)}
    table = np.zeros(high + 1, np.int64)
    for slab in layer:
        table += np.bincount(slab.reshape(-1).astype(np.intp, copy=False), minlength=high + 1)
    return {int(value): int(table[value]) for value in np.flatnonzero(table)}


def opposite(name: str) -> str | None:
    """Return the name of the structure on the right, for one on the left ("kidney_left", "Lung L"); else None."""
    other = WORD.sub(lambda found: _mirrored(found[0]), name)
    return other if other != name else None


def _mirrored(like: str) -> str:
    word = _OTHER_SIDE.get(like.lower())
    if word is None:
        return like
    return word.upper() if like.isupper() else word.capitalize() if like[0].isupper() else word


def _ranked(layer: NDArray[Any], values: list[int]) -> NDArray[Any]:
    """Number the given values from 1, and everything else 0: small numbers, whatever the file has."""
    kind = np.uint8 if len(values) < 256 else np.uint16 if len(values) < 65536 else np.int32
    low, high = int(layer.min()), int(layer.max())
    ranks = np.zeros(layer.shape, kind)
    if low < 0 or high >= _LARGEST_TABLE:
        for rank, value in enumerate(values, start=1):
            ranks[layer == value] = rank
        return ranks
    table = np.zeros(high + 1, kind)
    table[values] = np.arange(1, len(values) + 1)
    for z, slab in enumerate(layer):
        ranks[z] = table[slab.astype(np.intp, copy=False)]
    return ranks


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def _measure(name: str, mask: NDArray[np.bool_], box: tuple[slice, ...], geometry: Geometry) -> DrawnRecord:
    from scipy import ndimage

    voxels, specks, largest = int(np.count_nonzero(mask)), None, 1.0
    if mask.size <= _LARGEST_SEARCH:
        pieces, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
        sizes = np.bincount(pieces.reshape(-1), minlength=count + 1)[1:]
        specks, largest = int(np.count_nonzero(sizes <= SPECK_VOXELS)), float(sizes.max()) / voxels
    # The mean index along each axis, from sums over the other two.
    middle = [
        axis.start + float(np.dot(np.arange(n), mask.sum(axis=tuple({0, 1, 2} - {a})))) / voxels
        for a, (axis, n) in enumerate(zip(box, mask.shape, strict=True))
    ]
    world = geometry.affine @ [*middle, 1.0]
    x, y, z = (n * mm for n, mm in zip(mask.shape[::-1], geometry.spacing, strict=True))
    return DrawnRecord(
        name,
        voxels,
        round(voxels * math.prod(geometry.spacing) / 1000, 4),
        specks,
        round(largest, 4),
        any(axis.start == 0 or axis.stop == n for axis, n in zip(box, geometry.shape, strict=True)),
        round(float(world[2]), 2),
        (round(x, 2), round(y, 2), round(z, 2)),
    )
