"""The line chart: valid SVG, honest axes, nothing that runs or loads from elsewhere."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.errors import SettingsError
from genesis_core.pictures.chart import Reference, Series, line_chart, running_mean, ticks

VALUES = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


@given(y=VALUES, log=st.booleans(), smooth=st.booleans(), reference=st.floats(allow_nan=True))
@settings(deadline=None, max_examples=150)
def test_any_values_give_valid_svg_with_finite_places(
    y: list[float], log: bool, smooth: bool, reference: float
) -> None:
    series = [Series("loss", list(range(len(y))), y, smooth=smooth)]
    svg = line_chart(series, x_label="step", y_label="loss", log_y=log, references=[Reference("baseline", reference)])
    ElementTree.fromstring(svg)
    assert not re.search(r"['\s,](nan|-?inf)['\s,]", svg)


def test_a_chart_names_its_axes_curves_and_reference_lines() -> None:
    svg = line_chart(
        [Series("training", [0, 1, 2], [0.3, 0.2, 0.1]), Series("validation", [0, 2], [0.31, 0.12], dots=True)],
        x_label="step",
        y_label="mean squared error",
        references=[Reference("returning the input", 0.25)],
    )
    written = texts(svg)
    for expected in ("step", "mean squared error", "training", "validation", "returning the input: 0.25"):
        assert expected in written
    assert svg.count("<polyline") == 2
    assert svg.count("<circle") == 2


def test_names_are_escaped_and_nothing_is_loaded_from_elsewhere() -> None:
    svg = line_chart([Series("<script>'&", [0, 1], [1, 2])], x_label="<b>", y_label='"q"')
    ElementTree.fromstring(svg)
    assert "<script" not in svg
    assert svg.count("http") == svg.count("http://www.w3.org/2000/svg")


def test_a_gap_in_the_values_is_a_gap_in_the_curve() -> None:
    svg = line_chart([Series("loss", range(5), [1, 2, math.nan, 2, 1])], x_label="x", y_label="y")
    assert svg.count("<polyline") == 2


def test_a_log_axis_leaves_out_what_is_not_above_zero() -> None:
    svg = line_chart([Series("loss", range(4), [1, 0, -1, 2])], x_label="x", y_label="y", log_y=True)
    assert svg.count("<circle") == 2


def test_higher_values_are_drawn_higher_on_both_axes() -> None:
    for log in (False, True):
        svg = line_chart([Series("loss", [0, 1, 2], [1, 10, 100])], x_label="x", y_label="y", log_y=log)
        points = re.search(r"points='([^']+)'", svg)
        assert points
        heights = [float(pair.split(",")[1]) for pair in points[1].split()]
        assert heights == sorted(heights, reverse=True)


def test_a_chart_without_points_says_so() -> None:
    assert "nothing to draw yet" in texts(line_chart([Series("loss", [], [])], x_label="x", y_label="y"))


def test_long_curves_are_thinned_but_keep_their_extremes() -> None:
    values = [1.0] * 50_000
    values[33_333] = 9.0
    svg = line_chart([Series("loss", range(50_000), values)], x_label="x", y_label="y")
    assert len(svg) < 60_000
    tallest = line_chart([Series("loss", range(50_000), [1.0] * 50_000)], x_label="x", y_label="y")
    assert svg != tallest


def test_curves_of_unequal_length_are_refused() -> None:
    with pytest.raises(SettingsError, match="'loss': 2 x values but 1 y"):
        line_chart([Series("loss", [0, 1], [1])], x_label="x", y_label="y")


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
@settings(deadline=None)
def test_ticks_are_round_and_inside(low: float, span: float) -> None:
    places = ticks(low, low + span)
    assert 1 <= len(places) <= 14
    assert all(low - 1e-6 * span <= place <= low + span + 1e-6 * span for place in places)


def test_the_running_mean_of_a_constant_is_the_constant_and_skips_gaps() -> None:
    assert running_mean([2.0] * 200) == pytest.approx([2.0] * 200)
    means = running_mean([1.0] * 100 + [math.nan] + [1.0] * 100)
    assert math.isnan(means[100])
    assert means[99] == pytest.approx(1.0)
