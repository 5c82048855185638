"""Letters and camera orientations, checked against the patient's directions themselves."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from napari_genesis.view.head_up import HeadUp
from napari_genesis.view.orientation import EdgeLetters, Orientation, View, edge_letters, upright, view_of

# Left, posterior, superior.
TOWARD = {"x": np.array([1, 0, 0]), "y": np.array([0, 1, 0]), "z": np.array([0, 0, 1])}
NAMED = {
    "L": TOWARD["x"],
    "R": -TOWARD["x"],
    "P": TOWARD["y"],
    "A": -TOWARD["y"],
    "S": TOWARD["z"],
    "I": -TOWARD["z"],
}
USUAL: Orientation = ("towards", "down", "right")
AXIAL: View = ("z", "y", "x")
CORONAL: View = ("y", "z", "x")
SAGITTAL: View = ("x", "z", "y")


@pytest.mark.parametrize(
    ("view", "letters"),
    [
        (AXIAL, EdgeLetters("A", "P", "R", "L")),
        (CORONAL, EdgeLetters("S", "I", "R", "L")),
        (SAGITTAL, EdgeLetters("S", "I", "A", "P")),
    ],
)
def test_the_three_planes_are_as_radiologists_see_them(view: View, letters: EdgeLetters) -> None:
    assert edge_letters(view, upright(view, USUAL)) == letters


@pytest.mark.parametrize("view", list(permutations("zyx")))
@pytest.mark.parametrize("flat", list(product(("up", "down"), ("left", "right"))))
def test_letters_name_the_ends_of_the_axes(view: View, flat: tuple[str, str]) -> None:
    letters = edge_letters(view, ("away", *flat))
    assert view[1] is not None
    assert view[2] is not None
    grows_down = TOWARD[view[1]] * (1 if flat[0] == "down" else -1)
    grows_right = TOWARD[view[2]] * (1 if flat[1] == "right" else -1)
    assert NAMED[letters.bottom] == pytest.approx(grows_down)
    assert NAMED[letters.top] == pytest.approx(-grows_down)
    assert NAMED[letters.right] == pytest.approx(grows_right)
    assert NAMED[letters.left] == pytest.approx(-grows_right)


@pytest.mark.parametrize("view", list(permutations("zyx")))
@pytest.mark.parametrize("flat", list(product(("up", "down"), ("left", "right"))))
def test_no_view_mirrors_the_patient_in_3d(view: View, flat: tuple[str, str]) -> None:
    depth, vertical, horizontal = upright(view, ("towards", *flat))
    letters = edge_letters(view, (depth, vertical, horizontal))
    assert view[0] is not None
    toward_the_viewer = TOWARD[view[0]] * (1 if depth == "towards" else -1)
    assert np.cross(NAMED[letters.right], NAMED[letters.top]) == pytest.approx(toward_the_viewer)


def test_only_views_with_superior_up_or_down_are_turned() -> None:
    for view in permutations("zyx"):
        assert upright(view, USUAL)[1:] == (("up", "right") if view[1] == "z" else ("down", "right"))


def test_frames_come_before_the_axes_of_the_scan() -> None:
    assert view_of((0, 1, 2, 3)) == AXIAL
    assert view_of((0, 2, 1, 3)) == CORONAL
    assert view_of((3, 0, 1, 2)) == (None, "z", "y")
    assert edge_letters(view_of((1, 2, 0, 3)), USUAL) == EdgeLetters("", "", "R", "L")


def test_a_view_without_one_axis_of_the_patient_keeps_its_depth() -> None:
    assert upright((None, "z", "y"), USUAL) == ("towards", "up", "right")


def test_every_view_is_found_again_as_it_was_left() -> None:
    memory = HeadUp()
    axial = memory.follow(AXIAL, USUAL)
    assert axial[1:] == ("down", "right")
    flipped = (axial[0], "down", "left")
    # Nothing is done against a flip by hand, until other axes are shown.
    assert memory.follow(AXIAL, flipped) == flipped
    coronal = memory.follow(CORONAL, flipped)
    assert coronal[1:] == ("up", "right")
    head_down = (coronal[0], "down", "right")
    assert memory.follow(CORONAL, head_down) == head_down
    assert memory.follow(AXIAL, head_down) == flipped
    assert memory.follow(CORONAL, flipped) == head_down


def test_without_scans_the_camera_is_as_before_them() -> None:
    memory = HeadUp()
    assert memory.follow(None, USUAL) == USUAL
    coronal = memory.follow(CORONAL, USUAL)
    assert memory.follow(None, coronal) == USUAL
    # Nothing is remembered of scans that are gone.
    again = memory.follow(CORONAL, ("towards", "down", "left"))
    assert again[1:] == ("up", "left")
    by_hand = ("away", "down", "right")
    assert memory.follow(None, by_hand) == by_hand
