"""The restoration task: pure draws, baselines that are what they say, and a warning when a network goes flat."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genesis_core.corruptions.recipe import Recipe
from genesis_core.proxy.restoration import RestorationTask
from genesis_core.randomness import stream, uniforms
from genesis_core.sampling.sampler import SubVolume

SHAPE = (8, 16, 16)


class Fields:
    """Stands in for a sampler: smooth fields, a pure function of (stream, step, index)."""

    notes: tuple[str, ...] = ("one scan is padded",)

    def __init__(self, *, first_is_air: bool = False) -> None:
        self.first_is_air = first_is_air

    def sub_volume(self, stream_name: str, step: int, index: int) -> SubVolume:
        waves = uniforms(stream(1, stream_name, step, index), 3)
        z, y, x = np.meshgrid(*(np.linspace(0, 6, size) for size in SHAPE), indexing="ij")
        field = 0.5 + 0.4 * np.sin(waves[0] * z + 3 * waves[1] * y + 3 * waves[2] * x)
        if self.first_is_air and index == 0:
            field[...] = 0
        return SubVolume(field.astype(np.float32), 0, "scan_0", (0, 0, 0), 1, index == 0, ())


class Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.level.expand_as(x)


class NearlyConstant(Constant):
    """Lets a trace of its input through."""

    def forward(self, x: Tensor) -> Tensor:
        return self.level + 0.01 * x


class Perfect(Constant):
    """Returns the logit of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.logit(x.clamp(1e-6, 1 - 1e-6)) + 0 * self.level


def task(
    recipe: Recipe | None = None,
    loss: str = "mse",
    validation: bool = True,
    loss_region: str = "everywhere",
    fields: Fields | None = None,
    remedies: tuple[str, ...] = (),
) -> RestorationTask:
    fields = fields or Fields()
    return RestorationTask(
        recipe or Recipe.genesis(),
        fields,  # type: ignore[arg-type]
        fields if validation else None,  # type: ignore[arg-type]
        seed=3,
        loss=loss,  # type: ignore[arg-type]
        loss_region=loss_region,  # type: ignore[arg-type]
        validation_samples=6,
        batch_size=4,
        remedies=remedies,
    )


def test_a_sample_does_not_depend_on_its_batch() -> None:
    whole = task().sample(5, 7, range(4))
    for index in range(4):
        alone = task().sample(5, 7, [index])
        torch.testing.assert_close(alone.inputs[0], whole.inputs[index], rtol=0, atol=0)
        torch.testing.assert_close(alone.targets[0], whole.targets[index], rtol=0, atol=0)
    assert not torch.equal(whole.inputs, whole.targets)
    assert (whole.drawn, whole.fallbacks) == (4, 1)
    assert whole.inputs.shape == (4, 1, *SHAPE)


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_in_painting_is_judged_where_voxels_were_replaced_and_nowhere_else(loss: str) -> None:
    recipe = Recipe.read("inpainting")
    inpainting = task(recipe, loss, loss_region="replaced")
    batch = inpainting.sample(5, 7, range(4))
    assert batch.weights is not None
    draws = [recipe.draw(SHAPE, stream(5, "corrupt", "train", 7, index)) for index in range(4)]
    assert np.array_equal(batch.weights[:, 0].numpy() == 1, np.stack([draw.mask() for draw in draws]))
    assert torch.equal(batch.inputs[batch.weights == 0], batch.targets[batch.weights == 0])
    network = Constant()
    value = inpainting.loss(network, batch)[0]
    error = (0.5 - batch.targets[batch.weights == 1]).numpy()
    assert float(value.detach()) == pytest.approx(np.mean(error**2 if loss == "mse" else np.abs(error)), rel=1e-5)
    figures = inpainting.validate(Perfect())
    assert figures["loss"] == pytest.approx(figures["return_input"], rel=1e-4)
    # A sample alone weighs its own voxels.
    assert torch.equal(batch.only(2).weights, batch.weights[2:3])  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", ["mse", "mae", "ssim"])
def test_a_network_that_returns_its_input_has_the_baseline_loss(loss: str) -> None:
    figures = task(loss=loss).validate(Perfect())
    assert next(iter(figures)) == "loss"
    assert figures["loss"] == pytest.approx(figures["return_input"], rel=1e-4)
    assert figures["return_mean"] > 0


def test_without_corruption_a_perfect_network_has_no_loss_and_full_spread() -> None:
    figures = task(Recipe(steps=())).validate(Perfect())
    assert figures["loss"] < 1e-9
    assert figures["return_input"] == 0
    assert figures["spread"] == pytest.approx(1, abs=1e-3)


def test_a_flat_network_is_called_collapsed_with_its_figures_and_told_what_helps() -> None:
    flat = task(remedies=("a slower start", "another norm"))
    figures = flat.validate(Constant())
    assert figures["spread"] < 1e-6
    advice = flat.advise(figures)
    assert advice is not None
    assert "collapsed" in advice
    assert f"its loss, {figures['loss']:.4f}, is about that of returning" in advice
    assert f"mean, {figures['return_mean']:.4f}. What may help: a slower start; another norm" in advice
    assert flat.advise(flat.validate(Perfect())) is None


def test_a_crop_of_air_does_not_hide_a_flat_network() -> None:
    flat = task(fields=Fields(first_is_air=True))
    figures = flat.validate(NearlyConstant())
    flat.advise(figures)
    assert "is worse than that of returning" in (flat.advise(figures) or "")
    assert flat.advise(flat.validate(Perfect())) is None


def test_a_network_that_has_hardly_learnt_yet_is_not_called_collapsed() -> None:
    young = task()
    far = {"loss": 0.103, "return_input": 0.09, "return_mean": 0.042, "spread": 0.02}
    assert young.advise(far) is None
    assert young.advise({**far, "spread": 0.3}) is None
    # Flat again after it was not: the first time once more.
    assert young.advise(far) is None
    assert young.advise(far) is not None


def test_without_held_out_scans_the_figure_says_so() -> None:
    alone = task(validation=False)
    assert not alone.held_out
    assert next(iter(alone.validate(Constant()))) == "train_loss"


def test_previews_are_small_arrays_by_name() -> None:
    arrays = task().preview(Constant())
    assert set(arrays) == {"original", "corrupted", "restored"}
    assert all(array.shape == (4, *SHAPE) and array.dtype == np.float16 for array in arrays.values())
    assert task().notes == ("one scan is padded",)
