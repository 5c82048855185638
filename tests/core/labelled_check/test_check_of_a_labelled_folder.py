"""The check of a labelled folder: each problem made once is found, named and explained, and nothing else is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from genesis_core.volumes.labelled.check_records import LabelledCheck
from genesis_core.volumes.labelled.checking import check_labelled
from genesis_core.volumes.labelled.finding import find_labelled
from genesis_core.volumes.labelled.splitting import split_cases
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.writing import write_volume

SHAPE = (12, 16, 14)
SPACING = (1.0, 1.0, 2.0)
MIRRORED = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def mr(seed: int) -> NDArray[Any]:
    """Return an MR-like scan: no unit, a scale of its own."""
    random = np.random.default_rng(seed)
    return (random.gamma(2, 80 + 40 * (seed % 5), SHAPE)).astype(np.float32)


def ct(seed: int) -> NDArray[Any]:
    """Return a CT-like scan: air around soft tissue."""
    random = np.random.default_rng(seed)
    array = np.full(SHAPE, -1000.0) + random.normal(0, 5, SHAPE)
    array[2:-2, 3:-3, 3:-3] = random.normal(40, 30, (SHAPE[0] - 4, SHAPE[1] - 6, SHAPE[2] - 6))
    return array.round().clip(-1024, 3000).astype(np.int16)


def drawn(seed: int, values: tuple[int, ...] = (1, 2)) -> NDArray[Any]:
    """Return boxes of whole numbers, side by side, that differ a little between seeds."""
    label = np.zeros(SHAPE, np.uint8)
    for place, value in enumerate(values):
        label[3 : 6 + seed % 3, 4 : 8 + seed // 3 % 4, 3 + 3 * place : 5 + 3 * place] = value
    return label


class Folder:
    """A labelled folder that is made case by case."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for part in ("images", "labels"):
            (root / part).mkdir(parents=True)

    def write(self, part: str, name: str, array: NDArray[Any], **geometry: Any) -> Path:
        path = self.root / part / (name if "." in name else f"{name}.nii.gz")
        grid = Geometry(array.shape, **({"spacing": SPACING} | geometry))  # type: ignore[arg-type]
        write_volume(Volume(array, grid), path, overwrite=True)
        return path

    def case(
        self, number: int, image: NDArray[Any] | None = None, label: NDArray[Any] | None = None, **grid: Any
    ) -> str:
        name = f"head{number:02}"
        self.write("images", name, mr(number) if image is None else image, **grid)
        self.write("labels", name, drawn(number) if label is None else label, **grid)
        return name

    def check(self, **options: Any) -> LabelledCheck:
        return check_labelled(find_labelled(self.root), **options)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "set")


def ten(folder: Folder, kind: Callable[[int], NDArray[Any]] = mr) -> None:
    """Fill a folder with ten cases nothing is wrong with."""
    for number in range(10):
        folder.case(number, kind(number))


def the_only(check: LabelledCheck) -> Any:
    """Return the one problem there is."""
    assert [problem.kind for problem in check.problems] == [check.problems[0].kind], check.problems
    return check.problems[0]


@pytest.mark.parametrize("kind", [mr, ct])
def test_a_sound_set_has_no_problem(folder: Folder, kind: Callable[[int], NDArray[Any]]) -> None:
    ten(folder, kind)
    check = folder.check()
    assert check.problems == ()
    assert len(check.usable) == 10
    first = check.cases[0]
    assert (first.name, first.shape, first.spacing, first.modality) == ("head00", SHAPE, SPACING, kind.__name__)
    assert first.orientation == "LPS"
    one, two = check.structures
    assert (one.structure.name, one.structure.value, one.cases, one.subjects) == ("label 1", 1, 10, 10)
    sizes = sorted(np.count_nonzero(drawn(number) == 1) * 2 / 1000 for number in range(10))
    assert (one.least, one.median, one.most) == pytest.approx((sizes[0], np.median(sizes), sizes[-1]))
    assert two.structure.name == "label 2"
    assert first.structures[0].voxels == np.count_nonzero(drawn(0) == 1)


def test_a_label_on_another_grid_is_left_out_with_the_difference_in_words(folder: Folder) -> None:
    ten(folder)
    folder.write("labels", "head03", drawn(3), origin=(0.0, 0.0, 7.0))
    check = folder.check()
    problem = the_only(check)
    assert (problem.kind, problem.severity, problem.cases) == ("grids_differ", "left_out", ("head03",))
    assert "mm" in problem.text
    assert "resample" in problem.fix
    assert [case.name for case in check.left_out] == ["head03"]
    assert "head03" not in check.contents()
    assert all(one.cases == 9 for one in check.structures)


def test_a_damaged_image_is_left_out_and_the_others_are_read(folder: Folder) -> None:
    ten(folder)
    path = folder.root / "images" / "head05.nii.gz"
    path.write_bytes(path.read_bytes()[:600])
    check = folder.check()
    problem = the_only(check)
    assert (problem.kind, problem.severity, problem.cases) == ("unreadable", "left_out", ("head05",))
    assert len(check.usable) == 9
    assert str(folder.root) not in json.dumps(check.as_json())


def test_an_image_without_label_is_named(folder: Folder) -> None:
    ten(folder)
    folder.write("images", "head99", mr(99))
    check = folder.check()
    problem = the_only(check)
    assert problem.severity == "left_out"
    assert "head99" in problem.cases[0]


def test_an_empty_label_is_a_warning_and_stays(folder: Folder) -> None:
    ten(folder)
    folder.write("labels", "head04", np.zeros(SHAPE, np.uint8))
    check = folder.check()
    problem = the_only(check)
    assert (problem.kind, problem.severity, problem.cases) == ("empty", "warning", ("head04",))
    assert len(check.usable) == 10


def test_numbers_outside_the_list_are_counted(folder: Folder) -> None:
    ten(folder)
    (folder.root / "label_names.csv").write_text("number,name\n1,liver\n2,spleen\n")
    label = drawn(6)
    label[9:11, 9:12, 4:7] = 7
    folder.write("labels", "head06", label)
    check = folder.check()
    problem = the_only(check)
    assert (problem.kind, problem.severity, problem.cases) == ("outside_list", "warning", ("head06",))
    assert "7" in problem.text
    assert "18 voxels" in problem.text
    assert dict(check.cases[6].outside) == {7: 18}
    assert [one.structure.name for one in check.structures] == ["liver", "spleen"]


def test_a_structure_that_is_listed_but_never_drawn_is_named(folder: Folder) -> None:
    ten(folder)
    (folder.root / "label_names.csv").write_text("number,name\n1,liver\n2,spleen\n3,pancreas\n")
    problem = the_only(folder.check())
    assert problem.kind == "rare_structure"
    assert "pancreas" in problem.text
    assert "drawn nowhere" in problem.text


def test_a_structure_of_one_subject_is_named(folder: Folder) -> None:
    ten(folder)
    folder.write("labels", "head02", drawn(2, (1, 2, 5)))
    problem = the_only(folder.check())
    assert (problem.kind, problem.cases) == ("rare_structure", ("head02",))
    assert "label 5" in problem.text


def test_a_scan_saved_twice_is_found_across_formats_types_and_axis_orders(folder: Folder) -> None:
    ten(folder)
    turned = {"origin": (SHAPE[2] - 1.0, 0.0, 0.0), "direction": MIRRORED}
    folder.write("images", "head77.nrrd", mr(1).astype(np.float64)[:, :, ::-1].copy(), **turned)
    folder.write("labels", "head77.nrrd", drawn(1).astype(np.int16)[:, :, ::-1].copy(), **turned)
    check = folder.check()
    kinds = {problem.kind: problem for problem in check.problems}
    assert set(kinds) == {"same_case", "orientation"}
    assert kinds["same_case"].cases == ("head01", "head77")
    assert kinds["orientation"].cases == ("head77",)
    assert kinds["orientation"].severity == "note"
    subjects = {case.name: case.subject for case in check.usable_cases}
    assert subjects["head01"] == subjects["head77"]
    assert len(set(subjects.values())) == 10


def test_the_same_scan_with_two_labels_is_one_subject(folder: Folder) -> None:
    ten(folder)
    folder.write("images", "head08", mr(2))
    check = folder.check()
    problem = the_only(check)
    assert (problem.kind, problem.cases) == ("same_image", ("head02", "head08"))
    assert len({case.subject for case in check.usable_cases}) == 9


def test_the_same_label_on_two_scans_is_a_warning(folder: Folder) -> None:
    ten(folder)
    folder.write("labels", "head08", drawn(2))
    check = folder.check()
    problem = the_only(check)
    assert (problem.kind, problem.severity, problem.cases) == ("same_label", "warning", ("head02", "head08"))
    assert len({case.subject for case in check.usable_cases}) == 10


def test_a_spacing_unlike_all_others_is_named(folder: Folder) -> None:
    ten(folder)
    folder.case(4, spacing=(1.0, 1.0, 9.0))
    problem = the_only(folder.check())
    assert (problem.kind, problem.severity, problem.cases) == ("spacing", "warning", ("head04",))
    assert "1 x 1 x 9" in problem.text


def test_few_cases_make_no_outliers_but_sizes_that_vary_are_noted(folder: Folder) -> None:
    for number in range(4):
        folder.case(number, spacing=(1.0, 1.0, 9.0 if number == 3 else 2.0))
    problem = the_only(folder.check())
    assert (problem.kind, problem.severity) == ("spacing", "note")
    assert "up-down 2 to 9 mm" in problem.text


def test_a_ct_that_is_not_in_hounsfield_units_is_named(folder: Folder) -> None:
    ten(folder, ct)
    folder.case(7, ct(7) + np.int16(1024))
    problem = the_only(folder.check())
    assert (problem.kind, problem.severity, problem.cases) == ("modality", "warning", ("head07",))
    assert "rescale" in problem.fix


def test_a_ct_cut_to_a_window_is_named(folder: Folder) -> None:
    ten(folder, ct)
    # Fat and soft tissue only, in a window of -160 to 240 HU, with no air left.
    random = np.random.default_rng(0)
    folder.case(7, random.normal(-60, 60, SHAPE).round().clip(-260, 140).astype(np.int16))
    problem = the_only(folder.check())
    assert (problem.kind, problem.cases) == ("intensity", ("head07",))


def test_mr_scans_of_any_scale_are_no_problem(folder: Folder) -> None:
    for number in range(10):
        folder.case(number, mr(number) * np.float32(10.0 ** (number % 4)))
    assert folder.check().problems == ()


def test_a_mixture_of_ct_and_mr_is_noted(folder: Folder) -> None:
    for number in range(6):
        folder.case(number, ct(number) if number % 2 else mr(number))
    problem = the_only(folder.check())
    assert (problem.kind, problem.severity) == ("modality", "note")
    assert "3" in problem.text


def test_a_constant_image_is_named(folder: Folder) -> None:
    ten(folder)
    folder.write("images", "head02", np.full(SHAPE, 5.0, np.float32))
    folder.write("images", "head03", np.full(SHAPE, 5.0, np.float32))
    problem = the_only(folder.check())
    assert (problem.kind, problem.cases) == ("constant", ("head02", "head03"))


def test_image_and_label_exchanged_are_noticed(folder: Folder) -> None:
    ten(folder)
    folder.write("images", "head02", drawn(20, (1, 2, 3)))
    problem = the_only(folder.check())
    assert (problem.kind, problem.cases) == ("image_is_label", ("head02",))


def test_left_and_right_exchanged_are_noticed(folder: Folder) -> None:
    (folder.root / "label_names.csv").write_text("number,name\n1,kidney_right\n2,kidney_left\n")
    ten(folder)
    exchanged = drawn(5).copy()
    exchanged[drawn(5) == 1], exchanged[drawn(5) == 2] = 2, 1
    folder.write("labels", "head05", exchanged)
    problem = the_only(folder.check())
    assert (problem.kind, problem.severity, problem.cases) == ("left_right", "warning", ("head05",))
    assert "kidney_left" in problem.text


def test_stray_voxels_beside_a_structure_are_noted_and_lesions_are_not(folder: Folder) -> None:
    random = np.random.default_rng(3)
    for number in range(10):
        label = drawn(number, (1,))
        # Lesions: many small pieces in every case.
        label[8:10, 9:15, 2:12][random.random((2, 6, 10)) < 0.15] = 3
        if number == 5:
            label[0:1, 15, 12] = 1
            label[1, 14, 12] = 1
        folder.case(number, label=label)
    found = {problem.kind: problem for problem in folder.check().problems}
    assert found["specks"].cases == ("head05",)
    assert "label 1" in found["specks"].text
    assert "label 3" not in found["specks"].text


def test_a_structure_that_reaches_the_edge_in_one_case_is_noted(folder: Folder) -> None:
    ten(folder)
    label = drawn(1)
    label[0:3, 4:8, 3:5] = 1
    folder.write("labels", "head01", label)
    problem = the_only(folder.check())
    assert (problem.kind, problem.severity, problem.cases) == ("border", "note", ("head01",))


def test_what_reading_noticed_is_told_once(folder: Folder) -> None:
    ten(folder)
    for number in (3, 4):
        array = mr(number)
        array[0, 0, :number] = np.nan
        folder.write("images", f"head{number:02}", array)
    problem = the_only(folder.check())
    assert (problem.kind, problem.severity, problem.cases) == ("reading", "note", ("head03", "head04"))
    assert "not-a-number" in problem.text


def test_a_defect_met_in_one_case_leaves_out_that_case_only(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from genesis_core.volumes.labelled import case_check

    ten(folder)
    read = case_check.read_case

    def fail_on_one(case: Any, structures: Any) -> Any:
        if case.name == "head06":
            raise ZeroDivisionError("unforeseen")
        return read(case, structures)

    monkeypatch.setattr(case_check, "read_case", fail_on_one)
    problem = the_only(folder.check(remember=False))
    assert (problem.severity, problem.cases) == ("left_out", ("head06",))
    assert "unforeseen" in problem.text
    assert "ZeroDivisionError" in caplog.text


def test_names_that_look_like_one_subject_are_a_warning_until_subjects_are_given(folder: Folder) -> None:
    for number in range(6):
        name = f"sub-{number // 2:02}_ses-{number % 2}"
        folder.write("images", name, mr(number))
        folder.write("labels", name, drawn(number))
    check = folder.check()
    problem = the_only(check)
    assert (problem.kind, problem.severity) == ("subjects", "warning")
    assert problem.text not in check.notes
    told = check_labelled(find_labelled(folder.root, subject_pattern=r"(sub-\d+)"))
    assert told.problems == ()
    assert told.summary()["subjects"] == 3


def test_several_problems_are_sorted_by_weight(folder: Folder) -> None:
    ten(folder)
    folder.write("labels", "head03", drawn(3), origin=(0.0, 0.0, 7.0))
    folder.write("labels", "head04", np.zeros(SHAPE, np.uint8))
    folder.case(5, direction=MIRRORED)
    check = folder.check()
    assert [problem.kind for problem in check.problems] == ["grids_differ", "empty", "orientation"]
    assert [problem.severity for problem in check.problems] == ["left_out", "warning", "note"]


def test_a_second_check_reads_no_file_and_says_the_same(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    from genesis_core.volumes.labelled import case_check

    ten(folder)
    first = folder.check()

    def refuse(*_: object) -> None:
        raise AssertionError("a file was read again")

    with monkeypatch.context() as patch:
        patch.setattr(case_check, "read_case", refuse)
        assert folder.check().as_json() == first.as_json()
        assert folder.check(remember=False).usable == ()
    folder.write("labels", "head04", np.zeros(SHAPE, np.uint8))
    assert the_only(folder.check()).kind == "empty"


def test_names_written_beside_a_label_later_are_seen(folder: Folder) -> None:
    ten(folder)
    assert folder.check().problems == ()
    for number in range(10):
        names = {"structures": [{"name": "liver", "value": 1}, {"name": "spleen", "value": 2}]}
        (folder.root / "labels" / f"head{number:02}.json").write_text(json.dumps(names))
    assert [one.structure.name for one in folder.check().structures] == ["liver", "spleen"]


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_change_nothing(folder: Folder, threads: int) -> None:
    ten(folder)
    counted: list[tuple[int, int]] = []
    check = folder.check(threads=threads, remember=False, progress=lambda done, total: counted.append((done, total)))
    assert [case.name for case in check.cases] == [f"head{number:02}" for number in range(10)]
    assert counted == [(done, 10) for done in range(1, 11)]
    assert check.as_json() == folder.check(threads=2).as_json()


def test_a_check_can_be_ended_early_and_says_so(folder: Folder) -> None:
    ten(folder)
    seen: list[int] = []
    check = folder.check(
        threads=1, progress=lambda done, total: seen.append(done), should_stop=lambda: len(seen) >= 3, remember=False
    )
    assert check.stopped
    assert 3 <= len(check.cases) < 10
    assert check.summary()["stopped"] is True


def test_the_json_names_no_folder_and_is_stable(folder: Folder) -> None:
    ten(folder)
    values = folder.check().as_json()
    text = json.dumps(values, allow_nan=False)
    assert str(folder.root) not in text
    assert os.sep + "images" not in text
    assert set(values) >= {"v", "layout", "cases", "problems", "structures", "usable", "left_out", "subjects"}
    case = values["cases"][0]
    assert set(case) >= {"name", "id", "subject", "part", "status", "shape", "spacing", "orientation", "channels"}
    assert set(case["structures"]["label 1"]) >= {"voxels", "millilitres"}


def test_cases_of_a_subject_in_both_parts_are_named_and_no_split_trains_on_them(folder: Folder) -> None:
    for part in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (folder.root / part).mkdir()
    for number in range(10):
        part = "Ts" if number >= 8 else "Tr"
        # Numbers 0 and 9 are one person's.
        name = f"p{number % 9}_{number}"
        folder.write(f"images{part}", f"{name}_0000.nii.gz", mr(number))
        folder.write(f"labels{part}", f"{name}.nii.gz", drawn(number))
    values = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "a": 1, "b": 2}, "file_ending": ".nii.gz"}
    (folder.root / "dataset.json").write_text(json.dumps(values | {"numTraining": 8}))
    check = check_labelled(find_labelled(folder.root, layout="nnunet", subject_pattern=r"^(p\d)_"))
    problem = the_only(check)
    assert (problem.kind, problem.cases) == ("subject_in_parts", ("p0_0",))
    (split,) = split_cases(check.usable_cases, contents=check.contents())
    assert [case.name for case in split.cases_of("test", check.usable_cases)] == ["p0_9", "p8_8"]
    used = {case.name for side in ("training", "validation") for case in split.cases_of(side, check.usable_cases)}
    assert used == {f"p{number}_{number}" for number in range(1, 8)}


def test_classes_are_counted_and_a_class_of_one_subject_is_named(folder: Folder) -> None:
    lines = ["image,class"]
    for number in range(10):
        folder.write("images", f"scan{number}", mr(number))
        lines.append(f"images/scan{number}.nii.gz,{'sick' if number == 4 else 'well' if number % 2 else 'unclear'}")
    (folder.root / "cases.csv").write_text("\n".join(lines) + "\n")
    check = check_labelled(find_labelled(folder.root / "cases.csv"))
    problem = the_only(check)
    assert (problem.kind, problem.severity) == ("rare_class", "warning")
    assert len(problem.cases) == 1
    assert check.summary()["classes"] == {"sick": 1, "unclear": 4, "well": 5}


def test_a_structure_nobody_looked_for_is_not_missing(folder: Folder) -> None:
    for number in range(10):
        for value, name in enumerate(("liver", "spleen"), start=1):
            if name == "spleen" and number >= 6:
                continue
            mask = (drawn(number) == value).astype(np.uint8)
            (folder.root / f"s{number}" / "segmentations").mkdir(parents=True, exist_ok=True)
            write_volume(
                Volume(mask, Geometry(SHAPE, SPACING)), folder.root / f"s{number}" / "segmentations" / f"{name}.nii.gz"
            )
        write_volume(Volume(ct(number), Geometry(SHAPE, SPACING)), folder.root / f"s{number}" / "ct.nii.gz")
    check = check_labelled(find_labelled(folder.root, layout="mask_folders"))
    counts = {one.structure.name: (one.cases, one.looked_for) for one in check.structures}
    assert counts == {"liver": (10, 10), "spleen": (6, 6)}
    assert check.problems == ()


@pytest.mark.parametrize(
    ("name", "cases", "kinds"),
    [
        ("hippocampus_mr", 48, set()),
        ("ms_lesions_mr", 2, set()),
        ("sarcoma_ct", 10, set()),
        ("sarcoma_mr_t1", 10, set()),
        ("thorax_rtstruct_ct", 1, set()),
        ("totalseg_multiorgan", 3, {"rare_structure", "modality", "orientation", "specks"}),
        ("vertebra_crops", 2, {"modality"}),
        ("spinal_cord_mr", 2, {"orientation", "spacing"}),
    ],
)
def test_real_sets_are_usable_and_no_wolf_is_cried(real_data: Path, name: str, cases: int, kinds: set[str]) -> None:
    check = check_labelled(find_labelled(real_data / "labelled" / name))
    assert len(check.usable) == cases
    assert {problem.kind for problem in check.problems} == kinds
    assert str(real_data) not in json.dumps(check.as_json(), allow_nan=False)


def test_the_mismatched_real_label_is_left_out(real_data: Path, folder: Folder) -> None:
    source = real_data / "labelled" / "sarcoma_ct"
    for name in ("STS_002", "STS_019", "STS_025"):
        for part in ("images", "labels"):
            (folder.root / part / f"{name}.nii.gz").symlink_to(source / part / f"{name}.nii.gz")
    label = folder.root / "labels" / "STS_025.nii.gz"
    label.unlink()
    label.symlink_to(real_data / "awkward" / "mismatched_label.nii.gz")
    problem = the_only(folder.check())
    assert (problem.kind, problem.cases) == ("grids_differ", ("STS_025",))


def test_a_real_scan_saved_in_another_format_is_found(real_data: Path, folder: Folder) -> None:
    from genesis_core.volumes.reading import read_volume
    from genesis_core.volumes.resampling import reorient

    source = real_data / "labelled" / "sarcoma_ct"
    for name in ("STS_002", "STS_019"):
        for part in ("images", "labels"):
            (folder.root / part / f"{name}.nii.gz").symlink_to(source / part / f"{name}.nii.gz")
    for part in ("images", "labels"):
        volume = read_volume(source / part / "STS_002.nii.gz")
        write_volume(reorient(volume, "RAS"), folder.root / part / "again.nrrd")
    problems = {problem.kind: problem.cases for problem in folder.check().problems}
    assert problems["same_case"] == ("STS_002", "again")
