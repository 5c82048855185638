"""A folder is listed the same everywhere, without opening voxels, and without falling over what lies in it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from dicom_files import RTSTRUCT, dicom_bytes, write_series

from genesis_core.errors import VolumeError
from genesis_core.volumes.scans import list_scans, scan_id, survey_folder

SLICES = np.zeros((4, 5, 6), "i2")


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_scans_are_found_by_name_and_sorted(tmp_path: Path) -> None:
    names = ["b/two.nii.gz", "a/x.nii", "a/Y.MHA", "one.nrrd", "b/c/d.mhd", "e.hdr", "broken.dcm"]
    touch(*(tmp_path / name for name in names))
    touch(
        *(
            tmp_path / n
            for n in ["b/c/d.raw", "b/c/d.zraw", "e.img", "README.md", "a/t.csv", "LICENSE", ".h/x.nii", ".y.nii"]
        )
    )
    survey = survey_folder(tmp_path)
    assert [scan.relative for scan in survey.scans] == sorted(names)
    assert survey.skipped == 3
    for scan in survey.scans:
        assert scan.path == tmp_path / scan.relative
        assert scan.id == scan_id(scan.relative)


def test_the_pseudonym_is_stable_and_differs_between_series() -> None:
    assert scan_id("a/x.nii") == scan_id("a/x.nii")
    assert len({scan_id("a/x.nii"), scan_id("a/y.nii"), scan_id("a", "1.2"), scan_id("a", "1.3"), scan_id("a")}) == 5
    assert scan_id("a/x.nii").startswith("scan_")
    assert len(scan_id("a")) == 15


def test_a_dicom_folder_is_one_scan(tmp_path: Path) -> None:
    write_series(tmp_path / "patient" / "CT", SLICES, name="CT.1.2.{:d}")
    objects = dicom_bytes(None, position=(0, 0, 0), uid="9.9", series="9.9", number=1, sop_class=RTSTRUCT)
    (tmp_path / "patient" / "CT" / "RS.dcm").write_bytes(objects)
    assert [(s.relative, s.series, s.path) for s in list_scans(tmp_path)] == [
        ("patient/CT", None, tmp_path / "patient/CT")
    ]
    assert [s.relative for s in list_scans(tmp_path / "patient" / "CT")] == ["."]


def test_every_series_of_a_folder_is_a_scan(tmp_path: Path) -> None:
    write_series(tmp_path / "p", SLICES, series="1.2.5", name="b{:d}.dcm")
    write_series(tmp_path / "p", SLICES, series="1.2.4", name="a{:d}.dcm")
    write_series(tmp_path / "p", SLICES[:1], series="1.2.6", name="scout.dcm")
    found = list_scans(tmp_path)
    assert [(s.relative, s.series) for s in found] == [("p", "1.2.4"), ("p", "1.2.5"), ("p/scout.dcm", None)]
    assert len({s.id for s in found}) == 3


def test_a_dicom_file_alone_is_a_scan_and_so_is_a_damaged_one(tmp_path: Path) -> None:
    write_series(tmp_path, SLICES[:1], name="one.dcm")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "one.dcm").read_bytes()[:200])
    assert [s.relative for s in list_scans(tmp_path)] == ["cut.dcm", "one.dcm"]


def test_links_in_circles_and_to_nowhere_do_no_harm(tmp_path: Path) -> None:
    touch(tmp_path / "real" / "x.nii")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "gone.nii").symlink_to(tmp_path / "nothing.nii")
    os.mkfifo(tmp_path / "pipe")
    assert [s.relative for s in list_scans(tmp_path)] == ["gone.nii", "linked/x.nii", "real/x.nii"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may list everything")
def test_a_folder_that_cannot_be_listed_is_said(tmp_path: Path) -> None:
    touch(tmp_path / "a.nii", tmp_path / "closed" / "b.nii")
    (tmp_path / "closed").chmod(0)
    survey = survey_folder(tmp_path)
    (tmp_path / "closed").chmod(0o700)
    assert [s.relative for s in survey.scans] == ["a.nii"]
    assert survey.closed[0].startswith("closed: ")


def test_one_file_is_a_list_of_one(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "x.nii.gz")
    (scan,) = list_scans(tmp_path / "a" / "x.nii.gz")
    assert (scan.relative, scan.path) == ("x.nii.gz", tmp_path / "a" / "x.nii.gz")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="none: no such file or folder"):
        list_scans(tmp_path / "none")


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert list_scans(tmp_path) == []
