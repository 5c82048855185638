"""Restoring a scan: what the network returns ends up on the scan's own grid, in its units, and nothing else moves."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from genesis_core.errors import MemoryBudgetError, ModelError, SettingsError, VolumeError
from genesis_core.inference.restore import Restoration, restore
from genesis_core.inference.sliding_window import Stopped
from genesis_core.model.card import ModelCard
from genesis_core.model.folder import Model
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.volume import Geometry, Volume


class LogitOfInput(nn.Module):
    """Perfect at restoring: its sigmoid is its input."""

    divisor = 4

    def forward(self, x: Tensor) -> Tensor:
        return torch.logit(x, eps=1e-7)


class Marked(LogitOfInput):
    """Restores perfectly, but for the half of the window at the small x indices, which becomes white."""

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x).clone()
        out[..., : x.shape[-1] // 2] = 20
        return out


def _model(
    module: nn.Module | None = None,
    *,
    modality: Literal["ct", "mr"] = "ct",
    axis_codes: str = "LPS",
    spacing: tuple[float, float, float] | None = None,
    patch_size: tuple[int, int, int] = (8, 12, 16),
    **card: Any,
) -> Model:
    preprocessing = Preprocessing.model_validate({"modality": modality, "axis_codes": axis_codes, "spacing": spacing})
    values: dict[str, Any] = {
        "name": "stub",
        "task": "restoration",
        "network": UNet3DSettings(width=2, norm="instance"),
        "activation": "sigmoid",
        "preprocessing": preprocessing,
        "patch_size": patch_size,
    }
    return Model(module or LogitOfInput(), ModelCard(**{**values, **card}), Path("stub"))


def _rotation(seed: int) -> tuple[float, ...]:
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    return tuple(float(value) for value in matrix.ravel())


def _scan(shape: tuple[int, int, int] = (13, 22, 19), seed: int = 0, **geometry: Any) -> Volume:
    array = np.random.default_rng(seed).integers(-1500, 1500, shape, dtype=np.int16)
    return Volume(array, Geometry(shape, **geometry), modality="ct", notes=("read with care",))


def _clipped(scan: Volume) -> NDArray[np.float32]:
    return scan.array.astype(np.float32).clip(-1000, 1000)


def _on_grid(result: Restoration, scan: Volume) -> None:
    for volume in (result.restored, result.residual, result.outside):
        assert volume.geometry == scan.geometry


@given(
    shape=st.tuples(*[st.integers(1, 20)] * 3),
    seed=st.integers(0, 50),
    codes=st.sampled_from(["LPS", "RAS", "SAR", "PIL", "ALI"]),
    overlap=st.sampled_from([0.0, 0.5, 0.7]),
)
@settings(deadline=None, max_examples=25)
def test_a_perfect_network_returns_the_clipped_scan_on_any_oblique_grid(
    shape: tuple[int, int, int], seed: int, codes: str, overlap: float
) -> None:
    scan = _scan(shape, seed, spacing=(0.7, 0.9, 2.5), origin=(-100.0, 40.0, 7.0), direction=_rotation(seed))
    before = scan.array.copy()
    result = restore(_model(axis_codes=codes), scan, overlap=overlap)
    _on_grid(result, scan)
    np.testing.assert_allclose(result.restored.array, _clipped(scan), atol=0.2)
    np.testing.assert_array_equal(result.residual.array, result.restored.array - _clipped(scan))
    np.testing.assert_array_equal(result.outside.array, (before < -1000) + 2 * (before > 1000).astype(np.uint8))
    np.testing.assert_array_equal(scan.array, before)


def test_left_stays_left() -> None:
    scan = Volume.from_array(np.zeros((8, 12, 16), np.int16), modality="ct")
    # One window covers the scan; where x grows toward the left, small indices are the patient's right.
    toward_left = restore(_model(Marked(), axis_codes="LPS"), scan).residual.array
    assert (toward_left[:, :, :8] > 900).all()
    assert np.abs(toward_left[:, :, 8:]).max() < 1
    toward_right = restore(_model(Marked(), axis_codes="RPS"), scan).residual.array
    np.testing.assert_array_equal(toward_right, toward_left[:, :, ::-1])


def test_a_resampling_model_returns_to_the_scans_grid() -> None:
    z, y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in (20, 30, 26)), indexing="ij")
    array = (700 * np.sin(3 * z) * np.cos(2 * y) + 200 * x).astype(np.float32)
    scan = Volume(array, Geometry(array.shape, (1.0, 1.0, 2.0), (5.0, -3.0, 2.0), _rotation(3)), modality="ct")
    result = restore(_model(spacing=(1.3, 1.7, 1.1)), scan)
    _on_grid(result, scan)
    # Smooth enough to survive resampling there and back, up to the outermost voxels.
    assert np.abs(result.residual.array).max() < 60
    assert np.abs(result.residual.array[2:-2, 2:-2, 2:-2]).max() < 8


def test_voxels_a_coarse_grid_does_not_reach_are_left_as_they_are_and_said() -> None:
    scan = _scan((9, 9, 9))
    result = restore(_model(spacing=(4.0, 4.0, 4.0)), scan)
    _on_grid(result, scan)
    assert np.isfinite(result.restored.array).all()
    said = [note for note in result.notes if "outside the resampled grid" in note]
    zero = int((result.residual.array == 0).sum())
    assert bool(said) == (zero > 0)


def test_metrics_are_those_of_the_mapped_scan_and_in_hu() -> None:
    class Darker(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.logit(0.9 * x, eps=1e-7)

    scan = _scan()
    result = restore(_model(Darker()), scan)
    unit = (_clipped(scan).astype(np.float64) + 1000) / 2000
    assert result.metrics["mae"] == pytest.approx(0.1 * unit.mean(), rel=1e-3)
    assert result.metrics["mse"] == pytest.approx(0.01 * (unit**2).mean(), rel=1e-3)
    assert result.metrics["psnr"] == pytest.approx(-10 * math.log10(result.metrics["mse"]))
    assert result.metrics["mae_hu"] == pytest.approx(2000 * result.metrics["mae"])
    assert result.metrics["mae_hu"] == pytest.approx(np.abs(result.residual.array).mean(), rel=1e-3)
    assert 0.9 < result.metrics["ssim"] < 1


def test_mr_is_mapped_by_its_own_percentiles() -> None:
    array = np.random.default_rng(0).gamma(2, 300, (12, 16, 16)).astype(np.float32)
    result = restore(_model(modality="mr"), Volume.from_array(array, modality="mr"))
    low, high = np.percentile(array, [0.5, 99.5])
    assert result.window == pytest.approx((low, high))
    assert "mae_scan_units" in result.metrics
    np.testing.assert_allclose(result.restored.array, array.clip(low, high), atol=1e-4 * (high - low))


def test_a_constant_scan_comes_back_and_its_perfection_is_null_in_json() -> None:
    scan = Volume.from_array(np.full((8, 12, 16), 7, np.int16), modality="mr")
    result = restore(_model(nn.Identity(), modality="mr", activation="none"), scan)
    np.testing.assert_array_equal(result.restored.array, 7)
    facts = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert facts["metrics"]["psnr"] is None
    assert facts["metrics"]["mse"] == 0
    assert any("every voxel is 7" in note for note in facts["notes"])


def test_notes_say_what_happened_and_what_the_residual_is_not() -> None:
    result = restore(_model(), _scan((3, 22, 19)))
    text = " ".join(result.notes)
    assert "read with care" in text
    assert "shorter than the patch along z" in text
    assert "below and" in text
    assert "does not show disease" in result.notes[-1]
    assert result.as_json()["outside_window"]["below"] == int((result.outside.array == 1).sum())


def test_a_patch_the_network_cannot_halve_is_rounded_up_and_said() -> None:
    result = restore(_model(patch_size=(7, 10, 13)), _scan())
    assert any("(8, 12, 16)" in note for note in result.notes)


def test_the_wrong_modality_is_said() -> None:
    array = np.random.default_rng(0).gamma(2, 300, (12, 16, 16)).astype(np.float32)
    result = restore(_model(), Volume.from_array(array))
    assert any("looks like MR" in note for note in result.notes)


def test_the_model_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.Dropout(0.5), nn.Conv3d(4, 1, 1))
    network.train()
    before = {name: (value.clone(), value.stride()) for name, value in network.state_dict().items()}
    first, second = (restore(_model(network), _scan()).restored.array for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name][0])
        assert value.stride() == before[name][1]


def test_batches_of_windows_change_nothing() -> None:
    one, three = (restore(_model(Marked()), _scan(), batch_size=size).restored.array for size in (1, 3))
    np.testing.assert_allclose(one, three, atol=1e-3)


def test_batches_are_refused_under_batch_statistics() -> None:
    model = _model(network=UNet3DSettings(width=2, norm="batch_statistics"))
    with pytest.raises(SettingsError, match="batch_size = 2"):
        restore(model, _scan(), batch_size=2)


def test_progress_and_stop_are_asked() -> None:
    seen: list[tuple[int, int]] = []
    result = restore(_model(), _scan(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (result.windows, result.windows)
    with pytest.raises(Stopped):
        restore(_model(), _scan(), stop=lambda: True)


def test_16_bits_stay_close() -> None:
    network = nn.Conv3d(1, 1, 3, padding=1)
    full, half = (
        restore(_model(network), _scan(), precision=precision).restored.array
        for precision in ("float32", "bfloat16")  # type: ignore[arg-type]
    )
    assert 0 < np.abs(full - half).max() < 40


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"preprocessing": None}, "preprocessing"),
        ({"activation": "softmax"}, "softmax"),
        ({"network": UNet3DSettings(out_channels=3)}, "3 out"),
        ({"network": UNet3DSettings(in_channels=2)}, "2 in"),
        ({"network": UNet3DSettings(dims=2)}, "2D"),
    ],
)
def test_models_that_cannot_restore_a_scan_are_refused(card: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        restore(_model(**card), _scan())


def test_a_model_of_another_task_is_refused() -> None:
    model = _model()
    other = Model(model.network, model.card.model_copy(update={"task": "segmentation"}), model.path)
    with pytest.raises(ModelError, match="segmentation"):
        restore(other, _scan())


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "", "meta"])
def test_devices_that_are_not_there_are_refused(device: str) -> None:
    with pytest.raises(SettingsError, match="device"):
        restore(_model(), _scan(), device=device)


def test_a_network_that_returns_nonsense_is_named() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * math.nan

    with pytest.raises(ModelError, match="not finite"):
        restore(_model(Broken()), _scan())


def test_a_scan_without_a_finite_voxel_is_refused() -> None:
    with pytest.raises(VolumeError):
        restore(_model(modality="mr"), Volume.from_array(np.full((8, 8, 8), np.nan, np.float32)))


def test_what_cannot_fit_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1000})())
    with pytest.raises(MemoryBudgetError, match=r"needs about \d+ MB, and 0 MB are free"):
        restore(_model(), _scan())


@pytest.mark.parametrize(("low", "high", "unit"), [(-1024, 900, "HU"), (1, 900, "")])
def test_the_unit_is_that_of_the_scan(low: int, high: int, unit: str) -> None:
    array = np.random.default_rng(0).integers(low, high, (13, 22, 19), dtype=np.int16)
    result = restore(_model(), Volume(array, Geometry(array.shape)))
    assert result.unit == unit
    assert ("mae_hu" in result.metrics) == (unit == "HU")


def test_a_label_map_is_said_to_be_one_and_has_no_hu() -> None:
    array = np.zeros((13, 22, 19), np.uint8)
    array[4:8] = 1
    result = restore(_model(), Volume(array, Geometry(array.shape)))
    assert any("rather a label map than a scan" in note for note in result.notes)
    assert set(result.metrics) == {"mse", "mae", "psnr", "ssim", "mae_scan_units"}


def test_the_json_says_what_the_numbers_outside_the_window_mean() -> None:
    assert restore(_model(), _scan()).as_json()["outside_window"]["values"] == {"within": 0, "below": 1, "above": 2}
