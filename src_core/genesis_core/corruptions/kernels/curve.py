"""Intensity curves as tables: a cubic Bezier curve turned into straight pieces, refined where it is steep.

A table has CELLS equal cells over [0, 1], each a straight piece (base + fraction * slope). Where the curve bends too
much for that (a Bezier curve may rise vertically), the cell's slope is not-a-number and `child` points at FINER smaller
cells, again and again down to DEPTH levels. Pieces meet without overshoot, so a table is monotone exactly, in float32,
like its curve.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from genesis_core.corruptions.kernels.bezier import bezier, solve, velocity
from genesis_core.corruptions.kernels.compiling import READ_F32, READ_I32, WRITE_F32, WRITE_I32, compiled, inlined
from genesis_core.corruptions.kernels.lanes import LANES, lerp_lanes

CELLS = 1024
FINER = 8
DEPTH = 14
# Entries a table may take: every cell once refined, and as much again. Vertical curves use under a tenth of it.
CAPACITY = CELLS + 1 + 2 * CELLS * FINER
# Second difference above which a cell is refined; keeps the error of a straight piece under 5e-5.
_BEND = 1e-4
# Knots, uniform in the curve's parameter, from which the search for a cell's parameter starts.
_KNOTS = 512


@inlined
def _level(t: float, first: float, second: float, decreasing: bool) -> float:
    y = bezier(t, first, second)
    return 1.0 - y if decreasing else y


@inlined
def _pieces(
    values: NDArray[np.float64],
    count: int,
    refine: bool,
    entry: int,
    base: NDArray[np.float32],
    slope: NDArray[np.float32],
) -> None:
    """Write `count` straight pieces through count + 1 monotone values; mark those to `refine` by not-a-number."""
    for cell in range(count):
        here = np.float32(values[cell])
        there = np.float32(values[cell + 1])
        rise = there - here
        # One rounding step less where base + slope would overshoot the next piece.
        while (rise > 0.0 and here + rise > there) or (rise < 0.0 and here + rise < there):
            rise = rise * np.float32(0.9999999)
        bend = 0.0
        if cell > 0:
            bend = abs(values[cell - 1] - 2.0 * values[cell] + values[cell + 1])
        if cell < count - 1:
            bend = max(bend, abs(values[cell] - 2.0 * values[cell + 1] + values[cell + 2]))
        base[entry + cell] = here
        slope[entry + cell] = np.float32(np.nan) if refine and bend > _BEND else rise


@inlined
def _bends_inside(
    span: tuple[float, float, float, float],
    ends: tuple[float, float],
    first: tuple[float, float],
    second: tuple[float, float],
    decreasing: bool,
) -> bool:
    """Say whether the curve leaves the straight line through `ends` inside a cell: first and last cells have a
    neighbour on one side only, whose second difference can miss a bend on the other.

    span: where the cell begins and ends, in x and in the curve's parameter.
    """
    for quarter in range(1, 4):
        share = quarter / 4.0
        t = solve(span[0] + (span[1] - span[0]) * share, first[0], second[0], span[2], span[3])
        if abs(_level(t, first[1], second[1], decreasing) - ends[0] - (ends[1] - ends[0]) * share) > 0.5 * _BEND:
            return True
    return False


@inlined
def _sort_steps(values: NDArray[np.float64], count: int, decreasing: bool) -> None:
    # Rounding of the last bit must not turn a step around.
    for cell in range(1, count + 1):
        if decreasing:
            values[cell] = min(values[cell], values[cell - 1])
        else:
            values[cell] = max(values[cell], values[cell - 1])


@inlined
def _refine(
    first: tuple[float, float],
    second: tuple[float, float],
    decreasing: bool,
    edges: NDArray[np.float64],
    base: NDArray[np.float32],
    slope: NDArray[np.float32],
    child: NDArray[np.int32],
) -> int:
    """Give every marked cell FINER smaller ones, level after level; return the entries used.

    edges: the curve's parameter at the edges of the whole table's cells.
    """
    used = CELLS + 1
    # Marked cells wait in a queue: table entry, level, and where they begin and end in x and in the parameter.
    entries = np.empty(2 * CELLS, np.int64)
    levels = np.empty(2 * CELLS, np.int64)
    spans = np.empty((2 * CELLS, 4), np.float64)
    waiting = 0
    for cell in range(CELLS):
        if np.isnan(slope[cell]):
            entries[waiting] = cell
            levels[waiting] = 1
            spans[waiting, 0], spans[waiting, 1] = cell / CELLS, (cell + 1) / CELLS
            spans[waiting, 2], spans[waiting, 3] = edges[cell], edges[cell + 1]
            waiting += 1
    values = np.empty(FINER + 1, np.float64)
    parameters = np.empty(FINER + 1, np.float64)
    done = 0
    while done < waiting:
        begin, end, low, high = spans[done, 0], spans[done, 1], spans[done, 2], spans[done, 3]
        for fine in range(FINER + 1):
            x = begin + (end - begin) * (fine / FINER)
            before = low if fine == 0 else parameters[fine - 1]
            parameters[fine] = high if fine == FINER else solve(x, first[0], second[0], before, high)
            values[fine] = _level(parameters[fine], first[1], second[1], decreasing)
        _sort_steps(values, FINER, decreasing)
        # The last level, and whatever no longer fits, stays as straight pieces.
        deeper = levels[done] < DEPTH and waiting + FINER <= entries.size
        _pieces(values, FINER, deeper, used, base, slope)
        for fine in (0, FINER - 1):
            left, right = begin + (end - begin) * (fine / FINER), begin + (end - begin) * ((fine + 1) / FINER)
            span = (left, right, parameters[fine], parameters[fine + 1])
            if deeper and _bends_inside(span, (values[fine], values[fine + 1]), first, second, decreasing):
                slope[used + fine] = np.nan
        child[entries[done]] = used
        for fine in range(FINER):
            if np.isnan(slope[used + fine]):
                entries[waiting] = used + fine
                levels[waiting] = levels[done] + 1
                spans[waiting, 0] = begin + (end - begin) * (fine / FINER)
                spans[waiting, 1] = begin + (end - begin) * ((fine + 1) / FINER)
                spans[waiting, 2], spans[waiting, 3] = parameters[fine], parameters[fine + 1]
                waiting += 1
        used += FINER
        done += 1
    return used


@compiled(
    types.int64,
    types.float64,
    types.float64,
    types.float64,
    types.float64,
    types.boolean,
    WRITE_F32,
    WRITE_F32,
    WRITE_I32,
)
def build_table(
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    decreasing: bool,
    base: NDArray[np.float32],
    slope: NDArray[np.float32],
    child: NDArray[np.int32],
) -> int:
    """Fill the table of the curve with points (0, 0), (x1, y1), (x2, y2), (1, 1), or of 1 - curve if `decreasing`.

    base, slope, child: CAPACITY entries each. Returns the entries used; CELLS + 1 if no cell had to be refined.
    """
    edges = np.empty(CELLS + 1, np.float64)
    low = np.empty(CELLS + 1, np.float64)
    knots = np.empty(_KNOTS + 1, np.float64)
    for knot in range(_KNOTS + 1):
        knots[knot] = bezier(knot / _KNOTS, x1, x2)
    knot = 0
    for cell in range(CELLS + 1):
        x = cell / CELLS
        while knot < _KNOTS - 1 and knots[knot + 1] < x:
            knot += 1
        width = knots[knot + 1] - knots[knot]
        low[cell] = knot / _KNOTS
        edges[cell] = (knot + ((x - knots[knot]) / width if width > 0.0 else 0.5)) / _KNOTS
    for cell in range(CELLS + 1):
        t = edges[cell]
        for _ in range(3):
            speed = max(velocity(t, x1, x2), 1e-9)
            t = t - (bezier(t, x1, x2) - cell / CELLS) / speed
            t = min(max(t, low[cell]), low[cell] + 1.0 / _KNOTS)
        edges[cell] = t
    edges[0] = 0.0
    edges[CELLS] = 1.0
    values = np.empty(CELLS + 1, np.float64)
    for cell in range(CELLS + 1):
        values[cell] = _level(edges[cell], y1, y2, decreasing)
    _sort_steps(values, CELLS, decreasing)
    _pieces(values, CELLS, True, 0, base, slope)
    for cell in (0, CELLS - 1):
        span = (cell / CELLS, (cell + 1) / CELLS, edges[cell], edges[cell + 1])
        if _bends_inside(span, (values[cell], values[cell + 1]), (x1, y1), (x2, y2), decreasing):
            slope[cell] = np.nan
    base[CELLS] = np.float32(values[CELLS])
    slope[CELLS] = 0.0
    return _refine((x1, y1), (x2, y2), decreasing, edges, base, slope, child)


@inlined
def _descend(
    value: np.float32,
    scale: np.float32,
    base: NDArray[np.float32],
    slope: NDArray[np.float32],
    child: NDArray[np.int32],
) -> np.float32:
    scaled = value * scale
    cell = np.int64(scaled)
    fraction = scaled - np.float32(cell)
    while np.isnan(slope[cell]):
        scaled = fraction * np.float32(FINER)
        inner = np.int64(scaled)
        fraction = scaled - np.float32(inner)
        cell = np.int64(child[cell]) + inner
    result: np.float32 = base[cell] + fraction * slope[cell]
    return result


@compiled(types.void, READ_F32, WRITE_F32, READ_F32, READ_F32, READ_I32)
def look_up(
    source: NDArray[np.float32],
    out: NDArray[np.float32],
    base: NDArray[np.float32],
    slope: NDArray[np.float32],
    child: NDArray[np.int32],
) -> None:
    """Map every value of `source`, all in [0, 1], through the table; `out` may be `source` itself."""
    scale = np.float32(CELLS)
    whole = source.size // LANES * LANES
    for at in range(0, whole, LANES):
        _ = out[at + LANES - 1]
        unknown = lerp_lanes(out, source, at, scale, base, slope)
        if unknown != 0:
            for lane in range(LANES):
                if (unknown >> lane) & 1:
                    out[at + lane] = _descend(out[at + lane], scale, base, slope, child)
    for at in range(whole, source.size):
        out[at] = _descend(source[at], scale, base, slope, child)


@compiled(
    types.void,
    READ_F32,
    WRITE_F32,
    types.float64,
    types.float64,
    types.float64,
    types.float64,
    types.boolean,
)
def map_curve(
    source: NDArray[np.float32],
    out: NDArray[np.float32],
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    decreasing: bool,
) -> None:
    """Map every value of `source` through a curve: `build_table` and `look_up` with one return to Python's lock."""
    base, slope = np.empty(CAPACITY, np.float32), np.empty(CAPACITY, np.float32)
    child = np.empty(CAPACITY, np.int32)
    build_table(x1, y1, x2, y2, decreasing, base, slope, child)
    look_up(source, out, base, slope, child)
