"""Folders of predictions against folders of references, end to end: pairing, files, report, command line."""

from __future__ import annotations

import csv
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from boxes_as_labels import labels, write

import genesis_core as gc
from genesis_core.cli.main import run
from genesis_core.errors import OutputExistsError, VolumeError
from genesis_core.studies.evaluation.picturing import PREDICTION, REFERENCE, picture_case
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.label_volume import LabelVolume
from genesis_core.volumes.volume import Volume

NAMES = {1: "liver", 2: "tumour"}


def folders(root: Path, cases: int = 7, *, suffix: str = "", with_names: bool = True) -> tuple[Path, Path]:
    """Predictions whose liver is shifted by 0, 1, ... voxels and whose tumour is missed in the last case."""
    for k in range(cases):
        reference = labels({1: (2, 2, 2), 2: (7, 12, 4)}, NAMES)
        drawn = {1: (2, 2, 2 + k % 4)} | ({2: (7, 12, 5)} if k < cases - 1 else {})
        write(root / "references", f"case{k}.nii.gz", reference, with_names=with_names)
        write(root / "predictions", f"case{k}{suffix}.nii.gz", labels(drawn, NAMES), with_names=with_names)
    return root / "predictions", root / "references"


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


class Page(HTMLParser):
    """What a page loads from elsewhere, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith("data:")]
        if tag not in ("meta", "img", "line", "circle", "rect", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "circle", "rect"):
            assert self.open.pop() == tag


def test_an_evaluation_of_folders_gives_scores_by_case_and_structure_and_a_page_that_loads_nothing(
    tmp_path: Path,
) -> None:
    predictions, references = folders(tmp_path)
    done = gc.evaluate(predictions, references, tmp_path / "out")
    found = rows(tmp_path / "out" / "scores.csv")
    assert [(row["case"], row["structure"]) for row in found] == [
        (f"case{k}", name) for k in range(7) for name in ("liver", "tumour")
    ]
    liver = [float(row["dice"]) for row in found if row["structure"] == "liver"]
    assert liver == pytest.approx([1 - shift / 6 for shift in (0, 1, 2, 3, 0, 1, 2)])
    assert found[-1] | {"presence": "missed", "dice": "0.0", "hd95_mm": ""} == found[-1]
    summary = {one.structure: one for one in done.summary}
    assert summary["tumour"].missed == 1
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert content["summary"][0]["metrics"]["dice"]["mean"] == pytest.approx(np.mean(liver))
    assert set(content["versions"]) >= {"numpy", "scipy", "monai"}
    assert "foreground" not in content["definitions"]["dice"]["is"]
    text = (tmp_path / "out" / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.loaded == []
    assert "<script" not in text
    assert str(tmp_path) not in text
    assert str(tmp_path) not in (tmp_path / "out" / "scores.json").read_text()


@pytest.mark.parametrize("suffix", ["_prediction", "_seg", "_pred", ""])
def test_predictions_are_paired_by_name_whatever_is_put_behind_it(tmp_path: Path, suffix: str) -> None:
    predictions, references = folders(tmp_path, 2, suffix=suffix)
    done = gc.evaluate(predictions, references)
    assert [case.name for case in done.cases] == ["case0", "case1"]
    assert done.left_out == ()


def test_missing_extra_and_damaged_predictions_are_named_and_the_rest_is_scored(tmp_path: Path) -> None:
    predictions, references = folders(tmp_path, 5)
    (predictions / "case1.nii.gz").unlink()
    (predictions / "case2.nii.gz").write_bytes(b"no scan at all")
    write(predictions, "case3.nii.gz".replace("3", "9"), labels({1: (2, 2, 2)}, NAMES), with_names=True)
    (predictions / "case3.nii.gz").unlink()
    (predictions / "case3.json").unlink()
    write(predictions, "case3.nii.gz", labels({1: (2, 2, 2)}, NAMES, spacing=(1, 1, 1)), with_names=True)
    done = gc.evaluate(predictions, references, tmp_path / "out")
    assert [case.name for case in done.cases] == ["case0", "case4"]
    left = dict(done.left_out)
    assert set(left) == {"case1", "case2", "case3"}
    assert "no prediction" in left["case1"]
    assert "predictions/case2.nii.gz" in left["case2"]
    assert "another grid" in left["case3"]
    assert any("case9" in note for note in done.notes)
    assert "another grid" in (tmp_path / "out" / "report.html").read_text()


def test_nothing_to_pair_or_nothing_that_can_be_scored_is_an_error(tmp_path: Path) -> None:
    predictions, references = folders(tmp_path, 2)
    write(tmp_path / "others", "patient.nii.gz", labels({1: (2, 2, 2)}))
    with pytest.raises(VolumeError, match="no prediction is called like a reference"):
        gc.evaluate(tmp_path / "others", references)
    for path in predictions.glob("*.nii.gz"):
        path.write_bytes(b"nothing")
    with pytest.raises(VolumeError, match="no case could be scored"):
        gc.evaluate(predictions, references)


def test_structures_that_one_side_never_names_are_left_out_and_told(tmp_path: Path) -> None:
    for k in range(2):
        write(tmp_path / "p", f"c{k}.nii.gz", labels({1: (2, 2, 2)}, {1: "liver", 4: "vessel"}), with_names=True)
        boxes, names = {1: (2, 2, 2), 2: (7, 12, 4)}, {1: "Liver", 2: "kidney"}
        write(tmp_path / "r", f"c{k}.nii.gz", labels(boxes, names), with_names=True)
    done = gc.evaluate(tmp_path / "p", tmp_path / "r")
    assert [one.structure for one in done.summary] == ["Liver"]
    assert any("no prediction lists them: kidney" in note for note in done.notes)
    assert any("no reference lists them: vessel" in note for note in done.notes)


def test_a_structure_a_prediction_lists_elsewhere_is_missed_where_it_is_not(tmp_path: Path) -> None:
    for k in range(2):
        drawn = {1: (2, 2, 2)} | ({2: (7, 12, 4)} if k else {})
        write(tmp_path / "p", f"c{k}.nii.gz", labels(drawn, {v: NAMES[v] for v in drawn}), with_names=True)
        write(tmp_path / "r", f"c{k}.nii.gz", labels({1: (2, 2, 2), 2: (7, 12, 4)}, NAMES), with_names=True)
    tumour = next(one for one in gc.evaluate(tmp_path / "p", tmp_path / "r").summary if one.structure == "tumour")
    assert (tumour.in_both, tumour.missed) == (1, 1)


def test_two_sets_are_compared_by_subject_and_the_verdict_is_on_the_page(tmp_path: Path) -> None:
    predictions, references = folders(tmp_path, 8)
    perfect = tmp_path / "perfect"
    for k in range(8):
        volume = read_labels(references / f"case{k}.nii.gz")
        write(perfect, f"case{k}.nii.gz", volume, with_names=True)
    subjects = {f"case{k}": f"person{k // 2}" for k in range(8)}
    done = gc.evaluate(perfect, references, tmp_path / "out", compare_with=predictions, subjects=subjects)
    liver = next(one for one in done.comparisons if one.structure == "liver" and one.metric == "dice")
    assert (liver.subjects, liver.cases) == (4, 8)
    assert "too few for any test" in liver.in_words()
    alone = gc.evaluate(perfect, references, tmp_path / "out", compare_with=predictions, overwrite=True)
    liver = next(one for one in alone.comparisons if one.structure == "liver" and one.metric == "dice")
    assert liver.better == "A"
    assert "perfect is better by 0.2" in (tmp_path / "out" / "report.html").read_text()
    assert len(rows(tmp_path / "out" / "compared_scores.csv")) == 16


def test_with_share_no_name_of_a_case_or_folder_is_in_any_file(tmp_path: Path) -> None:
    predictions, references = folders(tmp_path / "john_doe_hospital", 3)
    (predictions / "case1.nii.gz").write_bytes(b"broken")
    gc.evaluate(predictions, references, tmp_path / "out", share=True)
    for path in (tmp_path / "out").iterdir():
        text = path.read_text()
        assert "case_" in text
        assert not any(name in text for name in ("case0", "case1", "case2", "john_doe", "predictions/"))


def test_results_are_never_replaced_unasked_and_inputs_never_touched(tmp_path: Path) -> None:
    predictions, references = folders(tmp_path, 2)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    gc.evaluate(predictions, references, tmp_path / "out")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        gc.evaluate(predictions, references, tmp_path / "out")
    assert all(path.read_bytes() == content for path, content in before.items())


def test_the_picture_shows_both_outlines_at_the_slice_with_the_largest_disagreement(tmp_path: Path) -> None:
    reference, drawn = labels({1: (2, 2, 2)}), labels({1: (2, 2, 2)})
    array = drawn.layers[0].copy()
    array[4] = np.roll(array[4], 4, axis=1)
    write(tmp_path / "p", "c.nii.gz", LabelVolume((array,), drawn.geometry, drawn.structures))
    write(tmp_path / "r", "c.nii.gz", reference)
    scan = Volume(np.random.default_rng(0).normal(size=reference.geometry.shape).astype(np.float32), reference.geometry)
    (tmp_path / "i").mkdir()
    gc.write_volume(scan, tmp_path / "i" / "c.nii.gz")
    for images in (None, tmp_path / "i"):
        done = gc.evaluate(tmp_path / "p", tmp_path / "r", images=images)
        assert done.pairs is not None
        picture, note = picture_case(done.results[0], "label 1", done.pairs)
        assert note is None
        for colour in (REFERENCE, PREDICTION):
            assert (picture == np.array(colour)).all(axis=2).sum() > 200
    assert picture.shape[1] > 1000


def test_the_command_writes_a_report_and_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions, references = folders(tmp_path)
    assert run(["evaluate", str(predictions), str(references), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "liver" in told
    assert "7 cases scored" in told
    assert run(["evaluate", str(predictions), str(references), "--out", str(tmp_path / "out")]) == 2
    (predictions / "case0.nii.gz").unlink()
    arguments = ["evaluate", str(predictions), str(references), "--out", str(tmp_path / "out"), "--overwrite"]
    assert run(arguments) == 1
    assert "case0: no prediction for this reference" in capsys.readouterr().err
    for number in range(1, 5):
        (predictions / f"case{number}.nii.gz").unlink()
    assert run(arguments) == 1
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:")]
    assert "case0, case1, case2 and 2 more: no prediction for these 5 references" in warning
    assert "say --subset" in warning
    assert run([*arguments, "--subset"]) == 0
    assert "warning" not in capsys.readouterr().err


def test_the_command_speaks_json_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions, references = folders(tmp_path, 3)
    (predictions / "case2.nii.gz").write_bytes(b"broken")
    assert run(["evaluate", str(predictions), str(references), "--out", str(tmp_path / "out"), "--json"]) == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(event["event"] for event in events) == ["failed", "finished", "scored", "scored"]
    assert events[-1]["mean_dice"]["liver"] == pytest.approx(11 / 12)


def test_two_single_files_are_one_case(tmp_path: Path) -> None:
    predictions, references = folders(tmp_path, 1)
    done = gc.evaluate(predictions / "case0.nii.gz", references / "case0.nii.gz")
    assert [case.name for case in done.cases] == ["case0"]


@pytest.mark.parametrize("arguments", [["nowhere", "nowhere"], []])
def test_folders_that_do_not_exist_are_wrong_usage(tmp_path: Path, arguments: list[str]) -> None:
    assert run(["evaluate", *arguments, "--out", str(tmp_path / "out")]) == 2


def test_real_label_maps_score_one_against_themselves_and_less_when_shifted(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "labelled" / "totalseg_multiorgan"
    for path in sorted((folder / "labels").glob("*.nii.gz")):
        volume = read_labels(path)
        shifted = np.roll(volume.layers[0], 1, axis=2)
        write(tmp_path / "shifted", path.name, LabelVolume((shifted,), volume.geometry, volume.structures))
    same = gc.evaluate(folder / "labels", folder)
    assert {case.name for case in same.cases} == {"ct_a", "ct_b", "mr_a"}
    assert all(score.dice in (1, None) and score.hd95_mm in (0, None) for c in same.cases for score in c.scores)
    moved = gc.evaluate(tmp_path / "shifted", folder, tmp_path / "out")
    scored = {(c.name, score.structure): score for c in moved.cases for score in c.scores}
    for case, step in (("ct_a", 3.0), ("ct_b", 1.95), ("mr_a", 3.0)):
        liver = scored[case, "liver"]
        assert liver.dice is not None
        assert 0.85 < liver.dice < 1
        # One voxel along x: faces across it are that far away, those along it not at all.
        assert liver.hd95_mm == pytest.approx(step, rel=0.02)
    text = (tmp_path / "out" / "report.html").read_text()
    assert text.count("<img ") >= 3


def test_what_segment_writes_beside_its_label_maps_is_no_prediction(tmp_path: Path) -> None:
    predictions, references = folders(tmp_path, 2)
    for name in ("case0", "case1"):
        source = next(predictions.glob(f"{name}*"))
        for kind in ("uncertainty", "spread"):
            shutil.copyfile(source, predictions / f"{name}_{kind}.nii.gz")
    done = gc.evaluate(predictions, references)
    assert len(done.cases) == 2
    assert not done.left_out
