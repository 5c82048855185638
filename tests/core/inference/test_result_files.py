"""Names of results: the folder's layout is mirrored, and no two scans share one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesis_core.inference.result_files import RESTORATION_PARTS, restoration_files, result_stems
from genesis_core.volumes.scans import Scan, scan_id


def _scans(*relatives: str, root: Path = Path("/nowhere")) -> list[Scan]:
    return [Scan(root / relative, relative, None, scan_id(relative)) for relative in relatives]


@pytest.mark.parametrize(
    ("relative", "stem"),
    [
        ("a.nii.gz", "a"),
        ("deep/er/b.nii", "deep/er/b"),
        ("A.MHA", "A"),
        ("visit.2/c.v1.nrrd", "visit.2/c.v1"),
        ("no_ending", "no_ending"),
        (".nii.gz", ".nii.gz"),
    ],
)
def test_a_result_is_called_like_its_scan(relative: str, stem: str) -> None:
    assert [str(found) for found in result_stems(_scans(relative))] == [stem]


def test_equal_names_in_different_folders_stay_apart_by_their_folders() -> None:
    assert [str(stem) for stem in result_stems(_scans("one/ct.nii.gz", "two/ct.nii.gz"))] == ["one/ct", "two/ct"]


def test_a_dicom_folder_is_called_like_the_folder(tmp_path: Path) -> None:
    (tmp_path / "visit.2").mkdir()
    itself = Scan(tmp_path, ".", None, scan_id("."))
    below = _scans("visit.2", root=tmp_path)[0]
    assert [str(stem) for stem in result_stems([itself, below])] == [tmp_path.name, "visit.2"]


@given(
    st.lists(
        st.builds(
            "{}{}{}".format,
            st.sampled_from(["", "one/", "ONE/"]),
            st.sampled_from(["a", "A", "b.c"]),
            st.sampled_from(["", ".nii", ".nii.gz", ".mha", ".nrrd"]),
        ),
        unique=True,
    )
)
def test_no_two_scans_share_a_name_even_where_capitals_do_not_count(relatives: list[str]) -> None:
    stems = [str(stem).casefold() for stem in result_stems(_scans(*relatives))]
    assert len(set(stems)) == len(relatives)


def test_two_series_of_one_dicom_folder_stay_apart(tmp_path: Path) -> None:
    scans = [Scan(tmp_path, ".", series, scan_id(".", series)) for series in ("1.2", "1.3")]
    assert len(set(result_stems(scans))) == 2


def test_every_part_of_a_restoration_has_a_file_of_its_own() -> None:
    stem = result_stems(_scans("one/ct.nii.gz"))[0]
    files = restoration_files(Path("out"), stem, "nrrd")
    assert tuple(files) == RESTORATION_PARTS
    assert files["residual"] == Path("out/one/ct_residual.nrrd")
    assert files["metrics"] == Path("out/one/ct_metrics.json")
