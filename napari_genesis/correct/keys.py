"""The keys of the Review dock, and what each does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_genesis.correct.case_control import CaseControl

# What each key does; none of them is napari's own (0.9): Ctrl+Backspace would remove layers, Ctrl+Shift+Z repeats a
# stroke, P and F and the digits are tools of Labels.
KEYS = {
    "next": "N",
    "previous": "Shift+N",
    "place": "J",
    "place back": "Shift+J",
    "accept": "Ctrl+Return",
    "reject": "Ctrl+Shift+R",
    "flag": "Ctrl+Shift+F",
    "undo": "Ctrl+Alt+Z",
}
# Return of the keypad.
_ENTER = "Ctrl+Enter"
# Held, they would decide on cases that nobody has seen yet.
DECIDING = (KEYS["accept"], _ENTER, KEYS["reject"], KEYS["flag"], KEYS["undo"])
# Structures that have a key: Alt with a digit.
NUMBERED = 9


def review_keys(cases: CaseControl) -> dict[str, tuple[str, Callable[[], None]]]:
    """Return for each key what it does, in words, and the function that does it."""
    places = cases.page.places
    keys: dict[str, tuple[str, Callable[[], None]]] = {
        KEYS["next"]: ("next case to do", lambda: cases.step(1)),
        KEYS["previous"]: ("previous case", lambda: cases.step(-1)),
        KEYS["place"]: ("next place", lambda: places.step(1)),
        KEYS["place back"]: ("previous place", lambda: places.step(-1)),
        KEYS["accept"]: ("accept", cases.accept),
        _ENTER: ("accept", cases.accept),
        KEYS["reject"]: ("reject", cases.reject),
        KEYS["flag"]: ("flag", cases.flag),
        KEYS["undo"]: ("undo the last decision", cases.deciding.undo),
    }
    for number in range(NUMBERED):
        keys[f"Alt+{number + 1}"] = (f"paint with structure {number + 1}", partial(cases.choose_number, number))
    return keys
