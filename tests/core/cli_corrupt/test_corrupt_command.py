"""`napari-genesis corrupt` from end to end on a phantom: files, grids, units, words, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genesis_core.cli.main import run
from genesis_core.corruptions.recipe import Recipe
from genesis_core.phantom.thorax import make_phantom
from genesis_core.randomness import stream
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.resampling import reorient
from genesis_core.volumes.writing import write_volume

SHAPE = (40, 48, 56)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_volume(make_phantom(1, SHAPE).volume, tmp_path_factory.mktemp("scans") / "chest.nii.gz")


def test_the_corrupted_scan_is_written_on_the_scans_grid_in_hu(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "bad.nii.gz"
    assert run(["corrupt", str(scan), "--out", str(out), "--seed", "3", "--modality", "ct"]) == 0
    before, after = read_volume(scan), read_volume(out)
    assert after.array.dtype == before.array.dtype
    assert after.shape == before.shape
    assert np.allclose(after.affine, before.affine, atol=1e-4)
    assert after.array.min() >= -1000
    assert after.array.max() <= 1000
    assert (after.array != before.array).mean() > 0.3


def test_the_same_seed_gives_the_same_voxels_and_another_seed_others(scan: Path, tmp_path: Path) -> None:
    arrays = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        out = tmp_path / f"{name}.mha"
        assert run(["corrupt", str(scan), "--out", str(out), "--seed", str(seed), "--whole"]) == 0
        arrays.append(read_volume(out).array)
    assert np.array_equal(arrays[0], arrays[1])
    assert not np.array_equal(arrays[0], arrays[2])


def test_what_was_drawn_and_what_was_clipped_is_said(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["corrupt", str(scan), "--out", str(tmp_path / "bad.nii.gz"), "--patch-size", "16,32,32"]) == 0
    said = capsys.readouterr().out
    # 40 x 48 x 56 voxels in boxes of 16 x 32 x 32.
    assert "Box 1 of 12, 16 x 32 x 32 voxels (z, y, x)" in said
    assert "outside the window -1000 to 1000" in said
    assert "Taken for CT" in said


def test_a_scan_in_another_orientation_comes_back_in_it(scan: Path, tmp_path: Path) -> None:
    turned = write_volume(reorient(read_volume(scan), "RAS"), tmp_path / "ras.nii.gz")
    for source, name in ((scan, "lps"), (turned, "from_ras")):
        assert run(["corrupt", str(source), "--out", str(tmp_path / f"{name}.mha"), "--modality", "ct"]) == 0
    straight, back = read_volume(tmp_path / "lps.mha"), read_volume(tmp_path / "from_ras.mha")
    assert back.axis_codes == "RAS"
    # The corruption is drawn in the model's axes, so the same patient is corrupted alike.
    assert np.array_equal(reorient(back, "LPS").array, straight.array)


def test_the_contact_sheet_is_a_png_and_lists_twelve_combinations(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    arguments = ["corrupt", str(scan), "--contact-sheet", str(sheet), "--patch-size", "16,32,32", "--json"]
    assert run(arguments) == 0
    record = json.loads(capsys.readouterr().out)
    steps = [tuple(combination["steps"]) for combination in record["combinations"]]
    assert len(set(steps)) == 12
    assert () in steps
    assert ("local_shuffle", "nonlinear", "outer_cutout") in steps
    assert not any({"inner_cutout", "outer_cutout"} <= set(combination) for combination in steps)
    picture = Image.open(sheet)
    assert picture.mode == "RGB"
    assert min(picture.size) > 800


def test_the_sheet_shows_the_place_asked_for(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["corrupt", str(scan), "--contact-sheet", str(tmp_path / "s.png"), "--patch-size", "16,32,32"]
    assert run([*arguments, "--at", "20,24,28", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["start"] == [12, 8, 12]


def test_random_samples_take_the_place_of_the_combinations(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    arguments = ["corrupt", str(scan), "--contact-sheet", str(sheet), "--patch-size", "16,32,32", "--seed", "7"]
    assert run([*arguments, "--samples", "6", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["seed"] for one in record["samples"]] == [7, 8, 9, 10, 11, 12]
    assert all(
        tuple(one["steps"]) == Recipe.genesis().draw((16, 32, 32), one["seed"]).applied for one in record["samples"]
    )
    assert "combinations" not in record
    assert run([*arguments, "--overwrite"]) == 0
    assert "12 combinations" in capsys.readouterr().out


def test_every_box_is_corrupted_as_the_tiling_says(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "bad.mha"
    assert run(["corrupt", str(scan), "--out", str(out), "--seed", "3", "--patch-size", "16,20,24"]) == 0
    prepared = Preprocessing.model_validate({"modality": "ct"}).prepare(read_volume(scan))
    unit = prepared.map.to_unit(prepared.volume.array)
    expected = np.empty_like(unit)
    boxes = [(z, y, x) for z in range(0, 40, 16) for y in range(0, 48, 20) for x in range(0, 56, 24)]
    for number, (z, y, x) in enumerate(boxes):
        part = unit[z : z + 16, y : y + 20, x : x + 24]
        padded = np.pad(part, [(0, n - have) for n, have in zip((16, 20, 24), part.shape, strict=True)])
        done = Recipe.genesis()(padded, seed=stream(3, "corrupt", number))
        expected[z : z + 16, y : y + 20, x : x + 24] = done[tuple(slice(0, n) for n in part.shape)]
    assert np.array_equal(read_volume(out).array, np.rint(prepared.map.from_unit(expected)).astype(np.int16))


def test_the_papers_recipe_has_a_sheet_of_its_own(scan: Path, tmp_path: Path) -> None:
    arguments = ["corrupt", str(scan), "--recipe", "paper", "--contact-sheet", str(tmp_path / "s.png")]
    assert run([*arguments, "--patch-size", "16,32,32"]) == 0


def test_a_model_adds_what_it_restores(scan: Path, tmp_path: Path) -> None:
    from genesis_core.model.card import ModelCard
    from genesis_core.model.folder import save_model
    from genesis_core.networks.registry import create_network

    card = ModelCard.model_validate(
        {
            "name": "small",
            "task": "restoration",
            "network": {"kind": "unet3d", "width": 4, "depth": 2},
            "activation": "sigmoid",
            "preprocessing": {"modality": "ct"},
            "patch_size": [16, 32, 32],
        }
    )
    save_model(tmp_path / "model", create_network(card.network), card)
    plain, restored = tmp_path / "plain.png", tmp_path / "restored.png"
    arguments = ["corrupt", str(scan), "--patch-size", "16,32,32", "--contact-sheet"]
    assert run([*arguments, str(plain)]) == 0
    assert run([*arguments, str(restored), "--model", str(tmp_path / "model")]) == 0
    # A third picture in every tile makes the sheet wider.
    assert Image.open(restored).size[0] > 1.3 * Image.open(plain).size[0]


@pytest.mark.parametrize("option", ["--out", "--contact-sheet"])
def test_an_existing_file_is_kept_unless_overwriting_is_asked_for(scan: Path, tmp_path: Path, option: str) -> None:
    path = tmp_path / ("there.png" if option == "--contact-sheet" else "there.mha")
    path.write_bytes(b"precious")
    arguments = ["corrupt", str(scan), option, str(path), "--patch-size", "16,32,32"]
    assert run(arguments) == 2
    assert path.read_bytes() == b"precious"
    assert run([*arguments, "--overwrite"]) == 0
    assert path.read_bytes() != b"precious"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.nii.gz", "--out", "x.mha"], 1, "missing.nii.gz"),
        (["SCAN", "--out", "x.mha", "--recipe", "no_such_recipe"], 1, "no_such_recipe"),
        (["SCAN", "--out", "no_folder/x.mha"], 1, "no_folder"),
        (["SCAN", "--contact-sheet", "x.png", "--at", "900,0,0"], 1, "choose a place inside"),
        (["SCAN", "--contact-sheet", "x.png", "--model", "no_model"], 1, "no_model"),
        (["SCAN"], 2, "nothing to do"),
        (["SCAN", "--contact-sheet", "x.jpg"], 2, ".png"),
        (["SCAN", "--out", "x.mha", "--at", "1,2,3"], 2, "--at"),
        (["SCAN", "--out", "x.mha", "--samples", "4"], 2, "--samples"),
        (["SCAN", "--contact-sheet", "x.png", "--samples", "0"], 2, "samples"),
        (["SCAN", "--contact-sheet", "x.png", "--samples", "201"], 2, "samples"),
        (["SCAN", "--contact-sheet", "x.png", "--at", "1,2"], 2, "at"),
        (["SCAN", "--out", "x.mha", "--patch-size", "0,1,1"], 2, "patch_size"),
        (["--out", "x.mha"], 2, "SCAN is required"),
    ],
)
def test_mistakes_are_named_with_one_message(
    scan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["corrupt", *(str(scan) if word == "SCAN" else word for word in arguments)]) == code
    complaint = capsys.readouterr().err
    assert message in complaint
    assert "Traceback" not in complaint
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_prints_the_settings_and_writes_nothing(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["corrupt", str(scan), "--out", str(tmp_path / "x.mha"), "--seed", "9", "--dry-run"]) == 0
    assert "seed: 9" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_scan_is_never_replaced_by_its_corruption(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = scan.read_bytes()
    link = tmp_path / "link.nii.gz"
    link.symlink_to(scan)
    for given in (scan, link):
        assert run(["corrupt", str(given), "--out", str(scan), "--overwrite"]) == 2
        assert "is the scan itself" in capsys.readouterr().err
    assert run(["corrupt", str(scan.parent), "--out", str(scan), "--overwrite"]) == 2
    assert "lies in the scan's folder" in capsys.readouterr().err
    assert scan.read_bytes() == before


def test_a_patch_far_beyond_the_scan_is_cut_down_to_it(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["corrupt", str(scan), "--contact-sheet", str(tmp_path / "sheet.png"), "--samples", "1"]
    assert run([*arguments, "--patch-size", "999,999,999"]) == 0
    assert "larger than the scan, (40, 48, 56) voxels (z, y, x): taken as 64,64,64" in capsys.readouterr().out
