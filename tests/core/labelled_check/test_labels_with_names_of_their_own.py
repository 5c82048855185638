"""Labels that name their structures: what a file does not name was not looked for, and its numbers are its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from genesis_core.sampling.labelled_cache import open_cached_case
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels
from genesis_core.volumes.labelled.check_records import LabelledCheck
from genesis_core.volumes.labelled.checking import check_labelled
from genesis_core.volumes.labelled.finding import find_labelled
from genesis_core.volumes.labelled.reading_cases import read_case
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.writing import write_volume

SHAPE = (8, 9, 10)
GRID = Geometry(SHAPE, (1.0, 1.0, 2.0))
PLACES = {"liver": np.s_[2:4, 2:6, 2:4], "spleen": np.s_[2:4, 2:6, 6:8], "kidney": np.s_[5:7, 2:5, 2:4]}


def checked(root: Path, named: Mapping[str, Mapping[str, int]], ending: str) -> LabelledCheck:
    """Write cases in which the given structures are drawn under the given numbers, and check their folder."""
    for number, (case, values) in enumerate(named.items()):
        (root / "images").mkdir(parents=True, exist_ok=True)
        (root / "labels").mkdir(exist_ok=True)
        noise = np.random.default_rng(number).integers(-900, 200, SHAPE).astype(np.int16)
        write_volume(Volume(noise, GRID), root / "images" / f"{case}.nii.gz")
        drawn = np.zeros(SHAPE, np.uint8)
        for name, value in values.items():
            drawn[PLACES[name]] = value
        structures = tuple(Structure(name, value) for name, value in values.items())
        write_labels(LabelVolume((drawn,), GRID, structures), root / "labels" / f"{case}{ending}")
    return check_labelled(find_labelled(root))


@pytest.mark.parametrize("ending", [".seg.nrrd", ".nii.gz"])
def test_a_structure_that_a_label_does_not_name_was_not_looked_for(tmp_path: Path, ending: str) -> None:
    both = {"liver": 1, "spleen": 2}
    check = checked(tmp_path, {"a": both, "b": both, "c": {"liver": 1}}, ending)
    counts = {one.structure.name: (one.cases, one.looked_for) for one in check.structures}
    assert counts == {"liver": (3, 3), "spleen": (2, 2)}
    structures = tuple(record.structure for record in check.structures)
    preprocessing = Preprocessing(modality="ct")
    annotated = {
        case.name: open_cached_case(case, structures, preprocessing, tmp_path / "cache").annotated
        for case in check.usable_cases
    }
    assert annotated == {"a": (True, True), "b": (True, True), "c": (True, False)}


def test_two_spellings_are_two_structures_and_neither_is_absent_where_the_other_is_drawn(tmp_path: Path) -> None:
    checked(tmp_path, {"a": {"liver": 1}, "b": {"liver": 1, "spleen": 2}}, ".nii.gz")
    sidecar = tmp_path / "labels" / "b.json"
    sidecar.write_text(sidecar.read_text().replace("liver", "Liver"))
    check = check_labelled(find_labelled(tmp_path))
    structures = tuple(record.structure for record in check.structures)
    assert sorted(one.name for one in structures) == ["Liver", "liver", "spleen"]
    listed = {}
    for case in check.usable_cases:
        label = read_case(case, structures).label
        assert label is not None
        listed[case.name] = {one.name: int(label.mask(one).sum()) for one in label.structures}
    assert listed == {"a": {"liver": 16}, "b": {"Liver": 16, "spleen": 16}}


def test_an_unnamed_number_counts_as_looked_for_in_every_case(tmp_path: Path) -> None:
    checked(tmp_path, {"a": {"liver": 1, "spleen": 2}, "b": {"liver": 1}}, ".nii.gz")
    for sidecar in (tmp_path / "labels").glob("*.json"):
        sidecar.unlink()
    check = check_labelled(find_labelled(tmp_path))
    counts = {one.structure.name: (one.cases, one.looked_for) for one in check.structures}
    assert counts == {"label 1": (2, 2), "label 2": (1, 2)}


def test_files_that_number_a_structure_otherwise_are_read_as_one_set(tmp_path: Path) -> None:
    both = {"liver": 1, "spleen": 2}
    check = checked(tmp_path, {"a": both, "b": both, "c": {"spleen": 1}, "d": {"kidney": 1}}, ".seg.nrrd")
    structures = tuple(record.structure for record in check.structures)
    assert [(one.name, one.value) for one in structures] == [("liver", 1), ("spleen", 2), ("kidney", 3)]
    for case in check.usable_cases:
        label = read_case(case, structures).label
        assert label is not None
        for one in label.structures:
            expected = np.zeros(SHAPE, bool)
            expected[PLACES[one.name]] = True
            assert np.array_equal(label.mask(one), expected), (case.name, one.name)
    assert [case.name for case in check.usable_cases] == ["a", "b", "c", "d"]


def test_numbers_of_files_without_names_stay_beside_named_ones(tmp_path: Path) -> None:
    checked(tmp_path, {"a": {"liver": 1, "spleen": 2}, "b": {"kidney": 1}}, ".nii.gz")
    (tmp_path / "labels" / "b.json").unlink()
    check = check_labelled(find_labelled(tmp_path))
    numbers = {record.structure.name: record.structure.value for record in check.structures}
    assert numbers["label 1"] == 1
    assert sorted(numbers) == ["label 1", "liver", "spleen"]
    assert len(set(numbers.values())) == 3
