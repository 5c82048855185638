"""Images and labels are paired by their names, in all the ways people name them; what cannot be paired is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_folders import images_and_labels, touch, write_scan

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.case import Case, LabelledFolder
from genesis_core.volumes.labelled.finding import LAYOUTS, find_labelled
from genesis_core.volumes.labelled.folder_listing import FolderListing
from genesis_core.volumes.labelled.layout import Detection, Layout, make_case


def relative(found: LabelledFolder, case: Case) -> tuple[list[str], str | None]:
    """The files of a case, relative to the folder."""
    images = [source.path.relative_to(found.root).as_posix() for source in case.images]
    return images, case.label.parts[0][1].path.relative_to(found.root).as_posix() if case.label else None


def names(found: LabelledFolder) -> list[str]:
    return [case.name for case in found.cases]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/{}.nii.gz", "labels/{}.nii.gz"),
        ("images/{}.nii.gz", "labels/{}_label.nii.gz"),
        ("images/{}.nii.gz", "labels/{}_seg.nrrd"),
        ("images/{}.nii", "masks/{}_mask.nii.gz"),
        ("images/{}.nii.gz", "segmentations/{}-label.mha"),
        ("images/{}.nii.gz", "segmentations/{}_segmentation.nii.gz"),
        ("images/{}.nii.gz", "labels/{}_drawn-by-AB.nii.gz"),
        ("images/{}.nii.gz", "labels/{}.seg.nrrd"),
        ("image/{}.mha", "label/seg_{}.mha"),
        ("imagesTr/{}.nii.gz", "labelsTr/{}.nii.gz"),
        ("Images/{}.NII.GZ", "LABELS/{}.Nii.gz"),
        ("train/images/{}.nii.gz", "train/labels/{}.nii.gz"),
        ("images/{}_ct.nii.gz", "labels/{}_tumour.nii.gz"),
        ("images/{}/image.nii.gz", "labels/{}/label.nii.gz"),
        ("images/{}/ct.nii.gz", "labels/{}.nii.gz"),
        ("{}.nii.gz", "labels/{}.nii.gz"),
        ("{}.nii.gz", "{}_seg.nii.gz"),
        ("{}.nrrd", "{}.seg.nrrd"),
        ("{}_ct.nii.gz", "{}_ct_label.nii.gz"),
        ("{}/t1.nii.gz", "{}/seg.nii.gz"),
        ("{0}/{0}_ct.nii.gz", "{0}/{0}_seg.nii.gz"),
        ("site/{}.nii.gz", "site/{}_mask.nii.gz"),
    ],
)
def test_images_and_labels_are_paired(tmp_path: Path, image: str, label: str) -> None:
    cases = ["case1", "case2", "other_12"]
    for name in cases:
        touch(tmp_path, image.format(name), label.format(name))
    found = find_labelled(tmp_path)
    assert found.left_out == ()
    assert [relative(found, case) for case in found.cases] == [([image.format(n)], label.format(n)) for n in cases]
    assert len({case.id for case in found.cases}) == 3
    assert all(case.subject == case.name and name in case.name for case, name in zip(found.cases, cases, strict=True))


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("volume-{}.nii", "segmentation-{}.nii"),
        ("imagesTr/img{:04d}.nii.gz", "labelsTr/label{:04d}.nii.gz"),
        ("imagesTr/amos_{:04d}.nii.gz", "labelsTr/amos_{:04d}.nii.gz"),
        ("data/PANCREAS_{:04d}.nii.gz", "label/label{:04d}.nii.gz"),
        ("case_{:05d}/imaging.nii.gz", "case_{:05d}/segmentation.nii.gz"),
        ("patient{0:03d}/patient{0:03d}.nii.gz", "patient{0:03d}/patient{0:03d}_gt.nii.gz"),
        ("rawdata/sub-v{0:03d}/sub-v{0:03d}_ct.nii.gz", "derivatives/sub-v{0:03d}/sub-v{0:03d}_seg-vert_msk.nii.gz"),
        ("sub-{0:02d}/anat/sub-{0:02d}_T1w.nii.gz", "sub-{0:02d}/anat/sub-{0:02d}_label-L_desc-T1_mask.nii.gz"),
        ("sub-{0:02d}/anat/sub-{0:02d}_T1w.nii.gz", "derivatives/labels/sub-{0:02d}_T1w_lesion-mask.nii.gz"),
    ],
)
def test_the_names_of_well_known_sets_are_understood(tmp_path: Path, image: str, label: str) -> None:
    for number in range(12):
        touch(tmp_path, image.format(number), label.format(number))
    found = find_labelled(tmp_path)
    assert len(found.cases) == 12
    assert found.left_out == ()
    for case in found.cases:
        (shown,), drawn = relative(found, case)
        assert drawn is not None
        assert re.findall(r"\d{2,}|\d(?=\.)", shown)[-1] in drawn
        assert not case.name.isdigit()


def test_several_images_of_a_case_are_its_channels(tmp_path: Path) -> None:
    for name in ("BraTS_001", "BraTS_002"):
        touch(tmp_path, *(f"{name}/{name}_{channel}.nii.gz" for channel in ("t1", "flair", "t1ce", "seg")))
    found = find_labelled(tmp_path)
    assert found.channels == ("flair", "t1", "t1ce")
    assert [len(case.images) for case in found.cases] == [3, 3]
    assert found.cases[0].images[2].path.name == "BraTS_001_t1ce.nii.gz"


def test_a_case_without_one_of_the_channels_is_left_out_by_name(tmp_path: Path) -> None:
    for name in ("p1", "p2", "p3"):
        touch(tmp_path, f"images/{name}_T1.nii.gz", f"images/{name}_T2.nii.gz", f"labels/{name}.nii.gz")
    (tmp_path / "images/p2_T1.nii.gz").unlink()
    touch(tmp_path, "images/p3_old.nii.gz")
    found = find_labelled(tmp_path)
    assert (found.channels, names(found)) == (("T1", "T2"), ["p1", "p3"])
    reasons = dict(found.left_out)
    assert "T1 is missing" in reasons["labels/p2.nii.gz"]
    assert "no channel of the set" in reasons["images/p3_old.nii.gz"]


def test_files_without_a_partner_are_left_out_saying_what_was_looked_for(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        touch(tmp_path, f"images/{name}.nii.gz", f"labels/{name}_seg.nii.gz")
    touch(tmp_path, "images/lonely.nii.gz", "labels/ghost_seg.nii.gz")
    found = find_labelled(tmp_path)
    reasons = dict(found.left_out)
    assert names(found) == ["a", "b", "c"]
    assert "labels/lonely_seg" in reasons["images/lonely.nii.gz"]
    assert "ghost" in reasons["labels/ghost_seg.nii.gz"]


def test_two_files_of_one_name_are_not_guessed_between(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii.gz", "images/a.nrrd", "labels/a.nii.gz", "images/b.nii.gz", "labels/b.nii.gz")
    touch(tmp_path, "images/c.nii.gz", "labels/c.nii.gz", "labels/C.nii")
    found = find_labelled(tmp_path)
    reasons = dict(found.left_out)
    assert names(found) == ["b"]
    assert "images/a.nii.gz, images/a.nrrd" in reasons["images/a.nrrd"]
    assert "more than once" in reasons["images/c.nii.gz"]


def test_a_longer_name_is_not_taken_for_a_channel_of_a_shorter(tmp_path: Path) -> None:
    cases = ["case_1", "case_10", "case_1_2"]
    for name in cases:
        touch(tmp_path, f"images/{name}.nii.gz", f"labels/{name}.nii.gz")
    found = find_labelled(tmp_path)
    assert sorted(names(found)) == sorted(cases)
    assert all(relative(found, case)[0] == [f"images/{case.name}.nii.gz"] for case in found.cases)


def test_names_differing_in_case_or_unicode_form_are_paired(tmp_path: Path) -> None:
    touch(tmp_path, "images/Mu\u0308ller.nii.gz", "labels/m\u00fcller.nii.gz", "images/B.nii.gz", "labels/b.nii.gz")
    assert len(find_labelled(tmp_path).cases) == 2


def test_hidden_files_and_companions_do_not_count(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.mhd", "images/a.raw", "labels/a.nii.gz", "images/._a.mhd", "labels/._a.nii.gz")
    touch(tmp_path, "images/.DS_Store", "labels/Thumbs.db", "README.md")
    found = find_labelled(tmp_path)
    assert (names(found), found.left_out) == (["a"], ())


def test_of_several_sets_of_labels_the_plain_one_is_taken_and_the_others_named(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii.gz", "labels/a.nii.gz", "labels_tissue/a.nii.gz", "masks_old/a.nii.gz")
    found = find_labelled(tmp_path)
    assert relative(found, found.cases[0])[1] == "labels/a.nii.gz"
    assert any("labels_tissue/" in note and "masks_old/" in note for note in found.notes)
    chosen = find_labelled(tmp_path, labels="labels_tissue")
    assert relative(chosen, chosen.cases[0])[1] == "labels_tissue/a.nii.gz"
    with pytest.raises(VolumeError, match="labels_tissue"):
        find_labelled(tmp_path, labels="nothing")


def test_test_images_without_labels_are_test_cases(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTs/a.nii.gz", "imagesTs/z.nii.gz")
    found = find_labelled(tmp_path)
    assert [(case.name, case.part, case.label is None) for case in found.cases] == [
        ("a", "training", False),
        ("test/a", "test", True),
        ("test/z", "test", True),
    ]


def test_parts_in_folders_of_their_own_are_told_apart(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        touch(tmp_path, f"{part}/images/a.nii.gz", f"{part}/labels/a.nii.gz")
    found = find_labelled(tmp_path)
    assert {case.name: case.part for case in found.cases} == {
        "test/a": "test",
        "train/a": "training",
        "val/a": "training",
    }


@pytest.mark.parametrize(("first", "second"), [("{}_train", "{}_val"), ("siteA/{}Tr", "siteA/{}Ts")])
def test_cases_of_one_name_in_two_folders_keep_apart(tmp_path: Path, first: str, second: str) -> None:
    for part in (first, second):
        for number in (1, 2):
            touch(tmp_path, *(f"{part.format(what)}/00{number}.nii.gz" for what in ("images", "labels")))
    found = find_labelled(tmp_path)
    wanted = {f"{part.format('images')}/00{number}" for part in (first, second) for number in (1, 2)}
    assert {case.name for case in found.cases} == wanted
    assert len({case.id for case in found.cases}) == 4


def test_a_list_of_names_beside_the_labels_is_used(tmp_path: Path) -> None:
    images_and_labels(tmp_path, ["a"])
    (tmp_path / "label_names.csv").write_text("value,name,red,green,blue\n0,background,0,0,0\n1,liver,10,20,30\n")
    found = find_labelled(tmp_path)
    assert [(s.name, s.value, s.colour) for s in found.structures] == [("liver", 1, (10, 20, 30))]


def test_a_broken_list_of_names_is_told_and_not_used(tmp_path: Path) -> None:
    images_and_labels(tmp_path, ["a"])
    (tmp_path / "label_names.csv").write_text("value,name\none,liver\n")
    found = find_labelled(tmp_path)
    assert found.structures == ()
    assert any("label_names.csv was not used" in note for note in found.notes)


def test_the_list_of_one_set_is_not_taken_for_another(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii.gz", "labels/a.nii.gz", "labels_common/a.nii.gz")
    (tmp_path / "labels.csv").write_text("value,name\n1,liver\n")
    assert find_labelled(tmp_path).structures
    common = find_labelled(tmp_path, labels="labels_common")
    assert common.structures == ()
    assert any("another set" in note for note in common.notes)
    (tmp_path / "labels_common.csv").write_text("value,name\n1,spleen\n")
    assert find_labelled(tmp_path, labels="labels_common").structures[0].name == "spleen"
    assert find_labelled(tmp_path).structures[0].name == "liver"


def test_the_same_folder_gives_the_same_answer_wherever_it_lies(tmp_path: Path) -> None:
    for place in ("one", "two/deeper"):
        for name in ("b", "a", "B2"):
            touch(tmp_path / place, f"images/{name}.nii.gz", f"labels/{name}.nii.gz")
    first, second = find_labelled(tmp_path / "one"), find_labelled(tmp_path / "two/deeper")
    assert [(c.name, c.id) for c in first.cases] == [(c.name, c.id) for c in second.cases]


def test_a_folder_that_is_no_labelled_one_is_told_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="it is empty") as empty:
        find_labelled(tmp_path)
    touch(tmp_path, "images/a.nii.gz", "images/b.nii.gz")
    with pytest.raises(VolumeError, match="2 in images") as only_images:
        find_labelled(tmp_path)
    for layout in LAYOUTS.values():
        assert layout.title in str(empty.value)
        assert layout.tree.splitlines()[0] in str(only_images.value)
    with pytest.raises(VolumeError, match="no such folder"):
        find_labelled(tmp_path / "gone")
    with pytest.raises(VolumeError, match="unknown layout 'x'"):
        find_labelled(tmp_path, layout="x")
    with pytest.raises(VolumeError, match="a table"):
        find_labelled(tmp_path / "images/a.nii.gz")


def test_labels_that_fit_no_image_are_refused_with_examples(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii.gz", "labels/zebra.nii.gz")
    with pytest.raises(VolumeError, match=r"no image has a label.*images/a.nii.gz"):
        find_labelled(tmp_path)


def test_time_points_in_an_unlabelled_folder_do_not_look_labelled(tmp_path: Path) -> None:
    touch(tmp_path, "p1.nii.gz", "p1_t2.nii.gz", "p2.nii.gz", "p2_t2.nii.gz")
    with pytest.raises(VolumeError, match="not a labelled folder"):
        find_labelled(tmp_path)


def test_two_layouts_that_both_fit_are_told(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "a_seg.nii.gz")
    (tmp_path / "cases.csv").write_text("image,label\na.nii.gz,a_seg.nii.gz\n")
    found = find_labelled(tmp_path)
    assert "could also be" in found.notes[0]
    assert "layout='side_by_side'" in found.notes[0]
    assert names(find_labelled(tmp_path, layout="side_by_side")) == ["a"]


def test_a_folder_of_dicom_slices_may_be_the_image(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "IM0001").write_bytes(bytes(128) + b"DICM")
        write_scan(tmp_path / "labels" / f"{name}.nii.gz")
    found = find_labelled(tmp_path)
    assert [relative(found, case) for case in found.cases] == [
        (["images/p1"], "labels/p1.nii.gz"),
        (["images/p2"], "labels/p2.nii.gz"),
    ]


def test_pairs_by_number_alone_are_to_be_checked(tmp_path: Path) -> None:
    for number in range(3):
        touch(tmp_path, f"images/head_{number}.nii.gz", f"labels/drawing_{number}.nii.gz")
    found = find_labelled(tmp_path)
    assert len(found.cases) == 3
    assert any("Check that these belong together" in note for note in found.notes)


def test_a_second_label_of_an_image_is_left_out_and_the_used_one_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        touch(tmp_path, f"images/{name}.nii.gz", f"labels/{name}_rater1.nii.gz", f"labels/{name}_rater2.nii.gz")
    reasons = dict(find_labelled(tmp_path).left_out)
    assert (
        reasons["labels/b_rater2.nii.gz"] == "another label of the same image; the one used is labels/b_rater1.nii.gz"
    )


def test_bids_names_tell_channels_sessions_and_subjects(tmp_path: Path) -> None:
    for session in ("sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1"):
        place = session.replace("_", "/") + "/anat/"
        touch(
            tmp_path, f"{place}{session}_T1w.nii.gz", f"{place}{session}_FLAIR.nii.gz", f"{place}{session}_bold.nii.gz"
        )
        touch(tmp_path, f"derivatives/pre/{place}{session}_desc-preproc_T1w.nii.gz")
        touch(tmp_path, f"derivatives/manual/{place}{session}_space-orig_dseg.nii.gz")
    found = find_labelled(tmp_path)
    assert (found.layout, found.channels, found.left_out, found.notes) == ("BIDS", ("FLAIR", "T1w"), (), ())
    assert [case.subject for case in found.cases] == ["sub-01", "sub-01", "sub-02"]


def test_bids_labels_of_one_kind_are_not_those_that_only_end_alike(tmp_path: Path) -> None:
    for subject in ("sub-01", "sub-02"):
        touch(tmp_path, *(f"{subject}/anat/{subject}_{word}.nii.gz" for word in ("T1w", "dseg", "seg")))
    assert any("--labels seg" in note for note in find_labelled(tmp_path).notes)
    found = find_labelled(tmp_path, labels="seg")
    assert [case.label.parts[0][1].path.name for case in found.cases if case.label] == [
        "sub-01_seg.nii.gz",
        "sub-02_seg.nii.gz",
    ]


def test_a_new_layout_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def detect(listing: FolderListing) -> Detection:
        return Detection(1.0 if listing.other("toy.txt") else 0.0, "a toy")

    def find(listing: FolderListing, labels: str | None) -> LabelledFolder:
        cases = (make_case("toy", [], None),)
        return LabelledFolder(listing.root, "a toy", ("image",), (), (), cases)

    monkeypatch.setitem(LAYOUTS, "toy", Layout("toy", "toys", "toy.txt", detect, find))
    with pytest.raises(VolumeError, match="toy: toys"):
        find_labelled(tmp_path)
    touch(tmp_path, "toy.txt")
    assert find_labelled(tmp_path).cases[0].subject == "toy"


WORDS = (
    "images",
    "labels",
    "imagesTr",
    "labelsTr",
    "segmentations",
    "train",
    "test",
    "p1",
    "p2",
    "sub-01",
    "derivatives",
)
STEMS = (
    "a",
    "b",
    "a_seg",
    "b_0000",
    "a_0001",
    "seg",
    "ct",
    "liver",
    "sub-01_T1w",
    "sub-01_mask",
    "1",
    "a_t1",
    "A",
    "_",
    "-",
)
ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mhd", ".txt", ".NII.GZ", "")
FILES = st.builds(
    lambda folders, name, ending: "/".join([*folders, name + ending]),
    st.lists(st.sampled_from(WORDS), max_size=3),
    st.sampled_from(STEMS),
    st.sampled_from(ENDINGS),
)


def test_scans_that_differ_in_capitals_alone_are_not_taken_for_each_other(tmp_path: Path) -> None:
    touch(tmp_path, "p1/a.nii.gz", "p1/A.nii.gz", "p1/masks/liver.nii.gz", "p2/a.nii.gz", "p2/masks/liver.nii.gz")
    found = find_labelled(tmp_path)
    assert [case.name for case in found.cases] == ["p2"]
    assert found.left_out[0][0] == "p1"
    assert "but for capitals: p1/A.nii.gz, p1/a.nii.gz" in found.left_out[0][1]


@settings(deadline=None, max_examples=80)
@given(files=st.lists(FILES, min_size=1, max_size=14, unique=True))
def test_any_folder_is_read_or_refused_and_no_scan_is_forgotten(
    files: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("any")
    for file in files:
        if not any(other.startswith(f"{file}/") for other in files):
            touch(root, file)
    try:
        found = find_labelled(root)
    except VolumeError as refused:
        assert str(root) in str(refused)  # noqa: PT017
        return
    used = [source for case in found.cases for source in case.images]
    used += [source for case in found.cases if case.label for _, source in case.label.parts]
    assert all(source.path.exists() for source in used)
    assert len({case.name for case in found.cases}) == len(found.cases)
    assert len({source.path for source in used}) == len(used)
