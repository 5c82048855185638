"""A line chart as inline SVG: loss curves with reference lines, for a report that is one HTML file without scripts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from genesis_core.errors import SettingsError

# Okabe and Ito 2008, "Color Universal Design": told apart with any common colour-vision deficiency.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5b6470")
_FONT = "font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'"
_INK, _SOFT, _GRID = "#1a1c20", "#62687a", "#e6e8ec"
# More points than this are thinned to the lowest and highest of each stretch, which looks the same.
_MOST_POINTS = 1200
_HUGE = 1e100
# A spread below this share of the values is rounding.
_FINEST = 1e-9
_LEFT, _RIGHT, _BOTTOM = 74, 18, 50
# Height of a row of the legend, above the curves.
_LEGEND = 22


@dataclass(frozen=True)
class Series:
    """One curve. x, y: of equal length; points that are not finite (or not above 0 on a log axis) leave a gap.

    dots: mark each point. smooth: draw the points faintly and their running mean over them, for noisy losses.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False
    smooth: bool = False


@dataclass(frozen=True)
class Reference:
    """A horizontal line with its label, such as the loss of returning the input unchanged."""

    label: str
    y: float


@dataclass(frozen=True)
class _Axes:
    x_low: float
    x_high: float
    y_low: float
    y_high: float
    width: int
    height: int
    log: bool
    top: int

    def x(self, value: float) -> float:
        return _LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.log else v for v in (self.y_low, self.y_high, value))
        return self.height - _BOTTOM - (at - low) / (high - low) * (self.height - self.top - _BOTTOM)


def line_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    references: Sequence[Reference] = (),
    log_y: bool = False,
    width: int = 760,
    height: int = 360,
) -> str:
    """Return an SVG element: curves, legend, axes with round ticks, dashed reference lines with their labels.

    log_y: logarithmic y axis; values that are not above 0 are left out. width, height: in pixels; the drawing scales to
    its container. A chart without a single drawable point says so. Raises SettingsError if x and y of a curve differ in
    length.
    """
    for one in series:
        if len(one.x) != len(one.y):
            raise SettingsError(f"curve '{one.name}': {len(one.x)} x values but {len(one.y)} y values")
    curves = [(one, _runs(one.x, one.y, log_y)) for one in series]
    lines = [line for line in references if _drawable(line.y, log_y)]
    points = [point for _, runs in curves for run in runs for point in run]
    name = escape(f"{y_label} over {x_label}", True)
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='100%' "
        f"style='max-width:{width}px' role='img' aria-label='{name}' {_FONT}>"
    )
    if not points:
        return f"{head}{_text(width / 2, height / 2, 'nothing to draw yet', anchor='middle')}</svg>"
    legend, rows = _legend([one.name + (" (running mean)" if one.smooth else "") for one in series], width)
    axes = _axes(points, lines, (width, height), log_y, 12 + rows * _LEGEND)
    parts = [head, legend, _grid(axes, x_label, y_label)]
    for k, (one, runs) in enumerate(curves):
        colour = _COLOURS[k % len(_COLOURS)]
        if one.smooth:
            parts.append(_curve(axes, runs, colour, stroke="stroke-width='1' stroke-opacity='0.22'"))
            runs = _runs(one.x, running_mean(one.y), log_y)
        parts.append(_curve(axes, runs, colour, dots=one.dots))
    parts += _references(axes, lines)
    return "".join(parts) + "</svg>"


def _drawable(value: float, log: bool) -> bool:
    """Whether a value has a place on the axis; what no measurement can be (beyond 1e100) has none."""
    return math.isfinite(value) and abs(value) < _HUGE and (value > 1 / _HUGE or not log)


def running_mean(values: Sequence[float]) -> list[float]:
    """Return the mean of each value and its neighbours over a fortieth of the curve; not-a-number is left out."""
    half = len(values) // 80
    sums, counts = [0.0], [0]
    for value in values:
        finite = math.isfinite(value)
        sums.append(sums[-1] + (value if finite else 0.0))
        counts.append(counts[-1] + finite)
    means = []
    for k, value in enumerate(values):
        low, high = max(k - half, 0), min(k + half + 1, len(values))
        means.append((sums[high] - sums[low]) / (counts[high] - counts[low]) if math.isfinite(value) else math.nan)
    return means


def _runs(xs: Sequence[float], ys: Sequence[float], log: bool) -> list[list[tuple[float, float]]]:
    """Return stretches of drawable points, thinned."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(xs, ys, strict=True):
        if _drawable(x, False) and _drawable(y, log):
            runs[-1].append((float(x), float(y)))
        elif runs[-1]:
            runs.append([])
    return [_thinned(run) for run in runs if run]


def _thinned(run: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(run) <= _MOST_POINTS:
        return run
    size = math.ceil(2 * len(run) / _MOST_POINTS)
    kept: list[tuple[float, float]] = []
    for k in range(0, len(run), size):
        stretch = run[k : k + size]
        ends = {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
        kept += sorted(ends)
    return kept


def _axes(
    points: list[tuple[float, float]], lines: list[Reference], size: tuple[int, int], log: bool, top: int
) -> _Axes:
    xs = [p[0] for p in points]
    ys = [p[1] for p in points] + [line.y for line in lines]
    x_low, x_high = min(xs), max(xs)
    if x_high - x_low < _FINEST * max(abs(x_low), abs(x_high), 1):
        x_low, x_high = x_low - 0.5 * max(abs(x_low), 1), x_high + 0.5 * max(abs(x_high), 1)
    low, high = min(ys), max(ys)
    if log:
        spread = max(math.log10(high / low), 0.1)
        low, high = low / 10 ** (0.06 * spread), high * 10 ** (0.10 * spread)
    else:
        largest = max(abs(low), abs(high))
        spread = high - low if high - low > _FINEST * largest else largest or 1.0
        low, high = low - 0.06 * spread, high + 0.10 * spread
        # A loss that comes near zero is shown with its zero.
        low = 0.0 if 0 <= min(ys) < 0.35 * high else low
    return _Axes(x_low, x_high, low, high, *size, log, top)


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Return round numbers (1, 2 or 5 times a power of ten apart) between low and high, about `count` of them."""
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    wide = math.log10(high / low) > 2.2
    values = [m * 10.0**d for d in decades for m in ((1,) if wide else (1, 2, 3, 5, 7))]
    inside = [v for v in values if low <= v <= high]
    return inside if len(inside) >= 2 else ticks(low, high)


def _number(value: float) -> str:
    if value != 0 and (abs(value) >= 1e6 or abs(value) < 1e-4):
        return f"{value:.0e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", colour: str = _SOFT, size: int = 12, more: str = ""
) -> str:
    style = f"text-anchor='{anchor}' fill='{colour}' font-size='{size}' {more}"
    return f"<text x='{x:.1f}' y='{y:.1f}' {style}>{escape(text)}</text>"


def _grid(axes: _Axes, x_label: str, y_label: str) -> str:
    right, floor = axes.width - _RIGHT, axes.height - _BOTTOM
    parts = []
    for value in _log_ticks(axes.y_low, axes.y_high) if axes.log else ticks(axes.y_low, axes.y_high, 5):
        y = axes.y(value)
        parts.append(f"<line x1='{_LEFT}' x2='{right}' y1='{y:.1f}' y2='{y:.1f}' stroke='{_GRID}'/>")
        parts.append(_text(_LEFT - 8, y + 4, _number(value), anchor="end"))
    for value in ticks(axes.x_low, axes.x_high):
        x = axes.x(value)
        parts.append(f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{floor}' y2='{floor + 5}' stroke='{_SOFT}'/>")
        parts.append(_text(x, floor + 19, _number(value), anchor="middle"))
    parts.append(f"<line x1='{_LEFT}' x2='{right}' y1='{floor}' y2='{floor}' stroke='{_SOFT}'/>")
    parts.append(_text((_LEFT + right) / 2, axes.height - 10, x_label, anchor="middle", colour=_INK, size=13))
    middle = (axes.top + floor) / 2
    turned = f"transform='rotate(-90 16 {middle:.1f})'"
    parts.append(
        _text(16, middle, y_label + (" (log)" if axes.log else ""), anchor="middle", colour=_INK, size=13, more=turned)
    )
    return "".join(parts)


def _curve(
    axes: _Axes,
    runs: list[list[tuple[float, float]]],
    colour: str,
    *,
    dots: bool = False,
    stroke: str = "stroke-width='2'",
) -> str:
    parts = []
    for run in runs:
        places = [(axes.x(x), axes.y(y)) for x, y in run]
        if len(places) > 1:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' {stroke} stroke-linejoin='round'/>")
        if dots or len(places) == 1:
            parts += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{colour}'/>" for x, y in places]
    return "".join(parts)


def _references(axes: _Axes, lines: list[Reference]) -> list[str]:
    """Draw the dashed lines; a label goes above its line, or below it where the line above is close."""
    parts = []
    last = -math.inf
    for line in sorted(lines, key=lambda item: -item.y):
        y = axes.y(line.y)
        above = y - 5 - last > 14 and y - 5 > axes.top + 8
        place = y - 5 if above else y + 14
        last = place
        right = axes.width - _RIGHT
        parts.append(
            f"<line x1='{_LEFT}' x2='{right}' y1='{y:.1f}' y2='{y:.1f}' "
            f"stroke='{_SOFT}' stroke-width='1.3' stroke-dasharray='6 4'/>"
        )
        label = f"{line.label}: {_number(line.y)}"
        # A pale ground keeps the label readable where a curve runs through it.
        wide = 6.4 * len(label) + 6
        parts.append(
            f"<rect x='{right - wide:.1f}' y='{place - 11:.1f}' width='{wide:.1f}' height='14' "
            f"fill='#ffffff' fill-opacity='0.8'/>"
        )
        parts.append(_text(right - 4, place, label, anchor="end", colour=_INK))
    return parts


def _legend(names: list[str], width: int) -> tuple[str, int]:
    """Return the legend and how many rows it takes; widths of names are estimated, as SVG cannot measure them here."""
    parts = []
    x, row = float(_LEFT), 0
    for k, name in enumerate(names):
        wide = 26 + 7.0 * len(name) + 22
        if x > _LEFT and x + wide > width - _RIGHT:
            x, row = float(_LEFT), row + 1
        y = 12 + row * _LEGEND
        colour = _COLOURS[k % len(_COLOURS)]
        parts.append(f"<line x1='{x:.1f}' x2='{x + 20:.1f}' y1='{y}' y2='{y}' stroke='{colour}' stroke-width='3'/>")
        parts.append(_text(x + 26, y + 4, name, colour=_INK))
        x += wide
    return "".join(parts), row + 1 if names else 0
