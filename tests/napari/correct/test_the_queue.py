"""What the queue shows: a row that stays the first, cases a newer model left out, and one that it drew anew."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from review_driving import open_case, paint, press, rest

from genesis_core.studies.review import Review, read_proposals
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.label_writing import write_labels
from napari_genesis.correct.queue_rows import Row
from napari_genesis.correct.queue_view import QueueView
from napari_genesis.correct.review_dock import ReviewDock
from napari_genesis.correct.wording import left_out_words

Open = Callable[..., ReviewDock]


@pytest.fixture
def review(workspace: Path) -> Review:
    return Review.open(workspace / "reviews" / "thorax")


def draw_anew(review: Review, cases: dict[str, float], name: str = "second") -> None:
    """Let a newer model, of a run of this name, have drawn nothing on some cases, with these uncertainties."""
    former = review.folder / "proposals" / read_proposals(review)[0].model
    digits = blake2b(name.encode(), digest_size=4).hexdigest()
    run = Path(shutil.copytree(review.run, review.run.parent / name))
    for card in run.rglob("model.yaml"):
        card.write_text(re.sub(r"weights_sha256: \S+", f"weights_sha256: {digits * 8}", card.read_text()))
    newer = Path(shutil.copytree(former, former.parent / digits))
    lines = [json.loads(line) for line in (newer / "ranking.jsonl").read_text().splitlines()]
    kept = [{**line, "uncertainty": cases[line["case"]]} for line in lines if line["case"] in cases]
    (newer / "ranking.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    for line in kept:
        labels = read_labels(newer / line["label"])
        for layer in labels.layers:
            layer[...] = 0
        write_labels(labels, newer / line["label"], overwrite=True)
    review.add_round(run)


def row_of(case: str, uncertainty: float) -> Row:
    return Row(case, uncertainty, uncertainty, (), "open", False)


def test_the_first_row_stays_chosen_until_another_one_is_picked(qtbot: Any) -> None:
    view = QueueView()
    qtbot.addWidget(view)
    view.show()
    view.show_rows([row_of("b", 0.5)], None)
    assert view.chosen == "b"
    view.show_rows([row_of("a", 0.7), row_of("b", 0.5)], None)
    assert view.chosen == "a"
    qtbot.keyClick(view, Qt.Key.Key_Down)
    view.show_rows([row_of("c", 0.9), row_of("a", 0.7), row_of("b", 0.5)], None)
    assert view.chosen == "b"
    # Another review: nothing is picked there.
    view.show_rows([], None)
    view.show_rows([row_of("b", 0.5)], None)
    view.show_rows([row_of("a", 0.7), row_of("b", 0.5)], None)
    assert view.chosen == "a"


def test_a_case_without_strokes_is_shown_as_the_newest_model_drew_it(
    viewer: Any, open_dock: Open, review: Review, qtbot: Any
) -> None:
    dock = open_dock(viewer, review.folder)
    labels = open_case(qtbot, dock, "new_0")
    assert np.count_nonzero(labels.data)
    draw_anew(review, {"new_0": 0.25, "new_1": 0.5})
    dock.choice.reload()
    rest(qtbot, dock)
    labels = open_case(qtbot, dock, "new_0")
    assert not np.count_nonzero(labels.data)
    assert "Uncertainty 0.250" in dock.parts.case.facts.shown
    # A draft is gone on with, though, and no stroke is lost before it is one.
    paint(labels, 2)
    draw_anew(review, {"new_0": 0.125}, "third")
    dock.choice.reload()
    rest(qtbot, dock)
    assert np.count_nonzero(open_case(qtbot, dock, "new_0").data)


def test_accepted_cases_are_shown_though_the_newest_model_left_them_out(
    viewer: Any, open_dock: Open, review: Review, qtbot: Any
) -> None:
    dock = open_dock(viewer, review.folder)
    open_case(qtbot, dock, "new_0")
    press(qtbot, dock.parts.buttons.accept_button)
    rest(qtbot, dock)
    draw_anew(review, {"new_1": 0.5, "new_2": 0.25})
    dock.parts.queue.choose("uncertainty", "accepted")
    dock.choice.reload()
    rest(qtbot, dock)
    assert [row.case for row in dock.rows] == ["new_0"]
    assert "an earlier model" in dock.rows[0].tip
    assert "3 cases, 1 accepted, 2 to do" in dock.parts.facts.shown
    open_case(qtbot, dock, "new_0")
    assert dock.work.case.decided
    # Taken back, it does not vanish either.
    dock.cases.deciding.undo()
    rest(qtbot, dock)
    dock.parts.queue.choose("uncertainty", "all")
    dock.choice.reload()
    rest(qtbot, dock)
    assert {row.case: row.state for row in dock.rows}["new_0"] == "draft"


def test_problems_of_a_ranking_are_named_and_accepted_cases_are_counted() -> None:
    left_out = [
        ("bad", "it is cut off"),
        ("a", "accepted"),
        ("b", "accepted"),
        ("known", "the model was trained on it"),
    ]
    said = left_out_words(left_out, {"a", "b"})
    assert said == "4 left out. bad: it is cut off; known: the model was trained on it; 2 are accepted already."
    many = left_out_words([(f"bad_{n}", "it is cut off") for n in range(5)], set())
    assert many.endswith("bad_2: it is cut off; 2 more.")
