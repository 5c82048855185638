"""Where on a slider a value lies, and which values a slider can take.

A scale is a list of round values, the ends of the range among them, each with a place on the slider. Values between
them can be typed; a slider then stands at the nearest place. No Qt.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

Number = int | float

# Places on a slider, far more than it has pixels.
TOP = 10_000
# Ranges of three decades and more are logarithmic: on a linear one, the small values would share a pixel.
_LOGARITHMIC_FROM = 1000
# A hundred round values suit a slider of a hundred pixels or so; whole numbers are all kept up to a thousand.
_ROUND_VALUES = 100
_WHOLE_VALUES = 1000
# Where a logarithmic slider from 0 has its first value above 0.
_BESIDE_ZERO = TOP // 50


@dataclass(frozen=True)
class Scale:
    """Values, rising, and their places, rising from 0 to TOP (a single value lies at 0)."""

    values: tuple[Number, ...]
    places: tuple[int, ...]

    @classmethod
    def between(
        cls, low: Number, high: Number, *, whole: bool, low_open: bool = False, high_open: bool = False
    ) -> Scale:
        """Return a scale for the range low..high; an open end does not belong to it. whole: only whole numbers.

        Raises ValueError if no value lies in the range.
        """
        if whole:
            low = math.floor(low) + 1 if low_open else math.ceil(low)
            high = math.ceil(high) - 1 if high_open else math.floor(high)
            low_open = high_open = False
        if low > high or (low == high and (low_open or high_open)):
            raise ValueError(f"there is no value between {low} and {high}")
        logarithmic = low >= 0 and (whole or low > 0) and high >= _LOGARITHMIC_FROM * max(low, int(whole))
        inner = _two_digits(low, high, whole) if logarithmic else _multiples(low, high, whole)
        cast = int if whole else float
        values = [cast(value) for value in ([low] if not low_open else []) + list(inner)]
        if not high_open and (low_open or high > low):
            values.append(cast(high))
        if not values:
            values = [cast((low + high) / 2)]
        places = _log_places(values) if logarithmic else _linear_places(values)
        # A round value that shares its place with an end would keep the slider from reaching that end.
        kept = [0, *(i for i in range(1, len(values) - 1) if places[i - 1] < places[i] < places[-1]), len(values) - 1]
        kept = sorted(set(kept))
        return cls(tuple(values[i] for i in kept), tuple(places[i] for i in kept))

    def value_at(self, place: int) -> Number:
        """Return the value whose place is nearest."""
        return self.values[_nearest(self.places, place)]

    def place_of(self, value: Number) -> int:
        """Return the place of the value nearest to this one."""
        return self.places[_nearest(self.values, value)]

    def stepped(self, value: Number, steps: int) -> Number:
        """Return the value that is so many values further up, or down for steps below 0; the ends stop it."""
        index = bisect_right(self.values, value) - 1 if steps > 0 else bisect_left(self.values, value)
        return self.values[min(max(index + steps, 0), len(self.values) - 1)]


def stepped_freely(value: Number, steps: int, *, whole: bool) -> Number:
    """Return a value some steps further where there is no scale: a step changes its second significant digit."""
    exact = Fraction(str(value))
    for _ in range(abs(steps)):
        step = Fraction(10) ** ((_decade(abs(float(exact))) if exact else 0) - 1)
        step = max(step, Fraction(1)) if whole else step
        exact = (math.floor(exact / step) + 1) * step if steps > 0 else (math.ceil(exact / step) - 1) * step
    return int(exact) if whole else float(exact)


def _nearest(rising: Sequence[Number], sought: Number) -> int:
    right = bisect_left(rising, sought)
    if right == 0 or right == len(rising):
        return min(right, len(rising) - 1)
    return right if rising[right] - sought < sought - rising[right - 1] else right - 1


def _decade(value: Number) -> int:
    """Return the exponent of a value above 0, exactly."""
    return int(f"{value:e}".partition("e")[2])


def _round(digits: int, exponent: int) -> float:
    return float(f"{digits}e{exponent}")


def _multiples(low: Number, high: Number, whole: bool) -> Iterable[Number]:
    """Return the multiples of a round step strictly between two values."""
    width = high - low
    if width <= 0:
        return
    if whole and width <= _WHOLE_VALUES:
        step, exponent = 1, 0
    else:
        exponent = _decade(width / _ROUND_VALUES)
        step = max(one for one in (1, 2, 5) if one == 1 or _round(one, exponent) <= width / _ROUND_VALUES)
    unit = _round(step, exponent)
    count = math.floor(low / unit)
    while (value := _round(count * step, exponent)) < high:
        if value > low:
            yield value
        count += 1


def _two_digits(low: Number, high: Number, whole: bool) -> Iterable[Number]:
    """Return the numbers of two significant digits strictly between two values; 0 is a lower end for whole numbers."""
    exponent = _decade(low) if low else 0
    while _round(1, exponent) < high:
        for digits in range(10, 100):
            value = _round(digits, exponent - 1)
            if low < value < high and (value.is_integer() or not whole):
                yield value
        exponent += 1


def _linear_places(values: Sequence[Number]) -> tuple[int, ...]:
    width = values[-1] - values[0]
    return tuple(round(TOP * (value - values[0]) / width) if width else 0 for value in values)


def _log_places(values: Sequence[Number]) -> tuple[int, ...]:
    first = _BESIDE_ZERO if values[0] == 0 else 0
    positive = values[1:] if first else values
    decades = math.log(positive[-1] / positive[0])
    places = [first + round((TOP - first) * math.log(value / positive[0]) / decades) for value in positive]
    return (0, *places) if first else tuple(places)
