"""Thousands of scans in a page: how many there are of each shape, spacing and modality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genesis_core.volumes.inspection import Record

# Groups that still are an overview; if there are more, what tells them apart is made coarser.
_MOST_GROUPS = 30
HEADINGS = ("scans", "voxels z,y,x", "mm x,y,z", "axes", "type", "modality", "values")


@dataclass
class _Extent:
    """The scans of one group. lows, highs: of shape z, y, x, spacing x, y, z and values."""

    count: int = 0
    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)

    def add(self, count: int, lows: list[float], highs: list[float]) -> None:
        """Take in `count` scans with these extents."""
        self.count += count
        self.lows = [min(pair) for pair in zip(self.lows or lows, lows, strict=True)]
        self.highs = [max(pair) for pair in zip(self.highs or highs, highs, strict=True)]


class Groups:
    """Counts readable scans by what they are, without keeping their records."""

    def __init__(self) -> None:
        self._finest: dict[tuple[Any, ...], _Extent] = {}

    def add(self, record: Record) -> None:
        """Count a readable scan."""
        shape, spacing = record.shape or (0, 0, 0), record.spacing or (0.0, 0.0, 0.0)
        spacing_key = tuple(float(f"{value:.3g}") for value in spacing)
        kind = (record.orientation, record.dtype, (record.modality or "").upper())
        extents = [*shape, *spacing, record.minimum or 0.0], [*shape, *spacing, record.maximum or 0.0]
        self._finest.setdefault((kind, shape, spacing_key), _Extent()).add(1, *extents)

    def rows(self) -> list[tuple[str, ...]]:
        """Return the groups, the largest first, as rows under HEADINGS; a range stands where a group's scans differ."""
        for key in _KEYS:
            groups: dict[Any, _Extent] = {}
            for finest, extent in self._finest.items():
                groups.setdefault(key(finest), _Extent()).add(extent.count, extent.lows, extent.highs)
            if len(groups) <= _MOST_GROUPS:
                break
        kinds = {key(finest): finest[0] for finest in self._finest}
        ordered = sorted(groups.items(), key=lambda item: (-item[1].count, str(item[0])))
        return [_row(kinds[group], extent) for group, extent in ordered]


# From fine to coarse: shape and spacing; without the number of slices; kind alone.
_KEYS: tuple[Callable[[tuple[Any, ...]], Any], ...] = (
    lambda finest: finest,
    lambda finest: (finest[0], finest[1][1:], finest[2]),
    lambda finest: (finest[0], finest[2]),
    lambda finest: finest[0],
)


def _row(kind: tuple[str, str, str], extent: _Extent) -> tuple[str, ...]:
    ranges = [_range(low, high) for low, high in zip(extent.lows[:6], extent.highs[:6], strict=True)]
    values = f"{extent.lows[6]:.5g} to {extent.highs[6]:.5g}"
    return str(extent.count), " ".join(ranges[:3]), " ".join(ranges[3:]), *kind, values


def _range(low: float, high: float) -> str:
    first, last = f"{low:.3g}" if low % 1 else f"{low:g}", f"{high:.3g}" if high % 1 else f"{high:g}"
    return first if first == last else f"{first}..{last}"
