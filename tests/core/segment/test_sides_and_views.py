"""Mirrored views: which there are, and which structures change sides, by their names."""

from __future__ import annotations

import pytest

from genesis_core.errors import SettingsError
from genesis_core.inference.mirroring import Mirror, exchange_sides, mirrors


@pytest.mark.parametrize(
    "names",
    [
        ("kidney_left", "kidney_right"),
        ("left kidney", "right kidney"),
        ("kidney L", "kidney R"),
        ("KidneyLeft", "KidneyRight"),
        ("Lung-l", "lung_R"),
        ("rib_left_4", "rib_right_4"),
        ("Left adrenal gland", "right_adrenal_gland"),
    ],
)
def test_sides_are_told_by_words(names: tuple[str, str]) -> None:
    assert exchange_sides(("background", *names, "liver")) == (0, 2, 1, 3)


@pytest.mark.parametrize("name", ["liver", "cleft", "bright spot", "L1", "rib 4", "colour", "leftover", "T12"])
def test_other_words_have_no_side(name: str) -> None:
    assert exchange_sides((name,)) == (0,)


@pytest.mark.parametrize(
    "names", [("kidney left",), ("rib left 1", "rib right 2"), ("l lung", "R lung", "lung r", "r lung")]
)
def test_a_side_needs_its_counterpart(names: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="has a side"):
        exchange_sides(names)


def test_every_combination_of_axes_is_a_view() -> None:
    names = ("background", "lung left", "lung right")
    straight, swapped = (0, 1, 2), (0, 2, 1)
    assert mirrors((), "LPS", names) == (Mirror((), straight),)
    assert mirrors(("x", "z"), "RAS", names) == (
        Mirror((), straight),
        Mirror((2,), swapped),
        Mirror((0,), straight),
        Mirror((2, 0), swapped),
    )
    # Where left-right runs along z, that is the axis that exchanges sides.
    assert mirrors(("x",), "PSL", names)[1] == Mirror((2,), straight)
    assert mirrors(("z",), "PSL", names)[1] == Mirror((0,), swapped)


@pytest.mark.parametrize("flips", [("w",), ("x", "x"), ("X",)])
def test_unknown_axes_are_refused(flips: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="flips = "):
        mirrors(flips, "LPS", ("liver",))
