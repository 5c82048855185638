"""`napari-genesis segment` from the outside: files, exit codes, what is said, and what a kill leaves."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from threshold_models import LIMITS, NAMES, bands, save_threshold_model

from genesis_core.cli.main import run
from genesis_core.studies.review import usual
from genesis_core.studies.review.usual import TrainedOn
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.voxel_fingerprint import image_fingerprint
from genesis_core.volumes.writing import write_volume

DIRECTION = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_threshold_model(tmp_path_factory.mktemp("models") / "threshold")


def _write(path: Path, seed: int = 0, shape: tuple[int, int, int] = (9, 20, 18)) -> Volume:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).integers(-1200, 1200, shape, dtype=np.int16)
    volume = Volume(array, Geometry(shape, (0.7, 0.8, 2.5), (-50.0, 20.0, 7.0), DIRECTION))
    write_volume(volume, path)
    return volume


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.nii.gz", "one/ct.nii.gz", "two/ct.mha")):
        _write(tmp_path / "scans" / name, number)
    return tmp_path / "scans"


def _segment(scan: Path, model: Path, out: Path, *more: str) -> int:
    return run(["segment", str(scan), "--model", str(model), "--out", str(out), "--device", "cpu", *more])


def _names(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def _results(*stems: str) -> list[str]:
    return sorted([f"{stem}{end}" for stem in stems for end in (".nii.gz", ".json", "_segmentation.json")])


def _records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_one_scan_gives_named_labels_on_its_grid(tmp_path: Path, model: Path) -> None:
    scan = _write(tmp_path / "chest.nii.gz")
    assert _segment(tmp_path / "chest.nii.gz", model, tmp_path / "out") == 0
    assert _names(tmp_path / "out") == sorted([*_results("chest"), "volumes.csv"])
    labels = read_labels(tmp_path / "out" / "chest.nii.gz")
    np.testing.assert_array_equal(labels.as_map(), bands(scan.array))
    np.testing.assert_allclose(labels.geometry.affine, scan.affine, atol=1e-4)
    assert [one.name for one in labels.structures] == list(NAMES)
    assert all(one.colour for one in labels.structures)
    facts = json.loads((tmp_path / "out" / "chest_segmentation.json").read_text())
    assert facts["case"] == "chest.nii.gz"
    assert [len(one["weights_sha256"]) for one in facts["models"]] == [64]
    assert facts["settings"]["overlap"] == 0.5
    assert str(tmp_path) not in json.dumps(facts)
    rows = list(csv.DictReader((tmp_path / "out" / "volumes.csv").open()))
    assert [row["structure"] for row in rows] == list(NAMES)
    bone = int((bands(scan.array) == 2).sum())
    assert int(rows[1]["voxels"]) == bone
    assert float(rows[1]["ml"]) == pytest.approx(bone * 0.7 * 0.8 * 2.5 / 1000, abs=1e-4)


def test_the_same_call_gives_the_same_bytes(tmp_path: Path, model: Path) -> None:
    _write(tmp_path / "chest.nii.gz")
    for name in ("first", "second"):
        assert _segment(tmp_path / "chest.nii.gz", model, tmp_path / name, "--uncertainty", "--flips", "x,y") == 0
    for name in _names(tmp_path / "first"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    uncertainty = read_volume(tmp_path / "first" / "chest_uncertainty.nii.gz").array
    assert uncertainty.min() >= 0
    assert uncertainty.max() <= 1
    assert read_volume(tmp_path / "first" / "chest_spread.nii.gz").array.max() <= 1


def test_a_folder_is_mirrored_and_a_bad_file_does_not_stop_the_rest(
    tmp_path: Path, folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (folder / "a.nii.gz").read_bytes()
    (folder / "bad.nii.gz").write_bytes(whole[: len(whole) // 2])
    assert _segment(folder, model, tmp_path / "out") == 1
    assert _names(tmp_path / "out") == sorted([*_results("a", "one/ct", "two/ct"), "volumes.csv"])
    said = capsys.readouterr()
    assert "bad.nii.gz is left out" in said.err
    assert "3 of 4 scans segmented, 1 failed: bad.nii.gz" in said.out
    rows = list(csv.DictReader((tmp_path / "out" / "volumes.csv").open()))
    assert [row["case"] for row in rows[::2]] == ["a.nii.gz", "one/ct.nii.gz", "two/ct.mha"]


def test_json_lines_tell_programs_everything(
    tmp_path: Path, folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _segment(folder, model, tmp_path / "out", "--json") == 0
    records = _records(capsys.readouterr().out)
    done = [record for record in records if record["event"] == "segmented"]
    assert [record["scan"] for record in done] == ["a.nii.gz", "one/ct.nii.gz", "two/ct.mha"]
    assert all(Path(place).is_file() for record in done for place in record["files"].values())
    assert done[0]["structures"][1]["name"] == "bone"
    progress = [record for record in records if record["event"] == "progress"]
    assert [record["done"] / record["total"] for record in progress].count(1) == 3
    assert all(record["seconds_left"] >= 0 for record in progress)
    assert records[-1] == {"event": "finished", "segmented": 3, "skipped": 0, "failed": []}


def test_slicers_segmentation_can_be_asked_for(tmp_path: Path, model: Path) -> None:
    scan = _write(tmp_path / "chest.nii.gz")
    assert _segment(tmp_path / "chest.nii.gz", model, tmp_path / "out", "--format", "nrrd") == 0
    image = SimpleITK.ReadImage(str(tmp_path / "out" / "chest.seg.nrrd"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), bands(scan.array))
    assert image.GetMetaData("Segment1_Name") == "bone"


def test_overlapping_structures_go_into_a_file_that_can_hold_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = _write(tmp_path / "chest.nii.gz")
    model = save_threshold_model(tmp_path / "model", names=("body", "skeleton"), activation="sigmoid")
    assert _segment(tmp_path / "chest.nii.gz", model, tmp_path / "out") == 0
    assert "chest.seg.nrrd" in capsys.readouterr().out
    assert _names(tmp_path / "out") == ["chest.seg.nrrd", "chest_segmentation.json", "volumes.csv"]
    labels = read_labels(tmp_path / "out" / "chest.seg.nrrd")
    for structure, limit in zip(labels.structures, LIMITS, strict=True):
        np.testing.assert_array_equal(labels.mask(structure), scan.array > limit)
    notes = json.loads((tmp_path / "out" / "chest_segmentation.json").read_text())["notes"]
    assert any("NIfTI cannot hold" in note for note in notes)


def test_cleaning_is_done_and_said(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    array = np.full((10, 20, 20), -900, np.int16)
    array[2:8, 2:12, 2:12] = 50
    array[4:6, 5:8, 5:8] = -900
    array[2:4, 15:17, 15:17] = 50
    write_volume(Volume.from_array(array), tmp_path / "chest.nii.gz")
    more = ("--largest-component", "soft tissue", "--fill-holes", "all")
    assert _segment(tmp_path / "chest.nii.gz", model, tmp_path / "out", *more) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "soft tissue: 1 piece of 0.008 ml (8 voxels) removed." in said
    assert "soft tissue: 1 hole of 0.018 ml (18 voxels) filled." in said
    expected = np.zeros_like(array)
    expected[2:8, 2:12, 2:12] = 1
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "chest.nii.gz").as_map(), expected)
    assert _segment(tmp_path / "chest.nii.gz", model, tmp_path / "out2", "--largest-component", "livr") == 1
    assert "no structure is called 'livr': choose from all, soft tissue, bone" in capsys.readouterr().err


def test_models_and_folds_are_averaged(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = _write(tmp_path / "chest.nii.gz")
    run_folder = tmp_path / "run"
    # Two say bone from 100.5 on, one says it from 300.5 on.
    for fold, limit in enumerate((100.5, 100.5, 300.5)):
        save_threshold_model(run_folder / "folds" / str(fold) / "model", (-200.5, limit))
    (run_folder / "ensemble.yaml").write_text("models: [folds/0/model, folds/1/model, folds/2/model]\n")
    assert _segment(tmp_path / "chest.nii.gz", run_folder, tmp_path / "out") == 0
    assert "The mean of 3 models" in capsys.readouterr().out
    found = read_labels(tmp_path / "out" / "chest.nii.gz").as_map()
    np.testing.assert_array_equal(found, bands(scan.array, (-200.5, 100.5)))
    again = tmp_path / "run" / "folds" / "2"
    more = ("--model", str(again), "--model", str(again), "--model", str(again), "--model", str(again))
    assert _segment(tmp_path / "chest.nii.gz", run_folder, tmp_path / "other", *more) == 0
    found = read_labels(tmp_path / "other" / "chest.nii.gz").as_map()
    np.testing.assert_array_equal(found, bands(scan.array, (-200.5, 300.5)))
    facts = json.loads((tmp_path / "other" / "chest_segmentation.json").read_text())
    assert len(facts["models"]) == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: [../elsewhere]", "below this folder"),
        ("models: [/etc]", "below this folder"),
        ("models: []", "models"),
        ("models: [a, a]", "twice"),
        ("folds: [a]", "unknown key"),
        ("models: [missing]", "no such folder"),
        ("- x", "key: value"),
    ],
)
def test_a_damaged_list_of_models_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    _write(tmp_path / "chest.nii.gz")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ensemble.yaml").write_text(text)
    assert _segment(tmp_path / "chest.nii.gz", tmp_path / "run", tmp_path / "out") == 1
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def two_channels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_threshold_model(
        tmp_path_factory.mktemp("models") / "two", (0.5,), ("lesion",), in_channels=2, channels=("venous", "late")
    )


def test_channels_are_grouped_by_name(tmp_path: Path, two_channels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scans = tmp_path / "scans"
    pairs = {
        "p1": ("p1_0000.nii.gz", "p1_0001.nii.gz"),
        "sub/p2": ("sub/p2_venous.nii.gz", "sub/p2_LATE.mha"),
        "p3": ("p3/venous.nii.gz", "p3/late.nii.gz"),
    }
    sums = {}
    for number, (stem, names) in enumerate(pairs.items()):
        first, second = (_write(scans / name, 2 * number + k) for k, name in enumerate(names))
        sums[stem] = np.clip(first.array, -1000, 1000) + np.clip(second.array, -1000, 1000)
    _write(scans / "lonely_0001.nii.gz")
    assert _segment(scans, two_channels, tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "lonely is left out: channels are missing: _0000 (venous)" in said.err
    assert "3 of 4 scans segmented, 1 failed: lonely" in said.out
    assert _names(tmp_path / "out") == sorted([*_results(*pairs), "volumes.csv"])
    for stem, expected in sums.items():
        np.testing.assert_array_equal(read_labels(tmp_path / "out" / f"{stem}.nii.gz").as_map(), expected > 0)
    # One file stands for its case.
    assert _segment(scans / "p1_0000.nii.gz", two_channels, tmp_path / "one") == 0
    assert _names(tmp_path / "one") == sorted([*_results("p1"), "volumes.csv"])


def test_a_4d_file_is_a_case(tmp_path: Path, two_channels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-900, 900, (9, 16, 18)).astype(np.int16) for _ in range(2)]
    image = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(array) for array in arrays])
    SimpleITK.WriteImage(image, str(tmp_path / "both.nii.gz"))
    assert _segment(tmp_path / "both.nii.gz", two_channels, tmp_path / "out") == 0
    found = read_labels(tmp_path / "out" / "both.nii.gz").as_map()
    np.testing.assert_array_equal(found, arrays[0] + arrays[1] > 0)
    _write(tmp_path / "single.nii.gz")
    assert _segment(tmp_path / "single.nii.gz", two_channels, tmp_path / "out") == 1
    assert "holds 1 frame(s), and the model looks at 2 channels" in capsys.readouterr().err


def test_the_number_of_a_single_channel_is_dropped(tmp_path: Path, model: Path) -> None:
    for name in ("p1_0000.nii.gz", "p2_0000.nii.gz"):
        _write(tmp_path / "imagesTs" / name)
    assert _segment(tmp_path / "imagesTs", model, tmp_path / "out") == 0
    assert _names(tmp_path / "out") == sorted([*_results("p1", "p2"), "volumes.csv"])


def test_skip_existing_finishes_what_was_interrupted(
    tmp_path: Path, folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert _segment(folder, model, out) == 0
    whole = (out / "volumes.csv").read_bytes()
    kept = (out / "a.nii.gz").stat().st_mtime_ns
    (out / "one" / "ct_segmentation.json").unlink()
    (out / "volumes.csv").unlink()
    capsys.readouterr()
    # Who can tell whether it is a result, or what somebody drew?
    drawn = (out / "one" / "ct.nii.gz").stat().st_mtime_ns
    assert _segment(folder, model, out, "--skip-existing") == 1
    assert "says that it is a result: it is left as it is" in capsys.readouterr().err
    assert (out / "one" / "ct.nii.gz").stat().st_mtime_ns == drawn
    (out / "one" / "ct.nii.gz").unlink()
    assert _segment(folder, model, out) == 2
    assert "exists" in capsys.readouterr().err
    assert _segment(folder, model, out, "--skip-existing") == 0
    assert "1 of 1 scans segmented, 2 already there" in capsys.readouterr().out
    assert (out / "a.nii.gz").stat().st_mtime_ns == kept
    assert (out / "volumes.csv").read_bytes() == whole
    assert _segment(folder, model, out, "--skip-existing", "--overwrite") == 2
    assert _segment(folder, model, out, "--overwrite") == 0


def test_maps_of_an_earlier_call_do_not_outlive_its_labels(tmp_path: Path, model: Path) -> None:
    _write(tmp_path / "chest.nii.gz")
    assert _segment(tmp_path / "chest.nii.gz", model, tmp_path / "out", "--uncertainty") == 0
    assert (tmp_path / "out" / "chest_uncertainty.nii.gz").is_file()
    assert _segment(tmp_path / "chest.nii.gz", model, tmp_path / "out", "--overwrite") == 0
    assert _names(tmp_path / "out") == sorted([*_results("chest"), "volumes.csv"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_kill_leaves_whole_results_and_skip_existing_goes_on(
    tmp_path: Path, model: Path, number: signal.Signals
) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    # The second scan takes so long that the signal finds it at work.
    shapes = ((9, 20, 18), (48, 64, 64), (9, 20, 18))
    expected = {f"s{k}": _write(scans / f"s{k}.nii.gz", k, shape) for k, shape in enumerate(shapes)}
    command = [sys.executable, "-m", "genesis_core", "segment", str(scans), "--model", str(model), "--out", str(out)]
    command += ["--device", "cpu", "--overlap", "0.6", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as it:
        assert it.stdout is not None
        for line in it.stdout:
            if json.loads(line)["event"] == "segmented":
                it.send_signal(number)
                break
        it.stdout.read()
        code = it.wait(timeout=60)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    finished = [path.name.removesuffix("_segmentation.json") for path in out.glob("*_segmentation.json")]
    assert 1 <= len(finished) < 3
    for stem in finished:
        np.testing.assert_array_equal(read_labels(out / f"{stem}.nii.gz").as_map(), bands(expected[stem].array))
    if number != signal.SIGKILL:
        assert not [path for path in out.iterdir() if path.name.startswith(".")]
    began = time.monotonic()
    assert _segment(scans, model, out, "--skip-existing") == 0
    assert time.monotonic() - began < 60
    for stem, scan in expected.items():
        np.testing.assert_array_equal(read_labels(out / f"{stem}.nii.gz").as_map(), bands(scan.array))
    assert len((out / "volumes.csv").read_text().splitlines()) == 1 + 3 * len(NAMES)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["segment"], 2, "required"),
        (["segment", "{scan}", "--out", "{out}"], 2, "model"),
        (["segment", "{scan}", "--model", "{model}", "--out", "{out}", "--overlap", "1"], 2, "overlap"),
        (["segment", "{scan}", "--model", "{model}", "--out", "{out}", "--flips", "w"], 1, "flips = w"),
        (["segment", "{scan}", "--model", "{model}", "--out", "{out}", "--minimum-ml", "bone=x"], 2, "minimum_ml"),
        (["segment", "{scan}", "--model", "{model}", "--out", "{out}", "--minimum-ml", "hair=1"], 1, "'hair'"),
        (["segment", "{scan}", "--model", "{empty}", "--out", "{out}"], 1, "neither a model folder"),
        (["segment", "{scan}", "--model", "{model}", "--out", "{out}", "--device", "gpu"], 1, "device"),
        (["segment", "{nothing}", "--model", "{model}", "--out", "{out}"], 1, "no such file"),
        (["segment", "{empty}", "--model", "{model}", "--out", "{out}"], 2, "no scan there"),
        (["segment", "{scan}", "--model", "{model}", "--out", "{scan}"], 2, "a folder is wanted"),
        (["segment", "{text}", "--model", "{model}", "--out", "{out}"], 1, "notes.nii"),
        (["segment", "{scan}", "--model", "{model}", "--out", "{out}", "--format", "dicom_seg"], 1, "no DICOM series"),
    ],
)
def test_wrong_calls_say_what_is_wrong(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    _write(tmp_path / "chest.nii.gz")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.nii").write_text("not a scan")
    places = {
        "{scan}": tmp_path / "chest.nii.gz",
        "{model}": model,
        "{out}": tmp_path / "out",
        "{empty}": tmp_path / "empty",
        "{nothing}": tmp_path / "nothing",
        "{text}": tmp_path / "notes.nii",
    }
    assert run([str(places.get(argument, argument)) for argument in arguments]) == code
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_dicom_series_gets_a_dicom_segmentation(tmp_path: Path, model: Path, real_data: Path) -> None:
    pytest.importorskip("highdicom")
    from genesis_core.volumes.dicom.segmentation import read_dicom_seg

    series = real_data / "dicom" / "sarcoma_STS008_ct_rtstruct"
    assert _segment(series, model, tmp_path / "out", "--set", "overlap=0", "--format", "dicom_seg") == 0
    scan = read_volume(series)
    labels = read_dicom_seg(tmp_path / "out" / f"{series.name}.dcm", scan.geometry)
    assert [one.name for one in labels.structures] == list(NAMES)
    for value, structure in enumerate(labels.structures, 1):
        np.testing.assert_array_equal(labels.mask(structure), bands(scan.array) == value)


def test_real_dicom_becomes_labels_on_its_own_grid(tmp_path: Path, model: Path, real_data: Path) -> None:
    series = real_data / "dicom" / "brain_mr_tagged_ct"
    assert _segment(series, model, tmp_path / "out", "--set", "overlap=0", "--format", "nrrd") == 0
    scan = read_volume(series)
    labels = read_labels(tmp_path / "out" / f"{series.name}.seg.nrrd")
    np.testing.assert_array_equal(labels.as_map(), bands(scan.array))
    np.testing.assert_allclose(labels.geometry.affine, scan.affine, atol=1e-4)


def test_a_label_map_among_the_scans_is_said_to_be_one(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    array = np.zeros((9, 20, 18), np.uint8)
    array[3:6] = 1
    write_volume(Volume(array, Geometry(array.shape)), tmp_path / "label.nii.gz")
    assert _segment(tmp_path / "label.nii.gz", model, tmp_path / "out") == 0
    assert "rather a label map than a scan" in capsys.readouterr().out


def test_scans_the_model_was_trained_on_are_named_and_evaluate_repeats_it(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "scans" / "known.nii.gz", 1)
    seen = _write(tmp_path / "training" / "p1.nii.gz", 1)
    _write(tmp_path / "scans" / "new.nii.gz", 2)
    learnt = TrainedOn({image_fingerprint(seen): "p1"})
    asked: list[Path] = []
    monkeypatch.setattr(usual, "trained_on", lambda runs, **_: asked.extend(runs) or learnt)
    run_folder = tmp_path / "run"
    shutil.copytree(model, run_folder / "model")
    (run_folder / "run.yaml").write_text("task: segmentation\n")
    assert _segment(tmp_path / "scans", run_folder / "model", tmp_path / "out") == 0
    assert asked == [run_folder]
    assert "trained or validated on 1 of these scans (known.nii.gz)" in capsys.readouterr().err
    known, new = (json.loads((tmp_path / "out" / f"{name}_segmentation.json").read_text()) for name in ("known", "new"))
    assert known["training_case"] == "p1"
    assert "trained or validated on this scan (p1)" in known["notes"][-1]
    assert "training_case" not in new
    assert not any("trained or validated" in note for note in new["notes"])
    shutil.copytree(tmp_path / "out", tmp_path / "references", ignore=shutil.ignore_patterns("*_segmentation.json"))
    (tmp_path / "references" / "volumes.csv").unlink()
    scored = run(["evaluate", str(tmp_path / "out"), str(tmp_path / "references"), "--out", str(tmp_path / "scores")])
    assert scored == 0
    assert "trained or validated on 1 of these cases (known): their scores flatter it" in capsys.readouterr().out
    shared = ["evaluate", str(tmp_path / "out"), str(tmp_path / "references"), "--out", str(tmp_path / "shared")]
    assert run([*shared, "--share"]) == 0
    said = capsys.readouterr().out
    assert "trained or validated on 1 of these cases (case_" in said
    assert "(known)" not in said


def test_a_model_without_its_run_asks_nothing_of_training(tmp_path: Path, model: Path) -> None:
    _write(tmp_path / "chest.nii.gz")
    assert usual.runs_of([model]) == []
    assert _segment(tmp_path / "chest.nii.gz", model, tmp_path / "out") == 0
    assert "training_case" not in json.loads((tmp_path / "out" / "chest_segmentation.json").read_text())
