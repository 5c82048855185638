"""Distributions side by side as inline SVG: every value a dot, with the box of its quartiles and the median.

For few values a box alone hides what there is, and a mean alone more so; dots show each case, and name it on hovering.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from genesis_core.errors import SettingsError
from genesis_core.pictures.chart import ticks

# Okabe and Ito 2008, "Color Universal Design": blue and vermilion.
COLOURS = ("#0072B2", "#D55E00")
_FONT = "font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'"
_INK, _SOFT, _GRID = "#1a1c20", "#62687a", "#e6e8ec"
_BAND, _TOP, _BOTTOM, _RIGHT = 26, 10, 46, 18
# Share of a band over which dots are spread, so that equal values stay visible.
_SPREAD = 0.62
_GOLDEN = 0.618033988749895


@dataclass(frozen=True)
class Strip:
    """One row: its name, and for each group its (name of the case, value); values that are not finite are left out."""

    name: str
    groups: tuple[tuple[tuple[str, float], ...], ...]


def strip_chart(
    strips: Sequence[Strip],
    *,
    x_label: str,
    group_names: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
    width: int = 760,
) -> str:
    """Return an SVG element with one band per strip and group, names at the left, values along x.

    low, high: ends of the axis; None: as the values need. group_names: for the legend, where strips have several groups
    (two at most). width: in pixels; the drawing scales to its container. Without a value it says so. Raises
    SettingsError for more groups than there are colours.
    """
    groups = max((len(strip.groups) for strip in strips), default=0)
    if groups > len(COLOURS):
        raise SettingsError(f"{groups} groups in one strip chart: at most {len(COLOURS)} can be told apart")
    values = [value for strip in strips for group in strip.groups for _, value in group if math.isfinite(value)]
    head = (
        f"role='img' aria-label='{escape(f'{x_label}, one dot per case', True)}' {_FONT} "
        "xmlns='http://www.w3.org/2000/svg' width='100%'"
    )
    if not values:
        text = f"<text x='{width / 2}' y='30' text-anchor='middle' fill='{_SOFT}' font-size='12'>nothing to draw</text>"
        return f"<svg {head} viewBox='0 0 {width} 60' style='max-width:{width}px'>{text}</svg>"
    first, last = min(values) if low is None else low, max(values) if high is None else high
    # Values outside given ends are drawn at them.
    last = max(first, last)
    last += 0.04 * (last - first) if high is None else 0.0
    if last - first < 1e-9 * max(abs(first), abs(last), 1):
        around = 0.5 * max(abs(first), abs(last), 1)
        first, last = first - around, last + around
    left = min(30 + 7 * max(len(strip.name) for strip in strips), width // 3)
    top = _TOP + (24 if groups > 1 else 0)
    height = top + len(strips) * (groups * _BAND + 8) + _BOTTOM
    floor = height - _BOTTOM

    def place(value: float) -> float:
        return left + (min(max(value, first), last) - first) / (last - first) * (width - left - _RIGHT)

    parts = [f"<svg {head} viewBox='0 0 {width} {height}' style='max-width:{width}px'>"]
    parts += _legend(group_names, left) if groups > 1 else []
    for value in ticks(first, last):
        x = place(value)
        parts.append(f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{top}' y2='{floor}' stroke='{_GRID}'/>")
        parts.append(_text(x, floor + 17, f"{value:.4g}", "middle", _SOFT))
    y = top + 4.0
    for strip in strips:
        parts.append(_text(left - 10, y + groups * _BAND / 2 + 4, _short(strip.name, left), "end", _INK))
        for number, group in enumerate(strip.groups):
            known = [(name, value) for name, value in group if math.isfinite(value)]
            parts += _band(known, place, y + number * _BAND, COLOURS[number])
        y += groups * _BAND + 8
    parts.append(f"<line x1='{left}' x2='{width - _RIGHT}' y1='{floor}' y2='{floor}' stroke='{_SOFT}'/>")
    parts.append(_text((left + width - _RIGHT) / 2, height - 8, x_label, "middle", _INK, 13))
    return "".join(parts) + "</svg>"


def _band(group: Sequence[tuple[str, float]], place: Callable[[float], float], y: float, colour: str) -> list[str]:
    """Draw one band whose upper edge is y: range, box, median, and a dot per value."""
    if not group:
        return []
    values = sorted(value for _, value in group)
    middle = y + _BAND / 2
    low, q1, median, q3, high = (place(_quantile(values, share)) for share in (0, 0.25, 0.5, 0.75, 1))
    faint = f"stroke='{colour}' stroke-opacity='0.5'"
    parts = [f"<line x1='{low:.1f}' x2='{high:.1f}' y1='{middle}' y2='{middle}' {faint}/>"]
    if len(values) > 2:
        box = f"x='{q1:.1f}' y='{y + 4:.1f}' width='{max(q3 - q1, 1):.1f}' height='{_BAND - 8}'"
        parts.append(f"<rect {box} fill='{colour}' fill-opacity='0.14' {faint}/>")
    for number, (name, value) in enumerate(group):
        # Golden steps spread neighbours apart without any randomness.
        shift = ((number * _GOLDEN) % 1 - 0.5) * _SPREAD * _BAND if len(group) > 1 else 0.0
        title = f"<title>{escape(name)}: {value:.4g}</title>"
        parts.append(
            f"<circle cx='{place(value):.1f}' cy='{middle + shift:.1f}' r='3' fill='{colour}' fill-opacity='0.65'>"
            f"{title}</circle>"
        )
    parts.append(
        f"<line x1='{median:.1f}' x2='{median:.1f}' y1='{y + 2:.1f}' y2='{y + _BAND - 2:.1f}' stroke='{_INK}' "
        "stroke-width='2'/>"
    )
    return parts


def _quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile of sorted values, interpolated."""
    at = share * (len(values) - 1)
    low = math.floor(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def _short(name: str, width: int) -> str:
    most = max((width - 16) // 7, 4)
    return name if len(name) <= most else name[: most - 1] + "…"


def _text(x: float, y: float, text: str, anchor: str, colour: str, size: int = 12) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{colour}' font-size='{size}'>{escape(text)}</text>"
    )


def _legend(names: Sequence[str], left: int) -> list[str]:
    parts, x = [], float(left)
    for name, colour in zip(names, COLOURS, strict=False):
        parts.append(f"<circle cx='{x + 5:.1f}' cy='13' r='4.5' fill='{colour}'/>")
        parts.append(_text(x + 15, 17, name, "start", _INK))
        x += 15 + 7.0 * len(name) + 24
    return parts
