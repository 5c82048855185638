"""A number as people read and type it: bounds, unit, percent, thousands.

Fractions ("of the axis", "probability") are shown as percent; files hold them as they are. No Qt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cached_property

from genesis_core.errors import SettingsError
from napari_genesis.forms.scale import Number, Scale, stepped_freely

# Longer numbers are shown with four significant digits.
_DIGITS = 6
# Larger than any float.
_LARGEST_EXPONENT = 400


@dataclass(frozen=True)
class Quantity:
    """Which numbers are allowed and how they are written.

    low, high: bounds, None for none; an open one is itself not allowed. unit: in words; shows_unit: whether it follows
    the number.
    """

    whole: bool
    low: Number | None = None
    high: Number | None = None
    low_open: bool = False
    high_open: bool = False
    unit: str = ""
    shows_unit: bool = False

    @property
    def percent(self) -> bool:
        """Whether the number is a fraction, which people read in percent."""
        return not self.whole and (self.unit == "probability" or self.unit.startswith("of the "))

    @cached_property
    def scale(self) -> Scale | None:
        """The slider's scale; None without bounds on both sides."""
        if self.low is None or self.high is None:
            return None
        return Scale.between(self.low, self.high, whole=self.whole, low_open=self.low_open, high_open=self.high_open)

    def stepped(self, value: Number, steps: int) -> Number:
        """Return the value some steps further; bounds stop it."""
        if self.scale is not None:
            return self.scale.stepped(value, steps)
        further = stepped_freely(value, steps, whole=self.whole)
        return further if self.allows(further) else value

    def allows(self, value: Number) -> bool:
        """Return whether a value keeps the bounds."""
        above = self.low is None or (value > self.low if self.low_open else value >= self.low)
        below = self.high is None or (value < self.high if self.high_open else value <= self.high)
        return above and below

    @property
    def allowed(self) -> str:
        """What is allowed, in words; empty without bounds."""
        below = "" if self.high is None else f"{'below' if self.high_open else 'up to'} {self.text(self.high)}"
        if self.low is None:
            return below
        if not below:
            return f"{'above' if self.low_open else 'at least'} {self.text(self.low)}"
        return f"{'above' if self.low_open else 'from'} {self._number(self.low)} {below}"

    def text(self, value: Number) -> str:
        """Return a number as it is shown, with its unit if that is shown."""
        shown = self.unit and self.shows_unit and not self.percent
        return f"{self._number(value)} {counted(self.unit, value)}" if shown else self._number(value)

    def _number(self, value: Number) -> str:
        if self.percent:
            return f"{_written(Decimal(repr(float(value))) * 100)} %"
        return f"{round(value):,}" if self.whole else _written(Decimal(repr(float(value))))

    def parse(self, text: str) -> Number:
        """Return the number in a text. With or without unit; "1/6" is a fraction, also where percent are shown.

        Raises SettingsError, saying what is wrong or what is allowed.
        """
        bare = text.strip()
        for word in (self.unit, counted(self.unit, 1)):
            bare = bare.removesuffix(word).strip() if word else bare
        digits = bare.removesuffix("%").strip()
        percent = bare.endswith("%") or (self.percent and "/" not in digits)
        value: Number
        try:
            exact = _exact(digits) / (100 if percent else 1)
            if self.whole and exact.denominator != 1:
                raise ValueError("is not a whole number")
            value = int(exact) if self.whole else float(exact)
        except OverflowError:
            raise SettingsError(f"{bare} is too large") from None
        except ValueError as problem:
            raise SettingsError(f"{bare or 'nothing'} {problem}") from None
        if not self.allows(value):
            raise SettingsError(f"{self.text(value)} is not allowed: {self.allowed}")
        return value


def _exact(digits: str) -> Fraction:
    """Return the number written, exactly; raise ValueError with the end of a sentence, or OverflowError."""
    if re.fullmatch(r"[-+]?\d{1,3}([, \u00a0']\d{3})+(\.\d*)?", digits):
        digits = re.sub(r"[, \u00a0']", "", digits)
    elif digits.count(",") == 1 and "." not in digits:
        digits = digits.replace(",", ".")
    try:
        if "/" in digits:
            return Fraction(digits.replace(" ", ""))
        decimal = Decimal(digits.replace("\N{MINUS SIGN}", "-"))
        # As a fraction, 1e999999999 would fill the memory.
        if decimal.is_finite() and abs(decimal.adjusted()) > _LARGEST_EXPONENT:
            if decimal.adjusted() > 0:
                raise OverflowError
            return Fraction(0)
        return Fraction(decimal)
    except (InvalidOperation, ZeroDivisionError, ValueError):
        raise ValueError("is not a number") from None
    except OverflowError:
        if "inf" in digits.lower():
            raise ValueError("is not a number") from None
        raise


def counted(unit: str, value: Number) -> str:
    """Return a unit in the plural, or in the singular for 1."""
    if value != 1 or not unit.endswith("s") or unit.endswith("ss"):
        return unit
    return unit[:-2] if unit.endswith(("xes", "sses", "ches", "shes")) else unit[:-1]


def _written(value: Decimal) -> str:
    exact = value.normalize()
    short = exact if len(exact.as_tuple().digits) <= _DIGITS else Decimal(f"{value:.3e}").normalize()
    # Plain digits where a reader takes them in at a glance, powers of ten elsewhere.
    return f"{short:f}" if not short or -4 <= short.adjusted() < 7 else f"{float(short):g}"
