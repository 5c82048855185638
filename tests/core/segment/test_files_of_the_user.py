"""Results never take the place of the user's own files, and are not lost where they cannot be written."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import click
import numpy as np
import psutil
import pytest
import SimpleITK
from dicom_files import write_series
from threshold_models import save_threshold_model

from genesis_core.cli.main import run
from genesis_core.cli.scan_jobs import pending
from genesis_core.errors import VolumeError
from genesis_core.inference.segment import segment
from genesis_core.inference.segmentation_files import segmentation_files, write_segmentation
from genesis_core.model.folder import load_model
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.scans import list_scans
from genesis_core.volumes.volume import Volume
from genesis_core.volumes.writing import write_volume


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_threshold_model(tmp_path_factory.mktemp("models") / "exclusive")


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_threshold_model(tmp_path_factory.mktemp("models") / "overlapping", activation="sigmoid")


def _write(path: Path) -> Path:
    array = np.random.default_rng(0).integers(-1200, 1200, (5, 9, 8), dtype=np.int16)
    path.parent.mkdir(exist_ok=True)
    return write_volume(Volume.from_array(array), path)


def _segment(scan: Path, model: Path, out: Path, *more: str) -> int:
    return run(["segment", str(scan), "--model", str(model), "--out", str(out), "--device", "cpu", *more])


@pytest.mark.parametrize("more", [(), ("--overwrite",), ("--skip-existing",)])
def test_a_scan_is_not_replaced_by_its_label_map(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    scan = _write(tmp_path / "scans" / "chest.nii.gz")
    link = tmp_path / "link.nii.gz"
    link.symlink_to(scan)
    whole = scan.read_bytes()
    for given in (scan, link):
        assert _segment(given, model, scan.parent, *more) == 2
        assert "holds the scans" in capsys.readouterr().err
    assert _segment(link, model, tmp_path, *more) == 2
    assert scan.read_bytes() == whole
    assert [path.name for path in scan.parent.iterdir()] == ["chest.nii.gz"]


def test_nobody_writes_a_segmentation_over_its_scan(tmp_path: Path, overlapping: Path) -> None:
    scan = _write(tmp_path / "chest.nii.gz")
    whole = scan.read_bytes()
    found = segment(load_model(overlapping), read_volume(scan))
    scans = list_scans(scan)
    with pytest.raises(VolumeError, match="is the scan itself"):
        write_segmentation(
            found, segmentation_files(tmp_path, PurePosixPath("chest"), "nii.gz"),
            {}, scans=scans, overwrite=True,
        )  # fmt: skip
    assert scan.read_bytes() == whole


def test_only_results_of_ours_go_when_others_take_their_place(tmp_path: Path, model: Path, overlapping: Path) -> None:
    scan, out = _write(tmp_path / "chest.nii.gz"), tmp_path / "out"
    reference = _write(out / "chest.nii.gz").read_bytes()
    (out / "chest.json").write_text('{"EchoTime": 0.03}')
    assert _segment(scan, overlapping, out, "--overwrite") == 0
    assert (out / "chest.nii.gz").read_bytes() == reference
    assert json.loads((out / "chest.json").read_text()) == {"EchoTime": 0.03}
    # Asked for by name, the label map is replaced; it is ours then, and so are the names in the JSON.
    assert _segment(scan, model, out, "--overwrite") == 0
    assert not (out / "chest.seg.nrrd").exists()
    assert set(json.loads((out / "chest.json").read_text())) == {"EchoTime", "structures"}
    assert _segment(scan, overlapping, out, "--overwrite") == 0
    assert not (out / "chest.nii.gz").exists()
    assert json.loads((out / "chest.json").read_text()) == {"EchoTime": 0.03}


def test_two_files_of_one_name_are_two_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = save_threshold_model(tmp_path / "model", (0.5,), ("lesion",), in_channels=2)
    sums = {}
    for seed, ending in enumerate(("mha", "nii.gz")):
        frames = np.random.default_rng(seed).integers(-900, 900, (2, 5, 9, 8)).astype(np.int16)
        (tmp_path / "scans").mkdir(exist_ok=True)
        image = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(frame) for frame in frames])
        SimpleITK.WriteImage(image, str(tmp_path / "scans" / f"a.{ending}"))
        sums[f"a.{ending}"] = frames.sum(0) > 0
    assert _segment(tmp_path / "scans", model, tmp_path / "out", "--json") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    done = {one["scan"]: one["files"]["labels"] for one in records if one["event"] == "segmented"}
    assert len(set(done.values())) == 2
    for name, expected in sums.items():
        np.testing.assert_array_equal(read_labels(Path(done[name])).as_map(), expected)


def test_jobs_with_one_name_may_not_share_a_file(tmp_path: Path) -> None:
    job = SimpleNamespace(name="a", id="x", files={"labels": tmp_path / "a.nii.gz"}, complete=tmp_path / "a.json")
    other = SimpleNamespace(name="a", id="y", files={"labels": tmp_path / "A.nii.gz"}, complete=tmp_path / "b.json")
    with pytest.raises(click.UsageError, match="would both be written"):
        pending([job, other], skip_existing=False, overwrite=True)


def test_memory_for_writing_dicom_is_asked_for_before_computing(
    tmp_path: Path, overlapping: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("highdicom")
    write_series(tmp_path / "scan", np.zeros((4, 9, 8), "i2"))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1000})())
    assert _segment(tmp_path / "scan", overlapping, tmp_path / "out", "--format", "dicom_seg") == 1
    assert "as DICOM SEG needs about" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
