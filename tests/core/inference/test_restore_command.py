"""`napari-genesis restore` from the outside: files, exit codes, and what is said."""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

# The models with weights set by hand that the tests of segmenting use.
sys.path.append(str(Path(__file__).resolve().parents[1] / "segment"))

from threshold_models import save_threshold_model

from genesis_core.cli.main import run
from genesis_core.inference.result_files import require_writable
from genesis_core.model.card import ModelCard
from genesis_core.model.ensemble import ensemble_yaml
from genesis_core.model.folder import save_model
from genesis_core.networks.registry import create_network
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.writing import write_volume

PARTS = ("restored.nii.gz", "residual.nii.gz", "outside_window.nii.gz", "metrics.json")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    settings = UNet3DSettings(width=2, depth=3)
    card = ModelCard(
        name="tiny",
        task="restoration",
        network=settings,
        activation="sigmoid",
        preprocessing=Preprocessing.model_validate({"modality": "ct"}),
        patch_size=(8, 16, 16),
    )
    save_model(folder, create_network(settings, seed=1), card)
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Volumes this small only wait for each other on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _write(path: Path, seed: int = 0) -> Volume:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).integers(-1200, 1200, (9, 20, 18), dtype=np.int16)
    direction = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    volume = Volume(array, Geometry(array.shape, (0.7, 0.8, 2.5), (-50.0, 20.0, 7.0), direction))
    write_volume(volume, path)
    return volume


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.nii.gz", "one/ct.nii.gz", "two/ct.mha")):
        _write(tmp_path / "scans" / name, number)
    return tmp_path / "scans"


def _restore(scan: Path, model: Path, out: Path, *more: str) -> int:
    return run(["restore", str(scan), "--model", str(model), "--out", str(out), "--device", "cpu", *more])


def _names(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def _records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_one_scan_gives_three_volumes_on_its_grid_and_a_json(tmp_path: Path, model: Path) -> None:
    scan = _write(tmp_path / "chest.nii.gz")
    assert _restore(tmp_path / "chest.nii.gz", model, tmp_path / "out") == 0
    assert _names(tmp_path / "out") == sorted(f"chest_{part}" for part in PARTS)
    restored, residual, outside = (read_volume(tmp_path / "out" / f"chest_{part}") for part in PARTS[:3])
    for volume in (restored, residual, outside):
        np.testing.assert_allclose(volume.affine, scan.affine, atol=1e-4)
    clipped = scan.array.astype(np.float32).clip(-1000, 1000)
    np.testing.assert_array_equal(residual.array, restored.array - clipped)
    assert outside.array.dtype == np.uint8
    facts = json.loads((tmp_path / "out" / "chest_metrics.json").read_text())
    assert facts["scan"] == "chest.nii.gz"
    assert facts["model"]["name"] == "tiny"
    assert set(facts["metrics"]) == {"mse", "mae", "psnr", "ssim", "mae_hu"}
    assert "does not show disease" in facts["notes"][-1]
    assert str(tmp_path) not in json.dumps(facts)


def test_the_same_call_gives_the_same_bytes(tmp_path: Path, model: Path) -> None:
    _write(tmp_path / "chest.nii.gz")
    for name in ("first", "second"):
        assert _restore(tmp_path / "chest.nii.gz", model, tmp_path / name) == 0
    for part in PARTS:
        first, second = (tmp_path / name / f"chest_{part}" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_a_folder_is_mirrored_and_a_bad_file_does_not_stop_the_rest(
    tmp_path: Path, folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (folder / "a.nii.gz").read_bytes()
    (folder / "bad.nii.gz").write_bytes(whole[: len(whole) // 2])
    assert _restore(folder, model, tmp_path / "out") == 1
    stems = ("a", "one/ct", "two/ct")
    assert _names(tmp_path / "out") == sorted(f"{stem}_{part}" for stem in stems for part in PARTS)
    said = capsys.readouterr()
    assert "bad.nii.gz is left out" in said.err
    assert "3 of 4 scans restored, 1 failed: bad.nii.gz" in said.out


def test_json_lines_tell_programs_everything(
    tmp_path: Path, folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _restore(folder, model, tmp_path / "out", "--json") == 0
    records = _records(capsys.readouterr().out)
    restored = [record for record in records if record["event"] == "restored"]
    assert [record["scan"] for record in restored] == ["a.nii.gz", "one/ct.nii.gz", "two/ct.mha"]
    assert all(Path(record["files"]["residual"]).is_file() for record in restored)
    assert [record["done"] / record["total"] for record in records if record["event"] == "progress"].count(1) == 3
    assert records[-1] == {"event": "finished", "restored": 3, "skipped": 0, "failed": []}


def test_results_in_the_way_are_refused_before_any_work(
    tmp_path: Path, folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (out / "two").mkdir(parents=True)
    (out / "two" / "ct_residual.nii.gz").write_text("mine")
    assert _restore(folder, model, out) == 2
    assert "ct_residual.nii.gz exists" in capsys.readouterr().err
    assert _names(out) == ["two/ct_residual.nii.gz"]
    assert (out / "two" / "ct_residual.nii.gz").read_text() == "mine"
    assert _restore(folder, model, out, "--overwrite") == 0


def test_skip_existing_finishes_what_was_interrupted(
    tmp_path: Path, folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert _restore(folder, model, out) == 0
    kept = (out / "a_metrics.json").stat().st_mtime_ns
    (out / "one" / "ct_metrics.json").unlink()
    capsys.readouterr()
    assert _restore(folder, model, out, "--skip-existing") == 0
    assert "1 of 1 scans restored, 2 already there" in capsys.readouterr().out
    assert (out / "a_metrics.json").stat().st_mtime_ns == kept
    assert (out / "one" / "ct_metrics.json").is_file()
    assert _restore(folder, model, out, "--skip-existing", "--overwrite") == 2


def test_results_inside_the_scanned_folder_are_not_restored_again(tmp_path: Path, folder: Path, model: Path) -> None:
    assert _restore(folder, model, folder / "results") == 0
    assert _restore(folder, model, folder / "results", "--overwrite") == 0
    assert len(_names(folder / "results")) == 3 * len(PARTS)
    assert _restore(folder, model, folder) == 2
    assert _restore(folder, model, tmp_path) == 2


def test_ctrl_c_ends_with_130_and_leaves_whole_results_only(
    tmp_path: Path, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import genesis_core.inference.restore as module

    original, calls = module.sliding_window, []

    def interrupted(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments, **more)

    monkeypatch.setattr(module, "sliding_window", interrupted)
    assert _restore(folder, model, tmp_path / "out") == 130
    assert "1 of 3 scans restored" in capsys.readouterr().out
    assert _names(tmp_path / "out") == sorted(f"a_{part}" for part in PARTS)


@pytest.mark.parametrize("image_format", ["nrrd", "mha"])
def test_other_formats_can_be_asked_for(tmp_path: Path, model: Path, image_format: str) -> None:
    scan = _write(tmp_path / "chest.nii.gz")
    assert _restore(tmp_path / "chest.nii.gz", model, tmp_path / "out", "--format", image_format) == 0
    np.testing.assert_allclose(
        read_volume(tmp_path / "out" / f"chest_residual.{image_format}").affine, scan.affine, atol=1e-4
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["restore"], 2, "SCAN is required"),
        (["restore", "{scan}", "--model", "{model}", "--out", "{out}", "--overlap", "1"], 2, "overlap"),
        (["restore", "{scan}", "--model", "{empty}", "--out", "{out}"], 1, "neither a model folder"),
        (["restore", "{scan}", "--model", "{model}", "--out", "{out}", "--device", "gpu"], 1, "device"),
        (["restore", "{scan}", "--model", "{model}", "--out", "{out}", "--batch-size", "2"], 1, "batch_size"),
        (["restore", "{nothing}", "--model", "{model}", "--out", "{out}"], 1, "no such file"),
        (["restore", "{empty}", "--model", "{model}", "--out", "{out}"], 2, "no scan there"),
        (["restore", "{scan}", "--model", "{model}", "--out", "{scan}"], 2, "a folder is wanted"),
        (["restore", "{text}", "--model", "{model}", "--out", "{out}"], 1, "notes.nii"),
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


def test_help_states_the_residuals_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["restore", "--help"]) == 0
    assert "not disease" in " ".join(capsys.readouterr().out.split())


def test_an_output_that_cannot_be_written_is_known_before_the_first_scan(
    tmp_path: Path, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Root may write anywhere, so the refusal is made here.
    def refuse(dir: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert _restore(folder, model, tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "nothing can be written in" in said.err
    assert "Permission denied" in said.err
    assert "a.nii.gz" not in said.out + said.err
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_by_the_look_whether_one_can_write(tmp_path: Path) -> None:
    require_writable(tmp_path / "out", [tmp_path / "out" / "sub" / "a.nii.gz"])
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_segmenting_folds_is_refused_for_its_task(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("0", "1"):
        save_threshold_model(tmp_path / "run" / "folds" / name / "model")
    (tmp_path / "run" / "ensemble.yaml").write_text(ensemble_yaml(("folds/0/model", "folds/1/model")))
    assert _restore(folder, tmp_path / "run", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "trained for segmentation, not for restoration" in said
    assert "give one of them" not in said
