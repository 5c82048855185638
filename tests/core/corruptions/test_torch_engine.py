"""The torch engine against the compiled one: the same bits, but for the order of voxels inside shuffled windows."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from math import factorial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genesis_core.corruptions.corruption import Corruption, Decided, Planes, Shape3
from genesis_core.corruptions.nonlinear import Curve, Point
from genesis_core.corruptions.recipe import Draw, Recipe
from genesis_core.corruptions.registry import CORRUPTIONS
from genesis_core.corruptions.torch_engine import plan as planning
from genesis_core.corruptions.torch_engine import shuffling
from genesis_core.corruptions.torch_engine.curves import leaf_table
from genesis_core.corruptions.torch_engine.hashing import outputs
from genesis_core.corruptions.torch_engine.plan import missing_kinds, prepare
from genesis_core.errors import RecipeError
from genesis_core.randomness import bits

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
# Every corruption but local shuffling, with what changes how it is computed.
EQUAL: list[dict[str, Any]] = [
    {"kind": "nonlinear"},
    {"kind": "inner_cutout", "max_boxes": 60, "another_box": 1.0, "min_size": 0.0, "margin": 0},
    {"kind": "inner_cutout", "max_boxes": 60, "another_box": 1.0, "fill": "constant", "margin": 1},
    {"kind": "inner_cutout", "max_boxes": 0, "fill": "constant"},
    {"kind": "inner_cutout", "max_masked": 0.3, "max_boxes": 9},
    {"kind": "outer_cutout"},
    {"kind": "outer_cutout", "fill": "constant", "max_boxes": 30, "another_box": 1.0, "min_cut": 0.6, "max_cut": 0.9},
    {"kind": "gaussian_noise", "max_sigma": 0.4},
    {"kind": "patch_shuffle", "swaps": 4},
]
shapes = st.lists(st.integers(1, 26), min_size=2, max_size=3).map(tuple)
seeds = st.integers(0, 2**64 - 1)
unit = st.floats(0.0, 1.0)


def batch(shape: tuple[int, ...], samples: int, channels: int, seed: int = 0) -> NDArray[np.float32]:
    x = np.random.default_rng(seed).random((samples, channels, *shape), dtype=np.float32)
    # Where tables end, and the zero that differs in its sign.
    x.reshape(-1)[::7] = 1.0
    x.reshape(-1)[::11] = 0.0
    x.reshape(-1)[::13] = -0.0
    return x


def in_torch(x: NDArray[np.float32], draws: list[Draw]) -> NDArray[np.float32]:
    given = torch.from_numpy(x.copy())
    result = prepare(x, draws).apply(given).numpy()
    assert np.array_equal(given.numpy(), x)
    return result


def same_bits(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return one.shape == other.shape and np.array_equal(one.view(np.uint32), other.view(np.uint32))


def test_every_corruption_has_a_torch_version() -> None:
    assert {kind for kind, one in CORRUPTIONS.items() if one().on_device() is None} == set()
    assert {step["kind"] for step in EQUAL} | {"local_shuffle"} == set(CORRUPTIONS)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(EQUAL), min_size=1, max_size=3), shapes, st.lists(seeds, min_size=1, max_size=4), unit)
def test_all_but_shuffling_is_equal_bit_for_bit(
    steps: list[dict[str, Any]], shape: tuple[int, ...], many: list[int], probability: float
) -> None:
    # The first step is certain; the others make samples of a batch differ in what is done to them.
    recipe = Recipe.from_dict({"steps": [steps[0], *({**step, "probability": probability} for step in steps[1:])]})
    draws = [recipe.draw(shape, seed) for seed in many]
    x = batch(shape, len(many), 1 + many[0] % 3, seed=many[0] % 100)
    assert same_bits(in_torch(x, draws), recipe.apply(x, draws))


@settings(deadline=None, max_examples=60)
@given(unit, unit, unit, unit, st.booleans())
def test_a_curve_is_the_compiled_engine_s_at_and_beside_every_edge_of_its_table(
    x1: float, y1: float, x2: float, y2: float, decreasing: bool
) -> None:
    curve = Curve(first=Point(x=x1, y=y1), second=Point(x=x2, y=y2), decreasing=decreasing)
    edges = leaf_table(curve)[0]
    assert np.all(np.diff(edges) >= 0)
    values = np.concatenate(
        (edges, np.nextafter(edges, np.float32(0)), np.nextafter(edges, np.float32(1)), np.linspace(0, 1, 999))
    ).astype(np.float32)
    recipe = Recipe.read("nonlinear")
    plain = recipe.draw((1, values.size), 0)
    draw = Draw(plain.shape, 0, (type(plain.steps[0])(0, plain.steps[0].corruption, 0, curve),))
    assert same_bits(in_torch(values.reshape(1, 1, 1, -1), [draw])[0, 0, 0], curve(values))


def test_curves_as_steep_as_they_come_are_among_those_compared() -> None:
    levels = [
        np.log2(leaf_table(Curve(first=Point(x=x, y=1 - x), second=Point(x=x, y=1 - x), decreasing=False))[1] / 1024)
        for x in (0.0, 1.0, 0.5)
    ]
    assert [level.max() > 20 for level in levels] == [True, True, False]


@settings(deadline=None, max_examples=60)
@given(shapes, seeds, st.integers(1, 60), st.floats(0.05, 0.9), st.sampled_from([40, 1 << 22]))
def test_a_shuffled_voxel_holds_an_original_of_its_last_window_and_others_stay(
    shape: tuple[int, ...], seed: int, count: int, largest: float, painted: int
) -> None:
    recipe = Recipe.from_dict({"steps": [{"kind": "local_shuffle", "windows": count, "max_window": largest}]})
    draws = [recipe.draw(shape, seed), recipe.draw(shape, seed ^ 1)]
    size = int(np.prod(shape))
    x = np.tile((np.arange(size) / 2**15).astype(np.float32).reshape(shape), (2, 2, *(1,) * len(shape)))
    with pytest.MonkeyPatch.context() as patch:
        # Windows painted in many ranges are the same as in one.
        patch.setattr(shuffling, "PAINTED", painted)
        y = in_torch(x, draws)
    assert np.array_equal(y[:, 0], y[:, 1])
    for index, draw in enumerate(draws):
        before, after = x[index, 0].reshape(draw.shape3), y[index, 0].reshape(draw.shape3)
        last = np.full(draw.shape3, -1)
        windows = [tuple(slice(s, s + n) for s, n in zip(*window, strict=True)) for window in draw.windows()]
        for number, window in enumerate(windows):
            last[window] = number
        assert np.array_equal(before[last < 0], after[last < 0])
        for number, window in enumerate(windows):
            mine = after[last == number]
            assert np.isin(mine, before[window]).all()
            assert len(np.unique(mine)) == len(mine)


@settings(deadline=None, max_examples=40)
@given(shapes, seeds)
def test_one_window_alone_is_permuted(shape: tuple[int, ...], seed: int) -> None:
    recipe = Recipe.from_dict({"steps": [{"kind": "local_shuffle", "windows": 1, "max_window": 1.0}]})
    x = batch(shape, 1, 1)
    y = in_torch(x, [recipe.draw(shape, seed)])
    assert np.array_equal(np.sort(x, axis=None), np.sort(y, axis=None))


def table_of(voxels: int, windows: int, key: int) -> torch.Tensor:
    window = torch.tensor([0, 0, 0, 1, 1, voxels], dtype=torch.int32)[:, None].repeat(1, windows)
    power = torch.full((windows,), voxels.bit_length() - 1, dtype=torch.int32)
    return shuffling.window_table(window, power, torch.tensor([key]))


@pytest.mark.parametrize("voxels", [1, 2, 3, 7, 8, 60, 729, 5000])
def test_the_order_inside_a_window_is_a_bijection(voxels: int) -> None:
    windows = 64
    number = torch.arange(windows, dtype=torch.int32).repeat_interleave(voxels)
    place = torch.arange(voxels, dtype=torch.int32).repeat(windows)
    source = shuffling.permute(place, table_of(voxels, windows, voxels), number).view(windows, voxels)
    assert torch.equal(source.sort(1).values, torch.arange(voxels, dtype=torch.int32).expand(windows, -1))


@pytest.mark.parametrize("voxels", [2, 3, 4, 5])
def test_every_order_of_few_voxels_is_equally_likely(voxels: int) -> None:
    windows = 100_000
    number = torch.arange(windows, dtype=torch.int32).repeat_interleave(voxels)
    place = torch.arange(voxels, dtype=torch.int32).repeat(windows)
    source = shuffling.permute(place, table_of(voxels, windows, 5), number).view(windows, voxels)
    code = (source.long() * voxels ** torch.arange(voxels)).sum(1)
    counts = code.unique(return_counts=True)[1].double()
    expected = windows / factorial(voxels)
    assert len(counts) == factorial(voxels)
    # A sum of squares of that many normal numbers, five standard deviations up.
    freedom = factorial(voxels) - 1
    assert float(((counts - expected) ** 2 / expected).sum()) < freedom + 5 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("name", ["genesis", "paper"])
@pytest.mark.parametrize("shape", [(12, 30, 21), (40, 33)])
def test_a_whole_recipe_goes_on_from_the_shuffled_voxels_with_the_same_bits(name: str, shape: tuple[int, ...]) -> None:
    recipe = Recipe.read(name)
    draws = [recipe.draw(shape, seed) for seed in range(12)]
    x = batch(shape, 12, 2)
    parts = [
        [Draw(draw.shape, draw.seed, tuple(s for s in draw.steps if (s.corruption.kind == "local_shuffle") is shuffle))]
        for draw in draws
        for shuffle in (True, False)
    ]
    shuffled = in_torch(x, [part[0] for part in parts[0::2]])
    expected = recipe.apply(shuffled, [part[0] for part in parts[1::2]])
    whole = in_torch(x, draws)
    assert same_bits(whole, expected)
    compiled = recipe.apply(x, draws)
    plain = [index for index, draw in enumerate(draws) if "local_shuffle" not in draw.applied]
    assert 0 < len(plain) < len(draws)
    assert same_bits(whole[plain], compiled[plain])
    assert not np.array_equal(whole, compiled)


@pytest.mark.parametrize("elements", [1, 5000, 1 << 23])
def test_a_sample_is_the_same_alone_and_however_a_batch_is_cut(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, shape = Recipe.genesis(), (9, 20, 31)
    draws = [recipe.draw(shape, seed) for seed in range(6)]
    x = batch(shape, 6, 2)
    whole = in_torch(x, draws)
    monkeypatch.setattr(planning, "ELEMENTS", elements)
    plan = prepare(x, draws)
    assert same_bits(plan.apply(torch.from_numpy(x)).numpy(), whole)
    for index in range(6):
        alone = plan.only(index).apply(torch.from_numpy(x[index : index + 1]))
        assert same_bits(alone.numpy()[0], whole[index])


def test_layout_and_autocast_change_nothing() -> None:
    recipe, shape = Recipe.genesis(), (8, 20, 16)
    draws = [recipe.draw(shape, seed) for seed in range(4)]
    x = batch(shape, 4, 3)
    expected = in_torch(x, draws)
    laid_out = torch.from_numpy(x).contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        result = prepare(x, draws).apply(laid_out)
    assert result.dtype == torch.float32
    assert same_bits(result.contiguous().numpy(), expected)


@pytest.mark.parametrize("name", ["genesis", "paper", "denoising", "patch_shuffling", "inpainting"])
def test_nothing_is_asked_of_the_device(name: str) -> None:
    # Arrays on torch's device "meta" have no values: whoever waits for one, or takes a shape from it, fails.
    recipe, shape = Recipe.read(name), (16, 24, 20)
    x = batch(shape, 8, 1)
    plan = prepare(x, [recipe.draw(shape, seed) for seed in range(8)]).to(torch.device("meta"))
    assert plan.apply(torch.from_numpy(x).to("meta")).shape == x.shape


def test_launches_and_memory_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    counting = importlib.import_module("launch_counting")
    recipe, shape = Recipe.genesis(), (32, 64, 64)
    x = batch(shape, 8, 1)
    plan = prepare(x, [recipe.draw(shape, seed) for seed in range(8)])
    with counting.Counting() as counted:
        plan.apply(torch.from_numpy(x))
    assert counted.launches < 300
    assert counted.peak < 16 * x.nbytes
    assert not {"_local_scalar_dense", "nonzero", "is_nonzero", "unique"} & set(counted.operations)


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton comes with torch's builds for GPUs")
def test_thetriton_kernels_find_what_the_torch_operations_find() -> None:
    # In Triton's interpreter, which has to be asked for before Triton is loaded and needs no GPU.
    code = """
import torch
from genesis_core.corruptions.torch_engine import shuffling, triton_shuffling
assert triton_shuffling.proven(torch.device("cpu"))
triton_shuffling.last_windows = lambda *arguments: shuffling.last_windows(*arguments).clamp(max=60)
assert not triton_shuffling.proven(torch.device("cpu"))
"""
    command = [sys.executable, "-W", "always", "-c", code]
    done = subprocess.run(command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "find other voxels" in done.stderr


def test_without_a_gpu_no_kernels_are_asked_for() -> None:
    assert shuffling.triton_kernels(torch.device("cpu")) is None


@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(1, 9))
def test_hashes_are_those_of_the_documented_streams(key: int, count: int) -> None:
    signed = np.array([key], np.uint64).view(np.int64)
    found = outputs(torch.from_numpy(signed), count)[0].numpy().view(np.uint64)
    assert found.tolist() == [bits(key, counter) for counter in range(count)]


def test_what_does_not_fit_is_refused_before_anything_travels() -> None:
    recipe = Recipe.genesis()
    draw = recipe.draw((4, 5), 1)
    with pytest.raises(RecipeError, match=r"values must lie in \[0, 1\]"):
        prepare(np.full((1, 1, 4, 5), 1.5, np.float32), [draw])
    with pytest.raises(RecipeError, match="draw was made for"):
        prepare(np.zeros((1, 1, 4, 6), np.float32), [draw])
    with pytest.raises(RecipeError, match="1 draws for a batch of 2"):
        prepare(np.zeros((2, 1, 4, 5), np.float32), [draw])
    painted = Recipe.read("inpainting").draw((20, 20), 3)
    values = painted.to_dict()
    values["steps"][0]["decided"]["values"] = [0.5]
    with pytest.raises(RecipeError, match="needed to fill with"):
        prepare(np.zeros((1, 1, 20, 20), np.float32), [Draw.from_dict(values)])


class Mirror(Corruption):
    """A toy without a torch version: mirror the last axis."""

    kind: Literal["mirror"] = "mirror"
    label: ClassVar[str] = "mirroring"

    def draw(self, shape: Shape3, key: int) -> Decided:
        return Decided()

    def apply(
        self, source: NDArray[np.float32], out: NDArray[np.float32], decided: Any, key: int, planes: Planes
    ) -> None:
        out[...] = source[..., ::-1].copy()

    def describe(self, decided: Any, shape: Shape3) -> str:
        return self.label


def test_a_corruption_without_a_torch_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CORRUPTIONS, "mirror", Mirror)
    recipe = Recipe.from_dict({"steps": [{"kind": "nonlinear"}, {"one_of": {"of": [{"kind": "mirror"}]}}]})
    assert missing_kinds(recipe) == ("mirror",)
    with pytest.raises(RecipeError, match="mirror: only the compiled engine"):
        prepare(np.zeros((1, 1, 4, 4), np.float32), [recipe.draw((4, 4), 1)])


def test_the_benchmark_for_gpus_runs_and_writes_its_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    main = importlib.import_module("bench_gpu").main
    text = main(["--device", "cpu", "--quick", "--out", str(tmp_path / "gpu.md")])
    assert (tmp_path / "gpu.md").read_text() == text + "\n"
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[1:]] == [
        "| float32, as published",
        "| float32, channels last",
        "| float32, recomputing",
        "| bfloat16",
        "| bfloat16, channels last",
        "| bfloat16, channels last, recomputing",
    ]
    assert all(float(row[3]) > 0 for row in rows[1:])
    assert "launches" in text
