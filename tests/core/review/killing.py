"""Kill a program at each of its writes in turn, and look at what the next one finds. Run as a program.

    python killing.py accept|undo TEMPLATE WORK

TEMPLATE is a review with a draft of case "a" (accept), or with "a" accepted (undo). For every n a copy of it is made, a
forked child does the action and dies before its n-th write into the copy, and another child opens the copy and checks
it. The parent itself computes nothing, so that forking is safe. Prints the number of places it died at.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK  # noqa: F401 - loaded once, before any child needs it

import genesis_core as gc
import genesis_core.model.card
import genesis_core.model.versions
import genesis_core.studies.review.correction
import genesis_core.training.run_folder
import genesis_core.volumes.labelled.finding
import genesis_core.volumes.labelled.measuring
import genesis_core.volumes.labelled.splitting
import genesis_core.volumes.writing
from genesis_core.errors import ReviewError
from genesis_core.studies.review import Review, accept, read_decisions, read_draft, read_states, undo
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.labelled.reading_cases import read_case

CHANGING = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}


def die_before(number: int, folder: Path) -> None:
    """End this process, without any clean-up, before its `number`-th write below `folder`."""
    left = number

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event == "open":
            writes = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if not writes:
                return
        elif event not in CHANGING:
            return
        if event != "os.truncate" and str(folder) not in str(arguments[0]):
            return
        left -= 1
        if left < 0:
            os._exit(9)

    sys.addaudithook(hook)


def in_child(work: Callable[[], None]) -> int:
    """Return the exit code of a forked child that does `work`."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def drawn(folder: Path) -> np.ndarray:
    """The label that training would find for case "a"."""
    found = gc.find_labelled(folder)
    (case,) = [one for one in found.cases if one.name == "a"]
    label = read_case(case, found.structures).label
    assert label is not None
    assert [one.name for one in label.structures] == ["soft tissue", "bone"]
    return label.as_map()


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def check(folder: Path, wanted: np.ndarray) -> None:
    """Open what a killed program left: it is accepted whole or not at all, nothing is lost, and work goes on."""
    review = Review.open(folder)
    assert files(folder / ".accepting") == [], files(folder / ".accepting")
    state = read_states(review)["a"].state
    if state == "accepted":
        assert np.array_equal(drawn(review.corrected), wanted)
        assert [one.kind for one in read_decisions(review)].count("accepted") >= 1
        try:
            accept(review, "a", read_labels(review.corrected / "labels" / "a.nii.gz"))
        except ReviewError:
            pass
        else:
            raise AssertionError("accepted twice")
        undo(review)
        state = read_states(review)["a"].state
    assert state == "draft", state
    draft = read_draft(review, "a")
    assert draft is not None
    assert np.array_equal(draft.as_map(), wanted)
    assert files(review.corrected / "images") == files(review.corrected / "labels") == []
    accept(review, "a", draft)
    assert np.array_equal(drawn(review.corrected), wanted)
    lines = (review.folder / "decisions.jsonl").read_text().splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == len(lines), "a decision stands twice"


def main(action: str, template: Path, work: Path) -> None:
    wanted = np.load(template.parent / "wanted.npy")
    number, done = 0, False
    while not done:
        folder = work / f"{action}_{number}"
        shutil.copytree(template, folder)

        def act(folder: Path = folder, number: int = number) -> None:
            review = Review.open(folder)
            draft = read_draft(review, "a")
            die_before(number, folder)
            if action == "undo":
                undo(review)
            else:
                assert draft is not None
                accept(review, "a", draft)

        code = in_child(act)
        assert code in (0, 9), (number, code)
        done = code == 0
        assert in_child(lambda folder=folder: check(folder, wanted)) == 0, f"{action}: killed before write {number}"
        shutil.rmtree(folder)
        number += 1
    sys.stdout.write(f"{number - 1}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
