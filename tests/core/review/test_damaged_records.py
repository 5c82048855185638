"""A damaged record of what was begun: it is named with what to do, nothing is deleted, and looking goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from review_files import corrected

from genesis_core.errors import ReviewError
from genesis_core.studies.review import Review, accept, read_proposals, read_states, undo


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"moves": [], "draft": null, "line": {}}', "\udcff"])
@pytest.mark.parametrize("record", [".accepting/ab12/intent.json", "undone/1/undoing.json"])
def test_a_damaged_record_is_named_and_nothing_is_deleted(review: Review, record: str, text: str) -> None:
    path = review.folder / record
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    beside = path.with_name("a.nii.gz")
    beside.write_bytes(b"somebody's work")
    opened = Review.open(review.folder)
    assert len(read_proposals(opened)) == 3
    for act in (lambda: accept(opened, "a", corrected(opened)), lambda: undo(opened)):
        with pytest.raises(ReviewError, match=f"{path.name}: is damaged.*move") as refused:
            act()
        assert str(path.parent) in str(refused.value)
    assert beside.read_bytes() == b"somebody's work"
    assert path.exists()
    shutil.move(path.parent, Path(review.folder).parent / "away")
    accept(opened, "a", corrected(opened))
    assert read_states(opened)["a"].state == "accepted"
