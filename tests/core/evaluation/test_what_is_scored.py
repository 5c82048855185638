"""Which structures are scored and compared: under any names, in cropped files, and only where somebody looked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from boxes_as_labels import labels, write

import genesis_core as gc
from genesis_core.studies.evaluation.picturing import picture_case
from genesis_core.studies.evaluation.results import Evaluation
from genesis_core.studies.evaluation.scoring import score_case
from genesis_core.volumes.label_volume import LabelVolume
from genesis_core.volumes.label_writing import write_labels
from genesis_core.volumes.volume import Geometry

LIVER, SPLEEN = (2, 2, 2), (7, 12, 4)
BOTH = {1: "liver", 2: "spleen"}


def compared(root: Path, first: dict[int, str] | None, second: dict[int, str] | None) -> Evaluation:
    """Two sets of predictions, named as asked, against references without names."""
    for k in range(3):
        for place, names in (("a", first), ("b", second), ("references", None)):
            write(root / place, f"c{k}.nii.gz", labels({1: LIVER, 2: SPLEEN}, names), with_names=names is not None)
    return gc.evaluate(root / "a", root / "references", root / "out", compare_with=root / "b")


@pytest.mark.parametrize(
    ("first", "second", "called"),
    [
        (BOTH, None, {"liver", "spleen"}),
        (None, BOTH, {"liver", "spleen"}),
        (BOTH, {1: "Leber", 2: "Milz"}, {"liver", "spleen"}),
    ],
)
def test_structures_matched_by_number_have_one_name_in_both_sets(
    tmp_path: Path, first: dict[int, str] | None, second: dict[int, str] | None, called: set[str]
) -> None:
    done = compared(tmp_path, first, second)
    assert {one.structure for one in done.comparisons} == called
    assert {one.structure for one in done.summary} == {one.structure for one in done.other_summary} == called
    assert "No picture" not in (tmp_path / "out" / "report.html").read_text()


def test_sets_without_a_structure_in_common_are_not_compared_and_that_is_said(tmp_path: Path) -> None:
    for k in range(2):
        write(tmp_path / "a", f"c{k}.nii.gz", labels({1: LIVER}, {1: "liver"}), with_names=True)
        write(tmp_path / "b", f"c{k}.nii.gz", labels({2: SPLEEN}, {2: "spleen"}), with_names=True)
        write(tmp_path / "references", f"c{k}.nii.gz", labels({1: LIVER, 2: SPLEEN}, BOTH), with_names=True)
    done = gc.evaluate(tmp_path / "a", tmp_path / "references", compare_with=tmp_path / "b")
    assert done.comparisons == ()
    assert any("no structure is scored in both" in note and "spleen" in note for note in done.notes)


def test_a_structure_that_a_reference_does_not_list_is_not_scored_there(tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path / "p", f"c{k}.nii.gz", labels({1: LIVER, 2: SPLEEN}, BOTH), with_names=True)
        listed = BOTH if k else {1: "liver"}
        boxes = {1: LIVER, 2: SPLEEN} if k else {1: LIVER}
        write(tmp_path / "r", f"c{k}.nii.gz", labels(boxes, listed), with_names=True)
    done = gc.evaluate(tmp_path / "p", tmp_path / "r")
    spleen = next(one for one in done.summary if one.structure == "spleen")
    assert (spleen.in_both, spleen.only_predicted, spleen.absent_in_both) == (2, 0, 0)
    assert any("spleen (1 case)" in note for note in done.notes)


def test_cropped_segmentations_of_slicer_are_scored_where_they_lie(tmp_path: Path) -> None:
    for k in range(2):
        whole = labels({1: LIVER}, {1: "liver"})
        write(tmp_path / "p", f"c{k}.nii.gz", whole, with_names=True)
        origin = tuple(2 * mm for mm in whole.geometry.spacing)
        cut = Geometry((4, 6, 6), whole.geometry.spacing, (origin[0], origin[1], origin[2]))
        (tmp_path / "r").mkdir(exist_ok=True)
        write_labels(LabelVolume((np.ones(cut.shape, np.uint8),), cut, whole.structures), tmp_path / f"r/c{k}.seg.nrrd")
    for one, two in (("p", "r"), ("r", "p")):
        done = gc.evaluate(tmp_path / one, tmp_path / two)
        assert [score.dice for case in done.cases for score in case.scores] == [1, 1]
        assert sum("cropped" in note for note in done.notes) == 1
        assert done.pairs is not None
        picture_case(done.results[0], "liver", done.pairs)


def test_places_to_ignore_are_not_scored() -> None:
    reference = labels({1: LIVER, 2: SPLEEN}, {1: "liver", 2: "ignore"})
    prediction = labels({1: LIVER}, {1: "liver", 2: "ignore"})
    prediction.layers[0][7:11, 12:18, 4:10] = 1
    (liver,) = score_case(prediction, reference).structures
    assert (liver.structure, liver.dice, liver.prediction_ml) == ("liver", 1, liver.reference_ml)
