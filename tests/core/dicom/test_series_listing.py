"""Folders of many patients: every series is listed with what reading it would say, and chosen by rules with reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_files import RTSTRUCT, dicom_bytes, write_series
from frames_making import write_frames
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.errors import SettingsError, VolumeError
from genesis_core.settings import validate
from genesis_core.volumes.dicom.choosing import (
    Choice,
    SeriesRules,
    choose_series,
    read_table,
    sharpness,
    write_table,
)
from genesis_core.volumes.dicom.listing import SeriesRecord, list_series, thumbnail
from genesis_core.volumes.reading import read_volume

STORED = np.random.default_rng(3).integers(0, 1500, (9, 11, 13)).astype("i2")


def record(**change: object) -> SeriesRecord:
    good = SeriesRecord(
        Path("a"), "a", "1.2", "9.1", "thorax", "CT", 120, (512, 512), (0.7, 0.7, 1.0), 1.0, "axial", "Br36f 3",
        "ORIGINAL PRIMARY AXIAL", None,
    )  # fmt: skip
    return replace(good, **change)  # type: ignore[arg-type]


def test_every_series_is_listed_with_what_is_wrong_with_it(tmp_path: Path) -> None:
    write_series(tmp_path / "p1" / "ct", STORED, series="1.2.3.4", x00181210="B30f", x00080005="ISO_IR 192",
                 x0008103E="Schädel".encode())  # fmt: skip
    write_series(tmp_path / "p1" / "ct", STORED[:5], series="1.2.3.5", name="c{:d}.dcm", x00200037="1\\0\\0\\0\\0\\-1",
                 step=(0, 2.5, 0))  # fmt: skip
    write_series(tmp_path / "p2", STORED, series="1.2.3.6")[4].unlink()
    write_series(tmp_path / "p3", STORED, series="1.2.3.7", step=(0, 0.7, 2.5))
    (tmp_path / "p4").mkdir()
    write_frames(tmp_path / "p4" / "enhanced.dcm", STORED)
    data = dicom_bytes(None, position=(0, 0, 0), uid="9.9", series="9.9.9", number=1, sop_class=RTSTRUCT)
    (tmp_path / "p4" / "RS.dcm").write_bytes(data)
    (tmp_path / "p5").mkdir()
    (tmp_path / "p5" / "cut.dcm").write_bytes(data[:150])
    records = list_series(tmp_path)
    assert [r.folder for r in records] == ["p1/ct", "p1/ct", "p2", "p3", "p4", "p5"]
    axial, coronal, gap, tilted, frames, damaged = records
    assert (axial.uid, axial.study, axial.description, axial.modality) == ("1.2.3.4", "1.2.3", "Schädel", "CT")
    assert (axial.slices, axial.size, axial.spacing, axial.thickness) == (9, (13, 11), (0.7, 0.8, 2.5), 2.5)
    assert (axial.orientation, axial.kernel, axial.image_type) == ("axial", "B30f", "ORIGINAL PRIMARY AXIAL")
    assert axial.problem is None
    assert (coronal.orientation, coronal.slices) == ("coronal", 5)
    assert gap.problem is not None
    assert gap.problem.startswith("1 slice(s) missing")
    assert (gap.spacing, gap.slices) == (None, 8)
    assert tilted.sheared
    assert "tilted gantry" in str(tilted.problem)
    assert (frames.slices, frames.spacing, frames.problem, frames.orientation) == (9, (0.7, 0.8, 2.5), None, "axial")
    assert "cut" in str(damaged.problem)
    assert str(tmp_path) not in "".join(str(r.problem) for r in records)
    with pytest.raises(VolumeError, match="no such folder"):
        list_series(tmp_path / "nothing")


def test_several_series_in_one_folder_are_told_apart_by_size_and_spacing(tmp_path: Path) -> None:
    write_series(tmp_path, STORED, series="1.2.3.4", name="a{:d}.dcm")
    write_series(tmp_path, STORED[:5], series="1.2.3.5", name="b{:d}.dcm", x00280030="0.5\\0.5", x00180050="1.25")
    with pytest.raises(VolumeError) as told:
        read_volume(tmp_path)
    assert "1.2.3.4: CT, 'series 1.2.3.4', 9 files of 13 x 11, 0.7 x 0.8 mm, 2.5 mm thick" in str(told.value)
    assert "1.2.3.5: CT, 'series 1.2.3.5', 5 files of 13 x 11, 0.5 x 0.5 mm, 1.25 mm thick" in str(told.value)


def test_a_thumbnail_shows_the_middle_slice_in_the_patients_proportions(tmp_path: Path, real_data: Path) -> None:
    ramp = np.broadcast_to(np.arange(200) * 8, (3, 100, 200)).astype("i2").copy()
    ramp[1, :50] = 0
    write_series(tmp_path, ramp, x00280030="2\\0.5")
    (one,) = list_series(tmp_path)
    picture = thumbnail(one)
    # 100 mm wide and 200 mm high.
    assert (picture.dtype, picture.shape) == (np.uint8, (96, 48))
    assert picture[:48].max() == 0
    assert (picture[-1].min(), picture[-1].max()) == (0, 255)
    assert (np.diff(picture[-1].astype(int)) >= 0).all()
    for name in ("abdomen_ct_jpeg2000", "brain_mr_tagged_ct"):
        (real,) = list_series(real_data / "dicom" / name)
        picture = thumbnail(real)
        assert max(picture.shape) <= 96
        assert picture.std() > 30
    broken = replace(one, middle=None, problem="1 slice(s) missing")
    with pytest.raises(VolumeError, match="missing"):
        thumbnail(broken)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"slices": 40}, "40 slices, fewer than 60"),
        ({"spacing": (0.7, 0.7, 5.0)}, "5 mm apart, more than 3 mm"),
        ({"orientation": "sagittal"}, "it is sagittal, not axial"),
        ({"image_type": "ORIGINAL PRIMARY LOCALIZER"}, "a scout or localiser"),
        ({"image_type": "DERIVED SECONDARY"}, "derived from another series"),
        ({"image_type": "DERIVED SECONDARY OTHER CSA MPR"}, "derived from another series"),
        ({"image_type": "ORIGINAL PRIMARY REFORMATTED"}, "reformatted from another series"),
        ({"description": "cor MPR 3mm"}, "reformatted from another series (MPR)"),
        ({"description": "Dose Report"}, "a screen capture or report"),
        ({"modality": "SR"}, "its modality is SR, not CT or MR"),
        ({"problem": "1 slice(s) missing, somewhere"}, "1 slice(s) missing, somewhere"),
    ],
)
def test_a_series_that_does_not_fit_is_dropped_in_words(change: dict[str, object], words: str) -> None:
    (choice,) = choose_series([record(**change)])
    assert not choice.keep
    assert words in choice.reason


def test_of_one_study_the_thinnest_then_the_softest_is_kept() -> None:
    records = [
        record(uid="1", kernel="B70f"),
        record(uid="2", kernel="B30f"),
        record(uid="3", kernel="B20f", spacing=(0.7, 0.7, 3.0)),
        record(uid="4", study="9.2", kernel="B70f"),
        record(uid="5", study="", kernel="B70f"),
        record(uid="6", study="", kernel="B70f"),
    ]
    choices = choose_series(records)
    assert [choice.series for choice in choices if choice.keep] == ["2", "4", "5", "6"]
    assert "softer kernel (B30f, here B70f)" in choices[0].reason
    assert "thinner slices (1 mm, here 3 mm)" in choices[2].reason
    preferred = choose_series(records[:3], SeriesRules(kernels=("B70f",)))
    assert [choice.series for choice in preferred if choice.keep] == ["1"]
    assert all(choice.keep for choice in choose_series(records, SeriesRules(one_per_study=False)))
    # Siemens' primary MPRAGE; of MR only the image type says that a series is reformatted.
    primary = record(modality="MR", description="t1_mpr_sag_p2_iso", image_type="ORIGINAL PRIMARY M ND NORM")
    assert choose_series([primary])[0].keep
    assert not choose_series([replace(primary, image_type="DERIVED PRIMARY MPR NORM")])[0].keep
    tilted = record(problem="tilted", sheared=True)
    assert [choose_series([tilted], SeriesRules(allow_tilted=flag))[0].keep for flag in (False, True)] == [False, True]


def test_kernels_are_known_soft_from_sharp() -> None:
    for soft, sharp in (("B30f", "B70f"), ("STANDARD", "LUNG"), ("Br36f 3", "Bl57f 3"), ("FC08", "FC51"), ("B", "L")):
        assert sharpness(soft) < sharpness(sharp)


def test_rules_refuse_what_they_do_not_know() -> None:
    with pytest.raises(SettingsError, match="least_slices"):
        validate(SeriesRules, {"least_slices": 0})


def test_an_edited_table_decides(tmp_path: Path) -> None:
    choices = choose_series([record(uid="1"), record(uid="2", study="9.2", slices=10, description='=cmd|"x", ä\nb')])
    path = write_table(choices, tmp_path / "series.csv")
    assert read_table(path) == choices
    text = path.read_text().replace("no,a,2", "Yes,a,2")
    path.write_text(text)
    assert [choice.keep for choice in read_table(path)] == [True, True]
    # As a spreadsheet in German saves it.
    path.write_text("﻿folder;series;keep\np1;1.2;x\n;;\np2;1.3;\n", encoding="utf-8")
    assert [(c.keep, c.folder, c.series) for c in read_table(path)] == [(True, "p1", "1.2"), (False, "p2", "1.3")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("keep,folder\nyes,a\n", "line 1 has no column series"),
        ("", "line 1 has no column keep, folder, series"),
        ("keep,folder,series\nyes,a,1\nmaybe,a,2\n", "line 3, column keep: 'maybe' is not yes or no"),
        ("keep,folder,series\nyes,,1\n", "line 2, column folder"),
        ("keep,folder,series,slices\nyes,a,1,many\n", "line 2, column slices: 'many' is not a whole number"),
        ("keep,folder,series,spacing\nyes,a,1,1 x 2\n", "line 2, column spacing"),
        ("keep,folder,series\nyes,a,1\nno,a,1\n", "lines 2 and 3 name the same series 1"),
        ("keep,folder,series\nyes,a,1,2\n", "line 2 has 4 cells"),
    ],
)
def test_a_bad_table_is_refused_by_line_and_column(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "series.csv"
    path.write_text(text)
    with pytest.raises(VolumeError, match=r"series\.csv") as told:
        read_table(path)
    assert words in str(told.value)
    with pytest.raises(VolumeError, match="no such file"):
        read_table(tmp_path / "none.csv")


_WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12).map(str.strip)


@given(
    st.lists(
        st.builds(
            Choice,
            st.booleans(),
            _WORDS.filter(bool),
            _WORDS,
            _WORDS,
            st.integers(0, 9999),
            st.none() | st.tuples(*[st.sampled_from([0.5, 1.25, 3.0])] * 3),
            _WORDS,
            _WORDS,
        ),
        unique_by=lambda choice: (choice.folder, choice.series),
        max_size=5,
    )
)
@settings(deadline=None, max_examples=40)
def test_any_table_reads_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, choices: list[Choice]
) -> None:
    path = write_table(choices, tmp_path_factory.mktemp("table") / "t.csv")
    assert list(read_table(path)) == choices


def test_real_series_are_listed_as_they_are(real_data: Path) -> None:
    records = list_series(real_data / "dicom")
    assert len(records) == 5
    assert all(r.problem is None and r.orientation == "axial" for r in records)
    by_folder = {r.folder: r for r in records}
    assert by_folder["abdomen_ct_jpeg2000"].kernel == "Br38f 3"
    assert by_folder["chest_ct_lidc0002_slab"].kernel == "STANDARD"
