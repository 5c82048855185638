"""What is read of a fine-tuning: its folds as one run, what it reached, and the case that it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genesis_core.training.previews import write_preview
from genesis_core.training.run_folder import RunFolder
from napari_genesis.jobs.json_lines import Answer, JsonLines
from napari_genesis.jobs.labelled_check import LabelledCheck
from napari_genesis.jobs.reading import RunReader
from napari_genesis.jobs.view import NamedColour
from napari_genesis.training.wording import about, headline, time_left


def line(kind: str, **values: Any) -> str:
    return json.dumps({"v": 1, "time": values.pop("time", 0.0), "event": kind, **values}) + "\n"


def append(run: RunFolder, text: str) -> None:
    with open(run.events_file, "a", encoding="utf-8") as file:
        file.write(text)


def steps(count: int, seconds: float = 2.0) -> str:
    return "".join(
        line("step", step=n, loss=1 / n, seconds=1.0, waited=0.0, time=n * seconds) for n in range(1, count + 1)
    )


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder.create(tmp_path / "run")
    run.settings_file.write_text("task: segmentation\nplan: {folds: 'three: few subjects.'}\n")
    run.set_status("running", 0, None)
    return run


def fold(run: RunFolder, number: int, total: int, *, finished: bool) -> RunFolder:
    made = RunFolder.create(run.path / "folds" / str(number))
    made.settings_file.write_text("task: segmentation\ncases: {training: [a, b], validation: [c]}\n")
    made.set_status("finished" if finished else "running", total if finished else 0, total)
    append(run, line("fold", step=0, fold=number + 1, folds=3, folder=f"folds/{number}"))
    return made


def test_before_the_plan_only_what_was_set_is_told(run: RunFolder) -> None:
    run.settings_file.write_text("task: segmentation\nnetwork: {width: 8}\n")
    view = RunReader(run).read()
    assert view is not None
    assert about(view) == "from scratch, width 8, on auto"
    run.settings_file.write_text("task: segmentation\ntraining: {batch_size: 4}\nplan: {folds: 'three.'}\n")
    append(run, line("prepared", cases=3, message="3 cases"))
    view = RunReader(run).read()
    assert view is not None
    assert "batch 4" in about(view)
    assert "voxels" in about(view)


def test_folds_count_as_one_run_and_keep_their_own_curves(run: RunFolder) -> None:
    append(run, line("prepared", cases=3, message="3 cases"))
    first = fold(run, 0, 10, finished=True)
    append(first, line("started", step=0, total_steps=10) + steps(10) + line("validation", step=10, dice_liver=0.5))
    append(first, line("finished", step=10, seconds=20.0) + line("held_out", step=10, case="c", dice={"liver": 0.75}))
    append(first, line("scores", step=10, cases=1, dice_liver=0.75, mean_dice=0.75))
    second = fold(run, 1, 10, finished=False)
    append(second, line("started", step=0, total_steps=10) + steps(4))
    reader = RunReader(run)
    view = reader.read()
    assert view is not None
    assert (view.step, view.total_steps, view.of_folds, len(view.folds)) == (14, 30, 3, 2)
    assert view.facts is not None
    assert view.facts.plan == {"folds": "three: few subjects."}
    assert view.training_now is view.folds[1]
    assert len(view.folds[0].steps) == 10
    assert view.folds[0].scores == {"dice_liver": 0.75, "mean_dice": 0.75}
    assert view.held_out == {"c": {"liver": 0.75}}
    assert view.scores == {}
    # 6 steps of this fold, and 10 of the third, at 2 s each.
    assert view.pace is not None
    assert view.pace.seconds_left == pytest.approx(32.0)
    assert headline("running", view) == "Training fold 2 of 3: step 4 of 10"
    assert time_left(view, lambda: 0.0).startswith("32 s left")
    assert reader.read() is None
    append(second, line("step", step=5, loss=0.1, seconds=1.0, waited=0.0, time=10.0))
    later = reader.read()
    assert later is not None
    assert later.step == 15
    append(second, line("finished", step=10) + line("held_out", step=10, case="d", dice={"liver": None}))
    scoring = reader.read()
    assert scoring is not None
    assert headline("running", scoring) == "Scoring fold 2 of 3 on held-out cases: 1 of 1"
    append(run, line("folds_finished", step=30, folds=3, dice_liver=0.7, mean_dice=0.7))
    run.set_status("finished", 30, 30, "all 3 folds done")
    (done,) = [view for _ in range(1) if (view := RunReader(run).read()) is not None]
    assert done.scores == {"dice_liver": 0.7, "mean_dice": 0.7}
    assert headline("finished", done) == "Finished: 3 folds, 30 steps in all"


def test_the_case_of_a_preview_comes_with_its_names_colours_and_voxels(run: RunFolder) -> None:
    maps = np.ones((1, 2, 3, 4), np.uint8)
    arrays = {
        "case_image": maps.astype(np.float16),
        "case_prediction": maps,
        "case": np.array("case_7"),
        "case_spacing": np.array((0.5, 0.5, 3.0)),
        "structures": np.array(["liver", "cyst"]),
        "colours": np.array([(1, 2, 3), (4, 5, 6)], np.uint8),
    }
    append(run, line("preview", step=5, file=write_preview(run, 5, arrays)))
    view = RunReader(run).read()
    assert view is not None
    preview = view.preview
    assert preview is not None
    assert preview.structures == (NamedColour("liver", (1, 2, 3)), NamedColour("cyst", (4, 5, 6)))
    assert (preview.case, preview.spacing) == ("case_7", (0.5, 0.5, 3.0))
    assert preview.arrays["case_prediction"].dtype == np.uint8
    assert preview.arrays["case_image"].dtype == np.float32
    # What does not fit together is passed over, and nothing is raised.
    wrong = {**arrays, "colours": np.zeros((5, 3), np.uint8), "case_spacing": np.array((0.0, np.nan, 1.0))}
    append(run, line("preview", step=6, file=write_preview(run, 6, wrong)))
    view = RunReader(run).read()
    assert view is not None
    assert view.preview is not None
    assert (view.preview.structures, view.preview.spacing) == ((), None)


def test_a_command_answers_with_its_lines_or_says_why_not(qtbot: Any, tmp_path: Path) -> None:
    lines, heard = JsonLines("test"), []
    lines.answered.connect(heard.append)
    lines.start(["inspect", str(tmp_path / "nowhere"), "--labelled", "--json"])
    # Only the newest counts.
    (tmp_path / "set").mkdir()
    lines.start(["inspect", str(tmp_path / "set"), "--labelled", "--json"])
    qtbot.waitUntil(lambda: bool(heard) and heard[-1].done, timeout=30_000)
    (answer,) = [one for one in heard if one.done]
    assert isinstance(answer, Answer)
    first, *more = answer.problem.splitlines()
    assert first.endswith("not a labelled folder: it is empty.")
    assert any("imagesTr" in text for text in more)
    assert not lines.busy


def test_a_check_is_counted_and_its_problems_ranked() -> None:
    case = {"status": "usable", "has_label": True, "part": "training"}
    summary = {
        "subjects": 2,
        "left_out": 1,
        "structures": [
            {"name": "liver", "value": 1, "colour": [1, 2, 3], "cases": 2, "looked_for": 2, "median": 3.5},
            {"name": "cyst", "value": 2, "colour": None, "cases": 1, "looked_for": 2, "median": None},
            {"name": "nowhere", "value": 3, "colour": None, "cases": 0, "looked_for": 2, "median": None},
        ],
        "problems": [
            {"kind": "specks", "severity": "note", "cases": ["a"], "text": "Specks.", "fix": "Look."},
            {"kind": "unreadable", "severity": "left_out", "cases": ["b"], "text": "Broken.", "fix": "Copy again."},
        ],
    }
    check = LabelledCheck(Path("set"), (case, case, {**case, "part": "test"}, {"status": "left out"}), summary, True)
    assert (check.usable, check.left_out, check.subjects) == (2, 1, 2)
    liver, cyst = check.structures
    assert liver.colour == (1, 2, 3)
    assert cyst.colour != liver.colour
    assert [one.severity for one in check.problems] == ["left_out", "note"]
