"""Scales and quantities without a window: ends, round trips, steps, and numbers as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesis_core.errors import SettingsError
from napari_genesis.forms.quantity import Quantity, counted
from napari_genesis.forms.scale import TOP, Scale, stepped_freely

WHOLE = st.integers(-(10**9), 10**9)
REAL = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda value: value == 0 or abs(value) > 1e-6)


def _scale(one, other, whole, low_open=False, high_open=False):
    low, high = sorted((one, other))
    return low, high, Scale.between(low, high, whole=whole, low_open=low_open, high_open=high_open)


@given(WHOLE, WHOLE)
def test_both_ends_of_a_whole_scale_are_hit_exactly(one, other):
    low, high, scale = _scale(one, other, True)
    assert scale.value_at(0) == low
    assert scale.value_at(scale.places[-1]) == high
    assert all(type(value) is int for value in scale.values)


@given(REAL, REAL)
def test_both_ends_of_a_real_scale_are_hit_exactly(one, other):
    low, high, scale = _scale(one, other, False)
    assert scale.value_at(0) == low
    assert scale.value_at(scale.places[-1]) == high
    assert all(type(value) is float for value in scale.values)


@given(st.floats(1e-9, 1e3), st.floats(3, 12))
def test_a_logarithmic_slider_hits_both_ends_and_gives_every_decade_the_same_room(low, decades):
    high = low * 10**decades
    scale = Scale.between(low, high, whole=False)
    assert (scale.value_at(0), scale.value_at(TOP)) == (low, high)
    for share in (0.25, 0.5, 0.75):
        assert scale.value_at(round(TOP * share)) == pytest.approx(low * (high / low) ** share, rel=0.1)


@given(st.one_of(st.tuples(WHOLE, WHOLE, st.just(True)), st.tuples(REAL, REAL, st.just(False))))
def test_every_value_of_a_slider_comes_back_from_its_place(range_):
    _, _, scale = _scale(*range_)
    assert list(scale.values) == sorted(set(scale.values))
    assert list(scale.places) == sorted(set(scale.places))
    assert [scale.value_at(place) for place in scale.places] == list(scale.values)
    assert [scale.place_of(value) for value in scale.values] == list(scale.places)
    assert len(scale.values) <= 1100


@given(st.one_of(st.tuples(WHOLE, WHOLE, st.just(True)), st.tuples(REAL, REAL, st.just(False))), st.data())
def test_a_step_from_any_value_is_the_next_round_one_and_never_leaves_the_range(range_, data):
    low, high, scale = _scale(*range_)
    number = st.integers(low, high) if range_[2] else st.floats(low, high)
    value = data.draw(number)
    up, down = scale.stepped(value, 1), scale.stepped(value, -1)
    assert up in scale.values
    assert down in scale.values
    assert up > value or value == high
    assert down < value or value == low
    assert not any(value < other < up or down < other < value for other in scale.values)


def test_windows_from_none_to_a_million_take_sensible_steps():
    scale = Scale.between(0, 1_000_000, whole=True)
    assert scale.values[:12] == (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
    assert scale.stepped(10_000, 1) == 11_000
    assert scale.stepped(10_000, -1) == 9_900
    assert scale.stepped(10_000, 10) == 20_000
    assert scale.stepped(1, -1) == 0


def test_a_fraction_moves_by_one_percent_and_an_open_end_is_left_out():
    scale = Scale.between(0.0, 1.0, whole=False, low_open=True)
    assert scale.values[0] == 0.01
    assert scale.values[-1] == 1.0
    assert len(scale.values) == 100
    assert scale.stepped(1 / 6, 1) == 0.17
    assert scale.stepped(1 / 6, -1) == 0.16


def test_open_ends_of_whole_numbers_are_their_neighbours():
    assert Scale.between(0, 4, whole=True, low_open=True, high_open=True).values == (1, 2, 3)


def test_a_range_without_a_value_is_refused():
    with pytest.raises(ValueError, match="no value between"):
        Scale.between(0, 1, whole=True, low_open=True, high_open=True)


def test_a_range_too_narrow_for_round_values_still_has_one():
    (value,) = Scale.between(0.0, 1e-300, whole=False, low_open=True, high_open=True).values[:1]
    assert 0 < value < 1e-300


@given(st.floats(1e-12, 1e12), st.integers(1, 30))
def test_free_steps_stay_above_zero_and_come_back_to_round_numbers(value, steps):
    down = stepped_freely(value, -steps, whole=False)
    assert 0 < down < value
    assert stepped_freely(value, steps, whole=False) > value
    assert float(f"{down:.2g}") == down


@given(st.integers(-(2**64), 2**64))
def test_free_steps_of_whole_numbers_are_whole_and_go_up(value):
    up = stepped_freely(value, 1, whole=True)
    assert type(up) is int
    assert up > value
    assert stepped_freely(value, -1, whole=True) < value


@given(st.floats(0, 1))
def test_a_fraction_shown_in_percent_reads_back_within_what_is_shown(value):
    fraction = Quantity(False, 0.0, 1.0, unit="of the axis")
    assert fraction.text(value).endswith(" %")
    assert fraction.parse(fraction.text(value)) == pytest.approx(value, rel=5e-4, abs=1e-300)


@given(st.integers(0, 10_000))
def test_four_digits_of_percent_are_exact(steps):
    fraction = Quantity(False, 0.0, 1.0, unit="probability")
    value = steps / 10_000
    assert fraction.parse(fraction.text(value)) == value


@given(st.integers(-(2**70), 2**70))
def test_whole_numbers_read_back_exactly_however_large(value):
    assert Quantity(True).parse(Quantity(True).text(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 0.12),
        ("12%", 0.12),
        (" 12,5 % ", 0.125),
        ("1/6", 1 / 6),
        ("50/3 %", 1 / 6),
        ("10 of the axis", 0.1),
        ("1e1", 0.1),
    ],
)
def test_fractions_are_typed_in_many_ways(text, value):
    assert Quantity(False, 0.0, 1.0, unit="of the axis").parse(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("10,000", 10_000), ("1e4", 10_000), ("10 000", 10_000), ("3 voxels", 3), ("1 voxel", 1)]
)
def test_whole_numbers_are_typed_in_many_ways(text, value):
    assert Quantity(True, 0, 1_000_000, unit="voxels").parse(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a number"),
        ("many", "many is not a number"),
        ("nan", "not a number"),
        ("inf", "not a number"),
        ("1e999999999", "too large"),
        ("1e-999999999", "not allowed"),
        ("1e300", "not allowed"),
        ("1/0", "not a number"),
        ("150", r"150 % is not allowed: above 0 % up to 100 %"),
        ("0", r"0 % is not allowed: above 0 % up to 100 %"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_allowed(text, reason):
    with pytest.raises(SettingsError, match=reason):
        Quantity(False, 0.0, 1.0, low_open=True, unit="of the axis").parse(text)


def test_half_a_voxel_is_refused():
    with pytest.raises(SettingsError, match=r"2\.5 is not a whole number"):
        Quantity(True, 0, 10, unit="voxels").parse("2.5")


def test_numbers_are_shown_as_people_write_them():
    assert Quantity(True, 0, 10**6).text(10_000) == "10,000"
    assert Quantity(True, unit="voxels", shows_unit=True).text(3) == "3 voxels"
    assert Quantity(True, unit="voxels", shows_unit=True).text(1) == "1 voxel"
    percent = Quantity(False, 0.0, 1.0, unit="of the axis")
    assert [percent.text(value) for value in (1 / 6, 0.1, 0.95, 0.0005, 1.0, 0.0)] == [
        "16.67 %",
        "10 %",
        "95 %",
        "0.05 %",
        "100 %",
        "0 %",
    ]
    assert [Quantity(False).text(value) for value in (1e-3, 1e-5, 2.5e8, -0.25, 0.0)] == [
        "0.001",
        "1e-05",
        "2.5e+08",
        "-0.25",
        "0",
    ]


@pytest.mark.parametrize(
    ("unit", "one"), [("boxes", "box"), ("voxels", "voxel"), ("mm", "mm"), ("classes", "class"), ("loss", "loss")]
)
def test_one_of_a_unit_is_singular(unit, one):
    assert counted(unit, 1) == one
    assert counted(unit, 2) == unit


def test_bounds_are_said_in_words():
    assert Quantity(True, 1, 100).allowed == "from 1 up to 100"
    assert Quantity(False, low=0.0, low_open=True).allowed == "above 0"
    assert Quantity(True, low=1).allowed == "at least 1"
    assert Quantity(True, high=9, high_open=True).allowed == "below 9"
    assert Quantity(True).allowed == ""
