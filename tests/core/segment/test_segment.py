"""Segmenting a scan: labels end up on the scan's own grid, at their place, in the memory of one slab."""

from __future__ import annotations

import itertools
import json
import math
import tracemalloc
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
from genesis_core.inference.segment import Segmentation, segment
from genesis_core.inference.sliding_window import Stopped
from genesis_core.model.card import LabelEntry, ModelCard
from genesis_core.model.folder import Model
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.resampling import reorient
from genesis_core.volumes.volume import Geometry, Volume


class Bands(nn.Module):
    """Logits of classes that follow one another along the intensity: 0 below the first limit, 1 above it, ..."""

    divisor = 4

    def __init__(self, limits: tuple[float, ...], steepness: float = 1e4) -> None:
        super().__init__()
        self.limits, self.steepness = limits, steepness

    def forward(self, x: Tensor) -> Tensor:
        sums = itertools.accumulate(self.limits, initial=0.0)
        # Lines whose upper envelope changes hands at the limits.
        return torch.cat([self.steepness * (k * x[:, :1] - total) for k, total in enumerate(sums)], dim=1)


class Above(nn.Module):
    """One yes or no per limit: whether the intensity lies above it."""

    divisor = 4

    def __init__(self, limits: tuple[float, ...], steepness: float = 1e4) -> None:
        super().__init__()
        self.limits, self.steepness = limits, steepness

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.steepness * (x[:, :1] - limit) for limit in self.limits], dim=1)


class Sides(nn.Module):
    """Calls the half of the window at small x structure 1 and the other half structure 2, by position alone."""

    divisor = 4

    def forward(self, x: Tensor) -> Tensor:
        out = torch.full((len(x), 3, *x.shape[2:]), -9.0)
        half = x.shape[-1] // 2
        out[:, 1, ..., :half] = 9
        out[:, 2, ..., half:] = 9
        return out


class Fixed(nn.Module):
    """Says the same everywhere: the logits given."""

    divisor = 4

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits[None, :, None, None, None].expand(len(x), -1, *x.shape[2:]).clone()


def _unit(hu: float) -> float:
    return (hu + 1000) / 2000


def _model(
    module: nn.Module,
    *names: str,
    activation: Literal["softmax", "sigmoid"] = "softmax",
    axis_codes: str = "LPS",
    spacing: tuple[float, float, float] | None = None,
    modality: str = "ct",
    in_channels: int = 1,
    values: tuple[int, ...] | None = None,
    patch_size: tuple[int, int, int] = (8, 12, 16),
    **card: Any,
) -> Model:
    numbers = values or tuple(range(1, len(names) + 1))
    facts: dict[str, Any] = {
        "name": "stub",
        "task": "segmentation",
        "network": UNet3DSettings(
            width=2,
            norm="instance",
            in_channels=in_channels,
            out_channels=len(names) + (activation == "softmax"),
        ),
        "activation": activation,
        "preprocessing": Preprocessing.model_validate(
            {"modality": modality, "axis_codes": axis_codes, "spacing": spacing}
        ),
        "patch_size": patch_size,
        "structures": tuple(LabelEntry(name=name, value=value) for name, value in zip(names, numbers, strict=True)),
    }
    return Model(module, ModelCard(**{**facts, **card}), Path("stub"))


def _tissue(**more: Any) -> Model:
    return _model(Bands((_unit(-200.5), _unit(150.5))), "soft tissue", "bone", **more)


def _tissue_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    return ((array > -200.5).astype(np.uint8) + (array > 150.5)).astype(np.uint8)


def _rotation(seed: int) -> tuple[float, ...]:
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    return tuple(float(value) for value in matrix.ravel())


def _scan(shape: tuple[int, int, int] = (13, 22, 19), seed: int = 0, **geometry: Any) -> Volume:
    array = np.random.default_rng(seed).integers(-1500, 1500, shape, dtype=np.int16)
    return Volume(array, Geometry(shape, **geometry), modality="ct", notes=("read with care",))


def _map(result: Segmentation) -> NDArray[Any]:
    return result.labels.as_map()


@given(
    shape=st.tuples(*[st.integers(1, 20)] * 3),
    seed=st.integers(0, 50),
    codes=st.sampled_from(["LPS", "RAS", "SAR", "PIL", "ALI"]),
    overlap=st.sampled_from([0.0, 0.5, 0.7]),
    flips=st.sampled_from([(), ("y",), ("x", "y", "z")]),
)
@settings(deadline=None, max_examples=25)
def test_a_threshold_is_exact_on_any_oblique_grid(
    shape: tuple[int, int, int], seed: int, codes: str, overlap: float, flips: tuple[str, ...]
) -> None:
    scan = _scan(shape, seed, spacing=(0.7, 0.9, 2.5), origin=(-100.0, 40.0, 7.0), direction=_rotation(seed))
    before = scan.array.copy()
    result = segment(_tissue(axis_codes=codes), scan, overlap=overlap, flips=flips)
    assert result.labels.geometry == scan.geometry
    np.testing.assert_array_equal(_map(result), _tissue_of(before))
    np.testing.assert_array_equal(scan.array, before)
    assert result.predictions == 2 ** len(flips)


@pytest.mark.parametrize(
    "file", ["ct/torso_totalseg_3mm.nii.gz", "awkward/lung_elastix.mha", "dicom/chest_ct_lidc0002_slab"]
)
def test_a_threshold_is_exact_on_real_ct_turned_any_way(real_data: Path, file: str) -> None:
    scan = read_volume(real_data / file)
    scan = scan.with_array(scan.array[:, : min(scan.shape[1], 160)]) if scan.shape[1] <= 160 else scan
    expected = _tissue_of(scan.array)
    for codes in ("LPS", "RSA"):
        model = _tissue(axis_codes=codes, patch_size=(64, 96, 96))
        np.testing.assert_array_equal(_map(segment(model, scan, overlap=0.25)), expected)
    turned = reorient(scan, "SAR")
    result = segment(_tissue(patch_size=(64, 96, 96)), turned, overlap=0.25)
    assert result.labels.geometry == turned.geometry
    np.testing.assert_array_equal(_map(result), _tissue_of(turned.array))


def test_a_resampled_scan_of_a_real_patient_comes_back_nearly_exact(real_data: Path) -> None:
    scan = read_volume(real_data / "ct" / "aorta_totalseg_1p5mm.nii.gz")
    expected = _tissue_of(scan.array)
    dice = []
    # Soft decisions, as networks make them: borders then lie between voxels.
    soft = Bands((_unit(-200.5), _unit(150.5)), 40)
    for spacing in ((1.5, 1.5, 1.5), (1.2, 1.3, 1.0), (2.0, 1.9, 3.0)):
        model = _model(soft, "soft tissue", "bone", spacing=spacing, patch_size=(48, 96, 96))
        found = _map(segment(model, scan, overlap=0.25))
        dice.append(2 * ((found == 1) & (expected == 1)).sum() / ((found == 1).sum() + (expected == 1).sum()))
    assert dice[0] == 1
    assert dice[1] > 0.96
    assert dice[2] > 0.88


@given(
    shape=st.tuples(*[st.integers(2, 14)] * 3),
    spacing=st.tuples(*[st.sampled_from([0.6, 1.0, 1.7, 3.1])] * 3),
    seed=st.integers(0, 20),
    codes=st.sampled_from(["LPS", "RAS", "SAR"]),
)
@settings(deadline=None, max_examples=30)
def test_probabilities_are_interpolated_as_simpleitk_would(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], seed: int, codes: str
) -> None:
    from genesis_core.volumes.resampling import resample_onto

    scan = _scan(shape, seed, spacing=(1.1, 0.9, 1.4), direction=_rotation(seed))
    model = _model(Above((0.5,), 3.0), "bright", axis_codes=codes, spacing=spacing, activation="sigmoid")
    assert model.card.preprocessing is not None
    prepared = model.card.preprocessing.prepare(scan)
    unit = prepared.map.to_unit(prepared.volume.array)
    probability = 1 / (1 + np.exp(-3.0 * (unit - 0.5)))
    there = Volume(probability.astype(np.float32), prepared.volume.geometry)
    expected = resample_onto(there, scan.geometry, fill=math.nan).array
    # SimpleITK says nothing beyond half a voxel outside; there our outermost voxel holds.
    sure = np.isfinite(expected) & (np.abs(np.nan_to_num(expected) - 0.5) > 1e-4)
    found = segment(model, scan).labels.as_map()
    np.testing.assert_array_equal(found[sure] == 1, expected[sure] > 0.5)


def test_a_ball_keeps_its_volume_through_a_coarser_grid() -> None:
    z, y, x = np.indices((40, 40, 40)) - 19.5
    radius = np.sqrt(z**2 + y**2 + x**2)
    scan = Volume.from_array((1000 * np.tanh((12 - radius) / 4)).astype(np.float32), modality="ct")
    model = _model(Bands((0.5,), 8), "ball", spacing=(2.5, 2.5, 2.5))
    found = _map(segment(model, scan)) == 1
    inside = radius < 12
    assert 2 * (found & inside).sum() / (found.sum() + inside.sum()) > 0.98


def test_left_stays_left() -> None:
    scan = Volume.from_array(np.zeros((8, 12, 16), np.int16), modality="ct")
    toward_left = _map(segment(_model(Sides(), "one", "two"), scan))
    assert (toward_left[:, :, :8] == 1).all()
    assert (toward_left[:, :, 8:] == 2).all()
    toward_right = _map(segment(_model(Sides(), "one", "two", axis_codes="RPS"), scan))
    np.testing.assert_array_equal(toward_right, toward_left[:, :, ::-1])


def test_flips_exchange_left_and_right() -> None:
    scan = Volume.from_array(np.zeros((8, 12, 16), np.int16), modality="ct")
    # In LPS small x is the patient's right: a network that knows its sides says the same of the mirrored scan.
    model = _model(Sides(), "kidney right", "kidney left")
    straight = segment(model, scan, uncertainty=True)
    flipped = segment(model, scan, flips=("x",), uncertainty=True)
    np.testing.assert_array_equal(_map(flipped), _map(straight))
    assert flipped.uncertainty is not None
    assert flipped.spread is not None
    assert flipped.uncertainty.array.max() < 0.01
    assert flipped.spread.array.max() < 0.01
    # Without sides in the names the two views contradict each other everywhere.
    torn = segment(_model(Sides(), "one", "two"), scan, flips=("x",), uncertainty=True)
    assert torn.spread is not None
    assert torn.spread.array.min() > 0.8
    # An axis that is not left-right changes nobody's side.
    np.testing.assert_array_equal(_map(segment(model, scan, flips=("y", "z"))), _map(straight))


def test_a_side_without_its_counterpart_is_refused() -> None:
    with pytest.raises(SettingsError, match="'lung_left' has a side"):
        segment(_model(Bands((0.5,)), "lung_left"), _scan(), flips=("x",))
    segment(_model(Bands((0.5,)), "lung_left"), _scan(), flips=("y",))
    with pytest.raises(SettingsError, match="flips = w"):
        segment(_tissue(), _scan(), flips=("w",))


def test_overlapping_structures_lie_in_layers_and_others_share_one() -> None:
    scan = _scan((9, 20, 18), 3, spacing=(0.7, 0.8, 2.0))
    hu = scan.array

    class Regions(nn.Module):
        divisor = 4

        def forward(self, x: Tensor) -> Tensor:
            low, high = _unit(-300.5), _unit(400.5)
            parts = [x - low, x - high, low - x, (x - _unit(900.5))]
            return 1e4 * torch.cat(parts, dim=1)

    names = ("body", "bone", "air", "metal")
    result = segment(_model(Regions(), *names, activation="sigmoid", values=(3, 7, 300, 9)), scan)
    masks = {one.name: result.labels.mask(one) for one in result.labels.structures}
    np.testing.assert_array_equal(masks["body"], hu > -300.5)
    np.testing.assert_array_equal(masks["bone"], hu > 400.5)
    np.testing.assert_array_equal(masks["air"], hu < -300.5)
    np.testing.assert_array_equal(masks["metal"], hu > 900.5)
    assert [one.layer for one in result.labels.structures] == [0, 1, 0, 2]
    assert [one.value for one in result.labels.structures] == [3, 7, 300, 9]
    assert result.labels.layers[0].dtype == np.uint16


@given(count=st.integers(1, 20), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=15)
def test_every_structure_of_a_sigmoid_is_where_it_was_said(count: int, seed: int) -> None:
    limits = tuple(float(v) for v in np.random.default_rng(seed).integers(-900, 900, count) + 0.5)
    scan = _scan((4, 9, 7), seed)
    model = _model(Above(tuple(map(_unit, limits))), *(f"s{k}" for k in range(count)), activation="sigmoid")
    labels = segment(model, scan).labels
    for structure, limit in zip(labels.structures, limits, strict=True):
        np.testing.assert_array_equal(labels.mask(structure), scan.array > limit)


def test_an_ensemble_averages_probabilities() -> None:
    scan = _scan()
    sure, unsure = Fixed(0.0, 4.0, 0.0), Fixed(0.0, 0.0, 2.5)
    one, two = (_model(network, "a", "b") for network in (sure, unsure))
    assert (_map(segment(one, scan)) == 1).all()
    assert (_map(segment(two, scan)) == 2).all()
    both = segment([one, two], scan, uncertainty=True)
    first, second = (torch.softmax(network.logits, 0).numpy() for network in (sure, unsure))
    mean = (first + second) / 2
    assert (_map(both) == mean.argmax()).all()
    assert both.predictions == 2
    assert both.uncertainty is not None
    assert both.spread is not None
    entropy = -(mean * np.log(mean)).sum() / math.log(3)
    variance = ((first - mean) ** 2 + (second - mean) ** 2).sum() / 2
    np.testing.assert_allclose(both.uncertainty.array, entropy, atol=0.004)
    np.testing.assert_allclose(both.spread.array, math.sqrt(variance / (2 / 3)), atol=0.004)


def test_one_prediction_agrees_with_itself_between_the_voxels_of_the_model() -> None:
    array = np.full((6, 10, 10), -900, np.int16)
    array[:, :, 5:] = 900
    scan = Volume.from_array(array, (0.8, 0.8, 0.8), modality="ct")
    model = _model(Bands((0.5,)), "ball", spacing=(1.5, 1.5, 1.5))
    result = segment(model, scan, overlap=0, uncertainty=True)
    assert result.spread is not None
    assert result.uncertainty is not None
    assert result.uncertainty.array.max() > 0.5
    assert result.spread.array.max() < 0.01


def test_uncertainty_of_yes_or_no_questions_is_that_of_the_most_uncertain() -> None:
    result = segment(_model(Fixed(8.0, 0.0, -8.0), "a", "b", "c", activation="sigmoid"), _scan(), uncertainty=True)
    assert result.uncertainty is not None
    assert result.spread is not None
    np.testing.assert_allclose(result.uncertainty.array, 1, atol=0.004)
    np.testing.assert_allclose(result.spread.array, 0, atol=0.004)
    assert result.uncertainty.geometry == _scan().geometry
    assert segment(_tissue(), _scan()).uncertainty is None


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"spacing": (2.0, 2.0, 2.0)}, "preprocessing"),
        ({"values": (1, 5)}, "structures"),
        ({"patch_size": (8, 8, 8)}, "patch size"),
        ({"axis_codes": "RAS"}, "preprocessing"),
    ],
)
def test_models_that_were_trained_differently_are_no_ensemble(change: dict[str, Any], what: str) -> None:
    with pytest.raises(ModelError, match=f"differ in their {what}"):
        segment([_tissue(), _tissue(**change)], _scan())
    with pytest.raises(ModelError, match="no model"):
        segment([], _scan())


def test_several_channels_are_one_scan() -> None:
    class Sum(nn.Module):
        divisor = 4

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([torch.zeros_like(x[:, :1]), 1e4 * (x[:, :1] + x[:, 1:] - _unit(0) * 2)], dim=1)

    rng = np.random.default_rng(0)
    first, second = (
        Volume.from_array((rng.integers(-490, 490, (10, 14, 18)) * 2 + n).astype(np.int16), modality="ct")
        for n in (0, 1)
    )
    model = _model(Sum(), "lesion", in_channels=2, channels=("venous", "arterial"))
    result = segment(model, [first, second])
    np.testing.assert_array_equal(_map(result) == 1, first.array.astype(int) + second.array > 0)
    with pytest.raises(VolumeError, match=r"2 channel\(s\) \(venous, arterial\), and 1"):
        segment(model, first)
    moved = Volume(second.array, Geometry(second.shape, origin=(0.0, 0.0, 3.0)), source="other.nii")
    with pytest.raises(VolumeError, match=r"other\.nii: lies on another grid"):
        segment(model, [first, moved])


def test_memory_is_that_of_a_slab_and_not_of_all_structures() -> None:
    names = tuple(f"s{k}" for k in range(24))
    model = _model(Fixed(*np.linspace(0, 1, 25)), *names, patch_size=(8, 16, 16))
    scan = Volume.from_array(np.zeros((96, 48, 48), np.int16), modality="ct")
    segment(model, scan.with_array(scan.array))
    tracemalloc.start()
    segment(model, scan, overlap=0.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    everything = 25 * scan.array.size * 4
    slab, input_ = 25 * 8 * 48 * 48 * 4, 4 * scan.array.size
    assert peak < slab + input_ + 6 * scan.array.size + 2_000_000
    assert peak < everything / 3


def test_what_cannot_fit_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1000})())
    with pytest.raises(MemoryBudgetError, match=r"segmenting a scan .* needs about \d+ MB, and 0 MB are free"):
        segment(_tissue(), _scan())


def test_volumes_are_counted_on_the_scans_grid() -> None:
    scan = _scan(spacing=(0.7, 0.8, 2.5))
    result = segment(_tissue(values=(4, 260)), scan)
    expected = _tissue_of(scan.array)
    assert result.voxels == {"soft tissue": int((expected == 1).sum()), "bone": int((expected == 2).sum())}
    assert result.volumes_ml["bone"] == pytest.approx(result.voxels["bone"] * 0.7 * 0.8 * 2.5 / 1000)
    facts = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert [one["value"] for one in facts["structures"]] == [4, 260]
    assert _map(result).dtype == np.uint16
    assert set(np.unique(_map(result))) == {0, 4, 260}


def test_structures_that_are_nowhere_are_said() -> None:
    result = segment(_model(Bands((0.2, 2.0)), "soft", "gold"), _scan())
    assert "Not found in this scan: gold." in result.notes
    assert "read with care" in result.notes
    assert result.voxels["gold"] == 0


def test_a_scan_far_from_the_training_scans_is_remarked_on() -> None:
    data = {
        "spacing_range": [[0.6, 0.6, 0.8], [0.9, 0.9, 1.5]],
        "percentiles": [[[-1024, -1000], [-800, 0], [300, 900]]],
    }
    scan = Volume.from_array(np.full((12, 16, 16), 3000, np.int16), (0.7, 0.7, 5.0), modality="ct")
    said = " ".join(segment(_tissue(data=data), scan).notes)
    assert "5 mm along z (training: 0.8 to 1.5)" in said
    assert "along x" not in said
    assert "percentile 50 is 3000 HU (training: -800 to 0)" in said
    near = Volume.from_array(np.random.default_rng(0).integers(-1000, 500, (12, 16, 16)), (0.7, 0.7, 1.0))
    assert "training" not in " ".join(segment(_tissue(data=data), near).notes)
    odd = segment(_tissue(data={"percentiles": "high"}), near)
    assert any("data.percentiles in an unknown form" in note for note in odd.notes)


def test_the_wrong_modality_is_said() -> None:
    array = np.random.default_rng(0).gamma(2, 300, (12, 16, 16)).astype(np.float32)
    assert any("looks like MR" in note for note in segment(_tissue(), Volume.from_array(array)).notes)


def test_progress_and_stop_are_asked() -> None:
    seen: list[tuple[int, int]] = []
    result = segment(_tissue(), _scan(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (result.windows, result.windows)
    with pytest.raises(Stopped):
        segment(_tissue(), _scan(), stop=lambda: len(seen) > 3)


def test_the_model_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.Dropout(0.5), nn.Conv3d(4, 3, 1))
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, second = (_map(segment(_model(network, "a", "b"), _scan())) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_network_that_returns_nonsense_is_named(value: float, activation: Literal["softmax", "sigmoid"]) -> None:
    names = ("a", "b") if activation == "softmax" else ("a", "b", "c")
    with pytest.raises(ModelError, match="not finite"):
        segment(_model(Fixed(0.0, value, 1.0), *names, activation=activation), _scan())


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"task": "restoration"}, "trained for restoration"),
        ({"preprocessing": None}, "preprocessing"),
        ({"activation": "none"}, "none"),
        ({"structures": ()}, "0 structures"),
        ({"network": UNet3DSettings(out_channels=7)}, "7 channels out"),
        ({"network": UNet3DSettings(out_channels=3, dims=2)}, "2D"),
        ({"channels": ("t1", "t2")}, "names 2 channels"),
        (
            {"structures": (LabelEntry(name="a", value=1), LabelEntry(name="b", value=1))},
            "same value",
        ),
    ],
)
def test_models_that_cannot_segment_are_refused(card: dict[str, Any], message: str) -> None:
    model = _tissue()
    other = Model(model.network, model.card.model_copy(update=card), model.path)
    with pytest.raises(ModelError, match=message):
        segment(other, _scan())


def test_batches_are_refused_under_batch_statistics() -> None:
    model = _tissue(network=UNet3DSettings(width=2, out_channels=3, norm="batch_statistics"))
    with pytest.raises(SettingsError, match="batch_size = 2"):
        segment(model, _scan(), batch_size=2)
    np.testing.assert_array_equal(_map(segment(_tissue(), _scan(), batch_size=3)), _tissue_of(_scan().array))
