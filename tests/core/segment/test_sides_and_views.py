"""Mirrored views: which there are, and which structures change sides, by their names."""

from __future__ import annotations

import pytest

from genesis_core.errors import SettingsError
from genesis_core.inference.mirroring import Mirror, mirrors


def _exchanged(names: tuple[str, ...]) -> tuple[int, ...]:
    return mirrors(("x",), "LPS", names)[1].order


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
        ("hippocampus_lh", "hippocampus_rh"),
        ("LLung", "RLung"),
    ],
)
def test_sides_are_told_by_words(names: tuple[str, str]) -> None:
    assert _exchanged(("background", *names, "liver")) == (0, 2, 1, 3)


@pytest.mark.parametrize("name", ["liver", "cleft", "bright spot", "L1", "rib 4", "colour", "leftover", "T12"])
def test_other_words_have_no_side(name: str) -> None:
    assert _exchanged((name,)) == (0,)


@pytest.mark.parametrize(
    "names", [("kidney left",), ("rib left 1", "rib right 2"), ("l lung", "R lung", "lung r", "r lung")]
)
def test_a_side_needs_its_counterpart(names: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="has a side"):
        _exchanged(names)


def test_a_model_knows_the_words_of_its_training() -> None:
    names = ("links Niere", "rechts Niere")
    assert _exchanged(names) == (0, 1)
    assert mirrors(("x",), "LPS", names, ("links",), ("rechts",))[1].order == (1, 0)


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
