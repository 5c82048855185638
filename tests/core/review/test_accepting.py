"""What is accepted is found by training exactly as it was drawn: any format, any number of channels, overlaps."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from dicom_files import write_series
from review_files import GEOMETRY, SHAPE, corrected, proposal, scan
from threshold_models import save_threshold_model

import genesis_core as gc
from genesis_core.errors import ReviewError, VolumeError
from genesis_core.studies.review import (
    Review,
    accept,
    propose,
    read_accepted,
    read_decisions,
    read_draft,
    read_proposals,
    read_states,
    undo,
    write_draft,
)
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.labelled.checking import check_labelled
from genesis_core.volumes.labelled.reading_cases import LabelledCase, read_case
from genesis_core.volumes.volume import Volume
from genesis_core.volumes.writing import write_volume


def taught(review: Review, name: str) -> LabelledCase:
    """The case as training reads it."""
    found = gc.find_labelled(review.corrected)
    assert found.left_out == ()
    check = check_labelled(found, threads=1)
    assert not check.left_out, check.left_out
    (case,) = [one for one in found.cases if one.name == name.replace("/", "__")]
    return read_case(case, [record.structure for record in check.structures])


def same(first: LabelVolume, second: LabelVolume) -> bool:
    """Whether both draw the same structures, of the same names and colours, at the same voxels."""
    mine, theirs = ({one.name: one for one in label.structures} for label in (first, second))
    return mine.keys() == theirs.keys() and all(
        mine[name].colour == theirs[name].colour and np.array_equal(first.mask(mine[name]), second.mask(theirs[name]))
        for name in mine
    )


@pytest.mark.parametrize("case", ["a", "site/b", "site/c"])
def test_an_accepted_case_is_found_again_exactly_with_its_image_untouched(review: Review, case: str) -> None:
    label = corrected(review, case)
    done = accept(review, case, label, seconds=41.26, note="tip missing")
    found = taught(review, case)
    kept = read_accepted(review, case)
    assert found.label is not None
    assert kept is not None
    assert same(found.label, label)
    assert same(kept, label)
    source = proposal(review, case).images[0]
    assert done.images[0].read_bytes() == source.read_bytes()
    assert done.images[0].name == f"{case.replace('/', '__')}{''.join(source.suffixes)}"
    assert done.changed == {"soft tissue": 0, "bone": 9}
    assert read_states(review)[case].state == "accepted"


def test_the_provenance_says_who_when_by_which_model_and_how_much_was_changed(review: Review) -> None:
    accept(review, "a", corrected(review), seconds=41.26, note="tip missing")
    (line,) = map(json.loads, (review.corrected / "provenance.jsonl").read_text().splitlines())
    assert line["case"] == "a"
    assert line["model"] == read_proposals(review)[0].model
    assert line["run"] == review.run.name
    assert [sha[:8] for sha in line["weights_sha256"]] == [line["model"]]
    assert line["seconds"] == 41.3
    assert line["note"] == "tip missing"
    assert line["changed_voxels"] == {"soft tissue": 0, "bone": 9}
    assert {"time", "login", "fingerprints"} <= set(line)
    assert {"python", "numpy", "napari-genesis"} <= set(line["versions"])
    (decision,) = read_decisions(review)
    assert (decision.kind, decision.case, decision.id) == ("accepted", "a", line["id"])


def test_structures_that_overlap_keep_their_layers(review: Review) -> None:
    label = corrected(review)
    first = (label.layers[0] > 0).astype(np.uint8)
    second = np.zeros(SHAPE, np.uint8)
    second[4:8, 5:9, 5:9] = 2
    structures = (label.structures[0], replace(label.structures[1], layer=1))
    label = replace(label, layers=(first, second), structures=structures)
    assert bool((first.astype(bool) & second.astype(bool)).any())
    accept(review, "site/b", corrected(review, "site/b"))
    done = accept(review, "a", label)
    assert done.label.name == "a.nrrd"
    found = taught(review, "a")
    assert found.label is not None
    assert same(found.label, label)
    assert taught(review, "site/b").label is not None
    undo(review)
    assert read_accepted(review, "a") is None
    draft = read_draft(review, "a")
    assert draft is not None
    assert same(draft, label)


def test_a_structure_that_is_listed_and_not_drawn_was_looked_for_and_one_not_listed_was_not(review: Review) -> None:
    label = corrected(review)
    empty = label.layers[0].copy()
    empty[empty == 2] = 0
    accept(review, "a", replace(label, layers=(empty,)))
    found = taught(review, "a")
    assert found.label is not None
    assert [one.name for one in found.label.structures] == ["soft tissue", "bone"]
    only = replace(label, layers=(empty,), structures=label.structures[:1])
    accept(review, "site/b", only)
    written = json.loads((review.corrected / "labels" / "site__b.json").read_text())
    assert [one["name"] for one in written["structures"]] == ["soft tissue"]


def test_ignore_marks_what_nobody_looked_at(review: Review) -> None:
    label = corrected(review)
    array = label.layers[0].copy()
    array[:2] = 3
    ignoring = replace(label, layers=(array,), structures=(*label.structures, Structure("ignore", 3)))
    accept(review, "a", ignoring)
    found = taught(review, "a")
    assert found.label is not None
    assert same(found.label, ignoring)


def test_a_dicom_series_is_written_as_one_file_with_the_same_voxels(model: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "scans" / "patient", scan().array + 1000)
    review = Review.create(tmp_path / "review", scans=tmp_path / "scans", run=model)
    (one,) = propose(review, device="cpu")
    assert one.case == "patient"
    label = read_labels(one.label)
    done = accept(review, "patient", label)
    assert done.images[0].name == "patient.nii.gz"
    found = taught(review, "patient")
    assert np.array_equal(found.images[0].array, gc.read_volume(tmp_path / "scans" / "patient").array)
    assert found.label is not None
    assert same(found.label, label)


def test_two_series_of_one_folder_are_two_cases(model: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "scans" / "p", scan(0).array + 1000)
    write_series(tmp_path / "scans" / "p", scan(3).array + 1000, series="1.2.3.5", name="second_{:03d}.dcm")
    review = Review.create(tmp_path / "review", scans=tmp_path / "scans", run=model)
    found = propose(review, device="cpu")
    assert len(found) == 2
    assert all(one.series[0] for one in found)
    for one in found:
        accept(review, one.case, read_labels(one.label))
        image = taught(review, one.case).images[0].array
        assert np.array_equal(image, gc.read_volume(one.images[0], series=one.series[0]).array)


@pytest.mark.parametrize("layout", ["numbers", "names", "frames"])
def test_several_channels_come_back_in_the_order_of_the_model(layout: str, tmp_path: Path) -> None:
    model = save_threshold_model(tmp_path / "model", in_channels=2, channels=("ct", "late"))
    scans = tmp_path / "scans"
    scans.mkdir()
    volumes = [scan(0), scan(3)]
    if layout == "frames":
        images = [SimpleITK.GetImageFromArray(volume.array) for volume in volumes]
        SimpleITK.WriteImage(SimpleITK.JoinSeries(images), str(scans / "p1.nii.gz"))
    else:
        for volume, end in zip(volumes, ("0000", "0001") if layout == "numbers" else ("ct", "late"), strict=True):
            write_volume(volume, scans / f"p1_{end}.nii.gz")
    review = Review.create(tmp_path / "review", scans=scans, run=model)
    (one,) = propose(review, device="cpu")
    label = read_labels(one.label)
    done = accept(review, "p1", label)
    assert [path.name for path in done.images] == ["p1_ct.nii.gz", "p1_late.nii.gz"]
    found = taught(review, "p1")
    assert [np.array_equal(a.array, b.array) for a, b in zip(found.images, volumes, strict=True)] == [True, True]
    assert found.label is not None
    assert same(found.label, label)


@pytest.mark.parametrize(
    "names",
    [
        ("sub-01/anat/sub-01_T1w", "sub-02/anat/sub-02_T1w"),
        ("p1", "p1_0000", "p1_seg", "p1_mask", "mask", "labels", "dataset"),
        ("ct/label", "ct/image", "masks/liver", "p.1.2", "lésion ü", "images/labels/x", "imagesTs/x", "a/b", "a__b"),
        ("volume-0", "volume-1", "segmentation-0"),
    ],
)
def test_cases_of_any_name_pair_with_their_own_labels(names: tuple[str, ...], model: Path, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    for seed, name in enumerate(names):
        (scans / name).parent.mkdir(parents=True, exist_ok=True)
        write_volume(scan(seed), scans / f"{name}.nii.gz")
    review = Review.create(tmp_path / "review", scans=scans, run=model)
    labels = {one.case: read_labels(one.label) for one in propose(review, device="cpu")}
    assert set(labels) == set(names)
    for accepted, name in enumerate(names, start=1):
        accept(review, name, labels[name])
        found = gc.find_labelled(review.corrected)
        assert (len(found.cases), found.left_out) == (accepted, ())
        check = check_labelled(found, threads=1)
        for case in found.cases:
            read = read_case(case, [record.structure for record in check.structures])
            seed = next(n for n in range(len(names)) if np.array_equal(read.images[0].array, scan(n).array))
            assert case.name.startswith(names[seed].replace("/", "__"))
            assert read.label is not None
            assert same(read.label, labels[names[seed]])


def _other_grid(label: LabelVolume) -> LabelVolume:
    return replace(label, geometry=replace(label.geometry, origin=(0.0, 0.0, 0.0)))


def _unnamed(label: LabelVolume) -> LabelVolume:
    return replace(label, layers=(label.layers[0] * 3,))


def _unknown(label: LabelVolume) -> LabelVolume:
    return replace(label, structures=(label.structures[0], replace(label.structures[1], name="spleen")))


def _doubled(label: LabelVolume) -> LabelVolume:
    return replace(label, structures=(label.structures[0], replace(label.structures[1], name="soft tissue")))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_grid, "another grid than the scan.*mm"),
        (_unnamed, r"belong to no structure: 3 \("),
        (_unknown, "'spleen' is no structure of the model, which knows soft tissue, bone"),
        (_doubled, "two structures are called soft tissue"),
        (lambda label: replace(label, layers=(), structures=()), "no layer"),
    ],
)
def test_a_label_that_cannot_teach_is_refused_and_nothing_is_done(review: Review, change: Any, said: str) -> None:
    write_draft(review, "a", corrected(review))
    with pytest.raises(ReviewError, match=said):
        accept(review, "a", change(corrected(review)))
    assert read_states(review)["a"].state == "draft"
    assert not any((review.corrected / "images").iterdir())


def test_a_scan_that_was_exchanged_since_it_was_proposed_is_refused(model: Path, tmp_path: Path) -> None:
    write_volume(scan(0), tmp_path / "scans.nii.gz")
    (tmp_path / "scans").mkdir()
    shutil.move(tmp_path / "scans.nii.gz", tmp_path / "scans" / "a.nii.gz")
    review = Review.create(tmp_path / "review", scans=tmp_path / "scans", run=model)
    propose(review, device="cpu")
    label = corrected(review)
    write_volume(scan(4), tmp_path / "scans" / "a.nii.gz", overwrite=True)
    with pytest.raises(ReviewError, match="other voxels than when it was proposed"):
        accept(review, "a", label)
    propose(review, device="cpu")
    accept(review, "a", corrected(review))


def test_a_case_nobody_proposed_and_a_scan_that_is_gone_are_named(review: Review, tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=r"review\.yaml: no such case"):
        accept(review, "../review.yaml", corrected(review))
    gone = replace(review, scans=tmp_path / "nowhere")
    with pytest.raises(VolumeError, match="nowhere"):
        accept(gone, "a", corrected(review))


def test_a_file_of_somebody_elses_is_never_overwritten(review: Review) -> None:
    theirs = review.corrected / "labels" / "a.nii.gz"
    theirs.write_bytes(b"mine")
    with pytest.raises(ReviewError, match="belongs to no accepted case"):
        accept(review, "a", corrected(review))
    assert theirs.read_bytes() == b"mine"
    assert not any((review.corrected / "images").iterdir())


def test_a_large_grid_of_labels_of_another_type_is_kept_exactly(review: Review) -> None:
    label = corrected(review)
    wide = LabelVolume((label.layers[0].astype(np.int64),), GEOMETRY, label.structures)
    accept(review, "a", wide)
    assert np.array_equal(read_labels(review.corrected / "labels" / "a.nii.gz").layers[0], wide.layers[0])
    assert isinstance(taught(review, "a").images[0], Volume)
