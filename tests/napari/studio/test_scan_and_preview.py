"""What the Studio shows is what training, the command line and Python make of the same scan."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Layer

from genesis_core.corruptions.recipe import Recipe
from genesis_core.corruptions.tiling import corrupt_tiles
from genesis_core.errors import VolumeError
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.reading import read_volume
from napari_genesis.layers import shown as layer_of
from napari_genesis.opening import open_path
from napari_genesis.studio.preview import Look, Wanted, compute, in_words, shown, slab_of
from napari_genesis.studio.scan import Box, StudioScan, scan_of_layer
from napari_genesis.studio.sharing import as_command, as_python


@pytest.fixture(scope="module")
def phantom_layer() -> Image:
    array, meta = layer_of(make_phantom(1, shape=(48, 96, 96)).volume)
    return Image(array, name="thorax", **meta)


@pytest.fixture(scope="module")
def scan(phantom_layer: Image) -> StudioScan:
    return scan_of_layer(phantom_layer)


def test_a_phantom_is_taken_for_ct_in_its_window(scan: StudioScan, phantom_layer: Image) -> None:
    assert scan.modality == "ct"
    assert scan.certainty > 0.9
    assert (scan.map.low, scan.map.high) == (-1000, 1000)
    assert scan.volume.array.shape == phantom_layer.data.shape
    assert np.shares_memory(scan.volume.array, phantom_layer.data)


def test_a_sub_volume_is_what_the_recipe_gets_in_training(scan: StudioScan) -> None:
    box = Box((8, 16, 20), (32, 64, 64))
    preview = compute(scan, Wanted(Recipe.genesis(), 7, box))
    unit = scan.volume.with_array(scan.volume.array).normalised("ct").array
    expected = unit[8:40, 16:80, 20:84]
    assert np.array_equal(preview.original, expected)
    assert np.array_equal(preview.corrupted, Recipe.genesis()(expected, seed=7))
    assert preview.return_mean == pytest.approx(float(expected.var(dtype=np.float64)))
    assert preview.return_input == pytest.approx(float(((preview.corrupted - expected) ** 2).mean()), rel=1e-4)


def test_beyond_the_scan_lies_air(scan: StudioScan) -> None:
    part = scan.unit(Box((-4, -8, 90), (8, 16, 16)))
    assert not part[:4].any()
    assert not part[:, :8].any()
    assert not part[:, :, 6:].any()
    assert np.array_equal(part[4:, 8:, :6], scan.unit(Box((0, 0, 90), (4, 8, 6))))
    assert not scan.unit(Box((500, 0, 0), (4, 4, 4))).any()


def test_a_box_is_kept_inside_and_centred_where_the_scan_is_too_short(scan: StudioScan) -> None:
    assert scan.place((0, 0, 0), (32, 64, 64)).start == (0, 0, 0)
    assert scan.place((99, 99, 99), (32, 64, 64)).start == (16, 32, 32)
    assert scan.place((10, 10, 10), (64, 64, 64)).start == (-8, 0, 0)


def test_a_slab_is_the_tiling_of_the_command_line(scan: StudioScan) -> None:
    size = (32, 40, 40)
    slab = slab_of(scan.volume.shape, size, 0, 40)
    assert slab == Box((32, 0, 0), (16, 96, 96))
    preview = compute(scan, Wanted(Recipe.genesis(), 3, Box((0, 0, 0), size), slab))
    whole = corrupt_tiles(scan.map.to_unit(scan.volume.array), Recipe.genesis(), 3, size)
    assert np.array_equal(preview.corrupted, whole[32:48])
    assert "9 boxes of 32 x 40 x 40" in in_words(preview)


def test_what_is_shown_is_in_scan_units(scan: StudioScan) -> None:
    preview = compute(scan, Wanted(Recipe.genesis(), 7, Box((8, 16, 20), (32, 64, 64)), other=Recipe.paper()))
    original = shown(preview, None, Look("original"), scan.map)
    inside = scan.volume.array[8:40, 16:80, 20:84]
    assert np.allclose(original, np.clip(inside, -1000, 1000), atol=0.01)
    corrupted = shown(preview, None, Look("corrupted"), scan.map)
    difference = shown(preview, None, Look("difference"), scan.map)
    assert np.allclose(corrupted - original, difference, atol=0.01)
    swiped = shown(preview, None, Look("corrupted", swipe=0.25), scan.map)
    assert preview.other is not None
    assert np.array_equal(swiped[:, :, :16], scan.map.from_unit(preview.other[:, :, :16]))
    assert np.array_equal(swiped[:, :, 16:], corrupted[:, :, 16:])
    restored = shown(preview, np.zeros_like(original), Look("restored"), scan.map)
    assert (restored == -1000).all()


def test_words_say_what_was_drawn_and_whether_it_would_be_taken(scan: StudioScan) -> None:
    here = compute(scan, Wanted(Recipe.genesis(), 7, scan.place((24, 48, 48), (32, 64, 64))))
    assert here.draw is not None
    assert here.draw.describe().splitlines()[-1][1:] in in_words(here)
    assert "would be taken" in in_words(here)
    empty = scan.with_window(2000, 3000)
    assert "refused as nearly empty" in in_words(compute(empty, here.wanted))


def test_a_layer_without_millimetres_works_and_says_so() -> None:
    scan = scan_of_layer(Image(np.linspace(0, 900, 16 * 20 * 24).reshape(16, 20, 24).astype("i2")))
    assert scan.spacing is None
    assert "no millimetres" in scan.notes[0]


def test_numbers_that_are_none_count_as_air_and_are_counted() -> None:
    array = np.random.default_rng(0).normal(300, 50, (8, 16, 16)).astype("f4")
    array[0, 0, :3] = np.nan
    array[1, 1, 1] = -np.inf
    scan = scan_of_layer(Image(array, contrast_limits=(0, 1)))
    assert "4 voxels are not numbers" in " ".join(scan.notes)
    assert np.isfinite(scan.unit(Box((0, 0, 0), (8, 16, 16)))).all()
    assert np.isnan(array[0, 0, 0])


@pytest.mark.parametrize(
    ("array", "words"), [(np.zeros((5, 6, 3), "u1"), "colours"), (np.zeros((6, 7)), "2 axes")], ids=["rgb", "flat"]
)
def test_what_is_no_scan_is_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(VolumeError, match=words):
        scan_of_layer(Image(array, rgb=array.shape[-1] == 3))


def test_a_frame_of_four_axes(phantom_layer: Image) -> None:
    array = np.stack([phantom_layer.data, phantom_layer.data + 100])
    layer = Image(array, scale=(1, 2, 2, 2), units=("pixel", "mm", "mm", "mm"))
    assert np.array_equal(scan_of_layer(layer, 1).volume.array, array[1])
    with pytest.raises(VolumeError, match="2 frames"):
        scan_of_layer(layer)


def test_a_window_upside_down_is_refused(scan: StudioScan) -> None:
    with pytest.raises(VolumeError, match="upper end"):
        scan.with_window(100, 100)


def _file_layer(path: Path) -> Layer:
    [data] = open_path(path)
    return Layer.create(*data)


@pytest.mark.parametrize("name", ["ct/torso_totalseg_3mm.nii.gz", "mri/stroke_T1.nii.gz"])
def test_copied_python_gives_the_voxels_that_are_shown(name: str, real_data: Path, tmp_path: Path) -> None:
    scan = scan_of_layer(_file_layer(real_data / name))
    recipe = Recipe.from_dict({"name": "mine", "steps": [{"kind": "nonlinear"}, {"kind": "inner_cutout"}]})
    wanted = Wanted(recipe, 11, scan.place((60, 50, 50), (32, 64, 64)))
    code = as_python(wanted, scan, real_data / name)
    out = tmp_path / "corrupted.npy"
    script = f"{code}\nimport numpy as np\nnp.save({str(out)!r}, corrupted)\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "inner cut-out" in done.stdout
    assert np.array_equal(np.load(out), compute(scan, wanted).corrupted)


def test_copied_python_pads_a_scan_smaller_than_the_box(tmp_path: Path, scan: StudioScan) -> None:
    from genesis_core.volumes.writing import write_volume

    write_volume(scan.volume, tmp_path / "small.nii.gz")
    again = scan_of_layer(_file_layer(tmp_path / "small.nii.gz"))
    wanted = Wanted(Recipe.genesis(), 2, again.place((24, 48, 48), (64, 64, 64)))
    space: dict[str, object] = {}
    exec(as_python(wanted, again, tmp_path / "small.nii.gz"), space)
    assert np.array_equal(np.asarray(space["corrupted"]), compute(again, wanted).corrupted)


def test_the_copied_command_runs(tmp_path: Path, scan: StudioScan) -> None:
    from genesis_core.volumes.writing import write_volume

    write_volume(scan.volume, tmp_path / "scan of mine.nii.gz")
    recipe = Recipe.from_dict({"name": "mine", "steps": [{"kind": "nonlinear"}, {"kind": "inner_cutout"}]})
    wanted = Wanted(recipe, 5, scan.place((24, 48, 48), (32, 64, 64)))
    text = as_command(wanted, scan, tmp_path / "scan of mine.nii.gz")
    first = text[: text.index("napari-genesis pretrain")]
    script = first.replace("napari-genesis", f"{sys.executable} -m genesis_core")
    done = subprocess.run(["bash", "-ec", script], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert Recipe.read(tmp_path / "mine.yaml") == recipe
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
    assert f"--seed {wanted.seed}" in text
    assert "pretrain SCANS/ --recipe mine.yaml" in text


def test_a_preset_is_copied_by_its_name(scan: StudioScan) -> None:
    text = as_command(Wanted(Recipe.genesis(), 5, Box((0, 0, 0), (32, 64, 64))), scan, None)
    assert "--recipe genesis" in text
    assert "cat >" not in text


def test_a_window_of_ones_own_goes_into_the_copied_training(
    scan: StudioScan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from genesis_core.cli.main import run

    wanted = Wanted(Recipe.genesis(), 5, Box((0, 0, 0), (32, 64, 64)))
    assert "intensity" not in as_command(wanted, scan, None)
    ct = as_command(wanted, scan.with_window(-160, 240), None)
    assert "corrupt takes no other (-160 to 240 in the Studio)" in ct
    words = shlex.split(ct.splitlines()[-1], comments=True)
    words[words.index("SCANS/")] = str(tmp_path)
    words[words.index("--out") + 1] = str(tmp_path / "run")
    assert run([*words[1:], "--dry-run"]) == 0
    assert "intensity: {kind: window, low: -160.0, high: 240.0}" in capsys.readouterr().out
    # An MR's own units mean nothing for another one.
    mr = as_command(wanted, replace(scan, modality="mr").with_window(0, 900), None)
    assert "data.intensity" not in mr
    assert "Trained in percentiles" in mr


def test_a_real_mr_reads_with_its_own_range(real_data: Path) -> None:
    path = real_data / "mri" / "ms_long_patient01_study1_FLAIR.nii.gz"
    scan = scan_of_layer(_file_layer(path))
    assert scan.modality == "mr"
    assert scan.map == scan_of_layer(_file_layer(path)).map
    assert scan.map.high <= read_volume(path).array.max()
