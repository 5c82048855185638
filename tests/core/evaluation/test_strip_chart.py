"""Strip charts: every case is a dot at its place, names are escaped, strange values do no harm."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.errors import SettingsError
from genesis_core.pictures.strip_chart import Strip, strip_chart


def circles(svg: str) -> list[ElementTree.Element]:
    return [element for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("circle")]


@given(values=st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=20), bounded=st.booleans())
@settings(deadline=None, max_examples=80)
def test_any_values_give_valid_svg_with_a_dot_for_each_finite_one(values: list[float], bounded: bool) -> None:
    group = tuple((f"case{k}", value) for k, value in enumerate(values))
    svg = strip_chart([Strip("liver", (group,))], x_label="Dice", low=0 if bounded else None)
    assert len(circles(svg)) == sum(map(math.isfinite, values))
    assert not re.search(r"['\s,](nan|-?inf)['\s,]", svg)


def test_dots_lie_in_the_order_of_their_values_and_name_their_cases() -> None:
    group = (("worst <1>", 0.2), ("middle", 0.5), ("best", 0.9))
    dots = circles(strip_chart([Strip("a & b", (group,))], x_label="Dice", low=0, high=1))
    places = [float(dot.attrib["cx"]) for dot in dots]
    assert places == sorted(places)
    assert [next(iter(dot)).text for dot in dots] == ["worst <1>: 0.2", "middle: 0.5", "best: 0.9"]


def test_two_groups_have_a_legend_and_three_are_refused() -> None:
    group = (("c", 0.5),)
    svg = strip_chart([Strip("liver", (group, group))], x_label="Dice", group_names=("ours", "theirs"))
    assert "ours" in svg
    assert "theirs" in svg
    with pytest.raises(SettingsError, match="at most 2"):
        strip_chart([Strip("liver", (group,) * 3)], x_label="Dice")
