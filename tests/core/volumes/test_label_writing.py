"""Written labels never lose names, overwrite unasked, or stand beside the names of others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from test_label_files import GRID, MAP, NAMED

from genesis_core.errors import OutputExistsError, VolumeError
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels


def test_overlap_is_not_written_where_it_cannot_be_held(tmp_path: Path) -> None:
    labels = LabelVolume((MAP, MAP), GRID, NAMED)
    with pytest.raises(VolumeError, match=r"overlap.*seg\.nrrd"):
        write_labels(labels, tmp_path / "case.nii.gz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["case.mha", "case.nii.gz.txt", "case"])
def test_an_unknown_ending_lists_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(VolumeError, match=r"\.nii\.gz, \.nii, \.nrrd"):
        write_labels(LabelVolume((MAP,), GRID, NAMED), tmp_path / name)


def test_nothing_is_overwritten_without_being_asked(tmp_path: Path) -> None:
    labels = LabelVolume((MAP,), GRID, NAMED)
    (tmp_path / "case.json").write_text("{}")
    with pytest.raises(OutputExistsError, match=r"case\.json"):
        write_labels(labels, tmp_path / "case.nii.gz")
    assert not (tmp_path / "case.nii.gz").exists()
    for name in ("b.nii.gz", "b.seg.nrrd"):
        path = write_labels(labels, tmp_path / name)
        before = path.read_bytes()
        with pytest.raises(OutputExistsError, match="exists"):
            write_labels(LabelVolume((MAP * 0,), GRID, ()), path)
        assert path.read_bytes() == before
        write_labels(LabelVolume((MAP * 0,), GRID, ()), path, overwrite=True)
        assert not read_labels(path).layers[0].any()


def test_facts_of_other_programs_beside_the_labels_survive(tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text('{"EchoTime": 0.03, "structures": [{"name": "old", "value": 1}]}')
    write_labels(LabelVolume((MAP,), GRID, NAMED), tmp_path / "case.nii.gz", overwrite=True)
    content = json.loads((tmp_path / "case.json").read_text())
    assert content["EchoTime"] == 0.03
    assert content["structures"][0] == {"name": "liver", "value": 1, "colour": [200, 30, 40]}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_facts_survive_in_whatever_encoding_they_are_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "case.json").write_text('{"Operator": "M\u00fcller"}', encoding=encoding)
    write_labels(LabelVolume((MAP,), GRID, NAMED), tmp_path / "case.nii.gz", overwrite=True)
    assert json.loads((tmp_path / "case.json").read_text(encoding="utf-8"))["Operator"] == "M\u00fcller"


@pytest.mark.parametrize("text", ["{'EchoTime': 0.03}", "[1, 2]", '{"EchoTime": 0.03'])
def test_a_json_that_cannot_be_understood_is_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "case.json").write_text(text)
    with pytest.raises(VolumeError, match=r"case\.json"):
        write_labels(LabelVolume((MAP,), GRID, NAMED), tmp_path / "case.nii.gz", overwrite=True)
    assert (tmp_path / "case.json").read_text() == text
    assert not (tmp_path / "case.nii.gz").exists()


def test_no_moment_of_writing_shows_old_names_with_new_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_labels(LabelVolume((MAP,), GRID, NAMED), tmp_path / "case.nii.gz")
    seen = []
    replace = os.replace

    def watch(source: str | Path, target: str | Path) -> None:
        replace(source, target)
        labels = read_labels(path)
        seen.append((int(labels.as_map().max()), [structure.name for structure in labels.structures]))

    monkeypatch.setattr(os, "replace", watch)
    write_labels(LabelVolume((MAP * 5,), GRID, (Structure("lung", 1), Structure("rib", 10))), path, overwrite=True)
    assert seen == [(10, ["label 5", "label 10"]), (10, ["lung", "rib"])]
