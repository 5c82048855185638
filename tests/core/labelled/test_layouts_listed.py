"""nnU-Net's, the Decathlon's and TotalSegmentator's folders are read as they are, and wrong lists are told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_folders import SHAPE, decathlon, nnunet, totalsegmentator, touch, write_dataset, write_label, write_scan

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.finding import find_labelled


def test_nnunet_version_two(tmp_path: Path) -> None:
    nnunet(tmp_path, ["c1", "c2"], ["T1", "T2"])
    write_scan(tmp_path / "imagesTs/c9_0000.nii.gz")
    write_scan(tmp_path / "imagesTs/c9_0001.nii.gz")
    found = find_labelled(tmp_path)
    assert found.layout == "nnU-Net's raw data"
    assert found.channels == ("T1", "T2")
    assert [(s.name, s.value) for s in found.structures] == [("liver", 1)]
    assert [(case.name, case.part, len(case.images)) for case in found.cases] == [
        ("c1", "training", 2),
        ("c2", "training", 2),
        ("c9", "test", 2),
    ]
    assert (found.left_out, found.notes) == ((), ())


def test_nnunet_version_one_with_its_list_and_labels_the_other_way_round(tmp_path: Path) -> None:
    nnunet(
        tmp_path,
        ["c1"],
        channel_names=None,
        modality={"0": "CT"},
        labels={"0": "background", "1": "liver"},
        training=[
            {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in ("c1", "c7")
        ],
        numTraining=2,
    )
    found = find_labelled(tmp_path)
    assert (found.channels, found.structures[0].name) == (("CT",), "liver")
    assert any("c7" in note for note in found.notes)
    assert any('"numTraining": 2' in note for note in found.notes)


def test_nnunet_cases_with_missing_or_surplus_channels_are_left_out(tmp_path: Path) -> None:
    nnunet(tmp_path, ["c1", "c2", "c3", "c4"], ["T1", "T2"])
    (tmp_path / "imagesTr/c2_0000.nii.gz").unlink()
    (tmp_path / "labelsTr/c3.nii.gz").unlink()
    touch(tmp_path, "imagesTr/c4_0002.nii.gz", "imagesTr/strange.nii.gz", "labelsTr/alone.nii.gz")
    found = find_labelled(tmp_path)
    reasons = dict(found.left_out)
    assert [case.name for case in found.cases] == ["c1"]
    assert "_0000" in reasons["imagesTr/c2"]
    assert "labelsTr/c3" in reasons["imagesTr/c3"]
    assert "_0002" in reasons["imagesTr/c4"]
    assert "_0000" in reasons["imagesTr/strange.nii.gz"]
    assert "alone_0000" in reasons["labelsTr/alone.nii.gz"]


def test_nnunet_regions_keep_the_numbers_they_join(tmp_path: Path) -> None:
    nnunet(
        tmp_path, ["c1"], labels={"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3], "ignore": 4}
    )
    found = find_labelled(tmp_path)
    assert [(s.name, s.value) for s in found.structures] == [
        ("label 1", 1),
        ("label 2", 2),
        ("enhancing", 3),
        ("ignore", 4),
    ]
    assert any("whole" in note for note in found.notes)
    assert not any("ignore" in note for note in found.notes)


def test_nnunet_without_a_dataset_json_says_that_names_are_missing(tmp_path: Path) -> None:
    nnunet(tmp_path, ["c1"], ["a", "b"])
    (tmp_path / "dataset.json").unlink()
    found = find_labelled(tmp_path)
    assert (found.channels, found.structures) == (("0000", "0001"), ())
    assert "no dataset.json" in found.notes[0]


def test_nnunet_may_list_files_elsewhere(tmp_path: Path) -> None:
    nnunet(
        tmp_path,
        ["c1"],
        dataset={
            "far": {"images": ["more/far.nii.gz"], "label": "more/far_label.nii.gz"},
            "gone": {"images": ["more/gone.nii.gz"], "label": "more/gone_label.nii.gz"},
            "odd": 3,
        },
    )
    write_scan(tmp_path / "more/far.nii.gz")
    write_label(tmp_path / "more/far_label.nii.gz")
    found = find_labelled(tmp_path)
    assert [case.name for case in found.cases] == ["c1", "far"]
    assert "more/gone.nii.gz does not exist" in dict(found.left_out)["gone"]
    assert "odd" in dict(found.left_out)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"labels": {', "not valid JSON"),
        ("[1, 2]", "holds a list"),
        ('{"channel_names": {"0": "CT", "2": "PET"}, "labels": {"liver": 1}}', "without a gap"),
        ('{"channel_names": {"0": "CT"}, "labels": {"liver": "one"}}', "'liver'"),
        ('{"channel_names": {"0": "CT"}, "labels": {"liver": 1, "spleen": 1}}', "named twice"),
        ('{"channel_names": {"0": "CT"}, "labels": [1]}', "labels"),
    ],
)
def test_a_broken_dataset_json_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    nnunet(tmp_path, ["c1"])
    (tmp_path / "dataset.json").write_text(text, encoding="utf-8")
    with pytest.raises(VolumeError, match=message) as refused:
        find_labelled(tmp_path)
    assert "dataset.json" in str(refused.value)


def test_the_decathlon(tmp_path: Path) -> None:
    decathlon(tmp_path, ["hippocampus_001", "hippocampus_003"], test=["./imagesTs/hippocampus_002.nii.gz"])
    write_scan(tmp_path / "imagesTs/hippocampus_002.nii.gz")
    touch(tmp_path, "imagesTr/._hippocampus_001.nii.gz")
    found = find_labelled(tmp_path)
    assert "Decathlon" in found.layout
    assert (found.channels, [s.name for s in found.structures]) == (("MRI",), ["Anterior"])
    assert [(case.name, case.part, case.label is None) for case in found.cases] == [
        ("hippocampus_001", "training", False),
        ("hippocampus_003", "training", False),
        ("hippocampus_002", "test", True),
    ]
    assert found.left_out == ()


def test_frames_of_the_decathlon_are_channels(tmp_path: Path) -> None:
    decathlon(tmp_path, ["b1", "b2", "b3"], ["FLAIR", "T1w"])
    write_scan(tmp_path / "imagesTr/b2.nii.gz", np.zeros((3, *SHAPE), np.int16))
    (tmp_path / "imagesTr/b3.nii.gz").write_bytes(b"no scan")
    found = find_labelled(tmp_path)
    assert found.channels == ("FLAIR", "T1w")
    assert [[source.frame for source in case.images] for case in found.cases] == [[0, 1]]
    assert "3 frames" in dict(found.left_out)["./imagesTr/b2.nii.gz"]
    assert "./imagesTr/b3.nii.gz" in dict(found.left_out)


def test_a_list_that_lies_about_files_is_told_case_by_case(tmp_path: Path) -> None:
    entries: list[object] = [
        {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"},
        {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"},
        {"image": "./imagesTr/gone.nii.gz", "label": "./labelsTr/gone.nii.gz"},
        {"image": "../outside.nii.gz", "label": "./labelsTr/a.nii.gz"},
        {"image": "./imagesTr/b.nii.gz"},
        {"image": "./imagesTr/._a.nii.gz", "label": "./labelsTr/._a.nii.gz"},
        {"image": 5},
        "text",
    ]
    decathlon(tmp_path, ["a", "b"], training=entries, numTraining=9)
    write_scan(tmp_path.parent / "outside.nii.gz")
    found = find_labelled(tmp_path)
    reasons = dict(found.left_out)
    assert [case.name for case in found.cases] == ["a"]
    assert "does not exist" in reasons["./imagesTr/gone.nii.gz"]
    assert "does not exist in the folder" in reasons["../outside.nii.gz"]
    assert reasons["./imagesTr/b.nii.gz"] == 'the entry has no "label"'
    assert "listed twice" in reasons["a"]
    assert '"training", entry 7' in reasons
    assert any('"numTraining": 9' in note for note in found.notes)


def test_images_of_one_name_in_folders_of_their_own_are_cases_of_their_own(tmp_path: Path) -> None:
    files = [f"case_0000{n}/imaging.nii.gz" for n in range(3)]
    entries = [{"image": file, "label": file.replace("imaging", "segmentation")} for file in files]
    for entry in entries:
        write_scan(tmp_path / entry["image"])
        write_label(tmp_path / entry["label"])
    entries.append({"image": f"./{files[0]}", "label": entries[0]["label"]})
    decathlon(tmp_path, [], training=entries)
    found = find_labelled(tmp_path)
    assert [case.name for case in found.cases] == [f"case_0000{n}/imaging" for n in range(3)]
    assert len({case.id for case in found.cases}) == len({case.subject for case in found.cases}) == 3
    assert [(name, "listed twice" in reason) for name, reason in found.left_out] == [("imaging", True)]


def test_images_that_the_list_does_not_name_are_told(tmp_path: Path) -> None:
    decathlon(tmp_path, ["a"])
    write_scan(tmp_path / "imagesTr/unlisted.nii.gz")
    assert dict(find_labelled(tmp_path).left_out) == {"imagesTr/unlisted.nii.gz": "dataset.json does not list it"}


def test_a_list_of_classes_is_a_classification_set(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_scan(tmp_path / f"{name}.nii.gz")
    entries = [{"image": "a.nii.gz", "label": 1}, {"image": "b.nii.gz", "label": 0}]
    found = find_labelled(write_dataset(tmp_path, {"training": entries}))
    assert found.classes == ("0", "1")
    assert [(case.class_name, case.label) for case in found.cases] == [("1", None), ("0", None)]


def test_an_empty_or_useless_list_is_refused(tmp_path: Path) -> None:
    decathlon(tmp_path, ["a"], training=[{"image": "gone.nii.gz", "label": "gone.nii.gz"}])
    with pytest.raises(VolumeError, match=r"gone.nii.gz does not exist"):
        find_labelled(tmp_path, layout="decathlon")
    (tmp_path / "dataset.json").write_text(json.dumps({"training": []}))
    with pytest.raises(VolumeError, match="training"):
        find_labelled(tmp_path, layout="decathlon")
    # The folders' names tell the cases all the same.
    assert len(find_labelled(tmp_path).cases) == 1


def test_one_mask_per_structure_in_a_folder_per_case(tmp_path: Path) -> None:
    totalsegmentator(tmp_path, {"s0001": ["liver", "spleen"], "s0002": ["spleen"], "s0003": ["liver", "spleen"]})
    found = find_labelled(tmp_path)
    assert [(s.name, s.value) for s in found.structures] == [("liver", 1), ("spleen", 2)]
    assert [case.annotated for case in found.cases] == [None, ("spleen",), None]
    assert [name for name, _ in found.cases[0].label.parts] == ["liver", "spleen"] if found.cases[0].label else False
    assert any("liver in 1 of 3 cases" in note for note in found.notes)


def test_the_one_scan_of_each_case_is_its_image_whatever_it_is_called(tmp_path: Path) -> None:
    touch(tmp_path, *(f"p{n}/{name}" for n in (1, 2, 3) for name in (f"p{n}_ct.nii.gz", "segmentations/liver.nii.gz")))
    found = find_labelled(tmp_path)
    assert [case.images[0].path.name for case in found.cases] == ["p1_ct.nii.gz", "p2_ct.nii.gz", "p3_ct.nii.gz"]
    assert (found.left_out, found.channels) == ((), ("image",))
    # Names that tell modalities apart are no names of one image.
    touch(
        tmp_path / "two",
        *(f"p{n}/{name}" for n, m in ((1, "ct"), (2, "mr")) for name in (f"{m}.nii.gz", "masks/a.nii.gz")),
    )
    assert len(find_labelled(tmp_path / "two").left_out) == 1


def test_a_folder_of_masks_without_an_image_is_left_out(tmp_path: Path) -> None:
    totalsegmentator(tmp_path, {"s1": ["liver"], "s2": ["liver"], "s3": ["liver"]})
    (tmp_path / "s2/ct.nii.gz").unlink()
    touch(tmp_path, "s4/ct.nii.gz", "s3/segmentations/liver.nrrd", "s1/segmentations/._liver.nii.gz")
    found = find_labelled(tmp_path)
    reasons = dict(found.left_out)
    assert [case.name for case in found.cases] == ["s1"]
    assert "ct is missing" in reasons["s2"]
    assert "share one name" in reasons["s3"]
    assert "no folder of masks" in reasons["s4"]


def test_other_scans_beside_the_image_are_said_not_used(tmp_path: Path) -> None:
    totalsegmentator(tmp_path, {"s1": ["liver"], "s2": ["liver"]})
    touch(tmp_path, "s1/body.nii.gz", "s2/body.nii.gz")
    found = find_labelled(tmp_path)
    assert [case.images[0].path.name for case in found.cases] == ["ct.nii.gz", "ct.nii.gz"]
    assert any("body" in note for note in found.notes)


def test_test_cases_of_totalsegmentator_are_set_aside(tmp_path: Path) -> None:
    totalsegmentator(tmp_path, {"s1": ["liver"], "s2": ["liver"]}, image="mri")
    (tmp_path / "meta.csv").write_text("image_id;age;split\ns1;50;train\ns2;60;test\n", encoding="utf-8-sig")
    assert {case.name: case.part for case in find_labelled(tmp_path).cases} == {"s1": "training", "s2": "test"}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.text("ab/._0", max_size=6) | st.just("./imagesTr/a.nii.gz"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["image", "label", "0", "1", "a"]), inner)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=80)
@given(
    content=st.dictionaries(
        st.sampled_from(
            [
                "training",
                "test",
                "validation",
                "labels",
                "modality",
                "channel_names",
                "dataset",
                "numTraining",
                "file_ending",
            ]
        ),
        JSON_VALUES,
    ),
    layout=st.sampled_from(["nnunet", "decathlon", "images_labels", None]),
)
def test_whatever_a_dataset_json_says_it_is_read_or_refused(
    content: dict[str, object], layout: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("json")
    touch(root, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTr/b_0000.nii.gz", "labelsTr/b.nii.gz")
    write_dataset(root, content)
    try:
        found = find_labelled(root, layout=layout)
    except VolumeError as refused:
        assert str(root) in str(refused)  # noqa: PT017
        return
    assert found.cases
