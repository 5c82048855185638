"""The proxy task of Models Genesis: restore a sub-volume from its corrupted copy.

Source: Zhou et al. 2021, sec. 2.1 and 3.1: mean squared error over the WHOLE sub-volume, sigmoid output in [0, 1].
A constant prediction already beats returning the input by far (4 to 37 times in published-style crops), which is why a
collapsed network looks converged; so every validation reports both baselines and the spread of the predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from genesis_core.corruptions.recipe import Recipe
from genesis_core.proxy.restoration_losses import Loss, restoration_loss
from genesis_core.randomness import stream
from genesis_core.sampling.sampler import Sampler
from genesis_core.task import Batch

if TYPE_CHECKING:
    from torch import Tensor, nn

Region = Literal["everywhere", "replaced"]

# Below this share of the targets' own standard deviation the predictions count as flat. A network that has only learnt
# the mean shows under 0.02; a restoring one over 0.5 after a few hundred steps (both measured on phantoms).
FLAT_SPREAD = 0.1
# A flat answer scores about what the mean does; one whose loss is further above it may be that of a network which has
# hardly learnt yet (1.4 to 2.5 times the mean's, on phantoms), and is told of when the next validation is flat too.
_NEAR_THE_MEAN = 1.25
_PREVIEW_SAMPLES = 4


class RestorationTask:
    """Draw sub-volumes, corrupt them by `recipe`, and score how well a network restores them.

    training, validation: samplers over disjoint scans; without `validation` the fixed set is drawn from the training
    scans and `held_out` is False. loss: "mse" (published), "mae" or "ssim". loss_region: "everywhere" (published), or
    only where a cut-out "replaced" the voxels: in-painting. validation_samples: size of the fixed set.
    batch_size: samples per forward in validation. corrupt_on: "cpu", by the compiled engine, while batches are drawn;
    or "device", by the torch engine, when their loss is asked for (`sample` then raises RecipeError for a recipe it
    does not know). The fixed set is corrupted by the compiled engine either way, so that figures of both compare.
    remedies: what may help a network whose output has become flat. notes: what the samplers have to say to the user.
    """

    transfers: Literal["encoder", "encoder+decoder"] = "encoder+decoder"

    def __init__(
        self,
        recipe: Recipe,
        training: Sampler,
        validation: Sampler | None,
        *,
        seed: int,
        loss: Loss = "mse",
        loss_region: Region = "everywhere",
        validation_samples: int = 32,
        batch_size: int = 6,
        corrupt_on: Literal["cpu", "device"] = "cpu",
        remedies: Sequence[str] = (),
    ) -> None:
        self.held_out = validation is not None
        self.notes = tuple(dict.fromkeys(training.notes + (validation.notes if validation else ())))
        self._recipe = recipe
        self._sampler = training
        self._loss = loss
        self._region = loss_region
        self._batch_size = batch_size
        self._on_device = corrupt_on == "device"
        self._remedies = tuple(remedies)
        self._flat_in_a_row = 0
        # The fixed set is drawn once: a validation is comparable with the next only on the same corruptions.
        self._validation = self._draw(validation or training, seed, "validation", 0, range(validation_samples))
        self.validation_fallbacks = self._validation.fallbacks
        self._baselines = _baselines(self._validation, loss)

    def sample(self, seed: int, step: int, indices: Sequence[int]) -> Batch:
        """Return corrupted inputs and original targets, (batch, 1, z, y, x) in [0, 1].

        Where the device corrupts, inputs are the targets themselves, and the batch says what is to be done to them.
        """
        return self._draw(self._sampler, seed, "train", step, indices, on_device=self._on_device)

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Return the loss over the batch: over every voxel, or those that were replaced."""
        inputs = batch.inputs if batch.corruption is None else batch.corruption.apply(batch.inputs)
        return restoration_loss(_restore(network, inputs), batch.targets, self._loss, batch.weights), {}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Return loss, both baselines and the spread on the fixed set.

        `return_input`, `return_mean`: the loss of returning the corrupted input, and of returning each target's own
        mean. `spread`: standard deviation of the predictions within a sub-volume, over that of the targets, each in the
        mean over the set: a constant target has none to compare with.
        """
        losses: list[float] = []
        deviations: list[float] = []
        own: list[float] = []
        for first, restored in self._restored(network, len(self._validation.origins)):
            for index, one in enumerate(restored, first):
                losses.append(_loss_of(one.cpu(), self._validation.only(index), self._loss))
            targets = self._validation.targets[first : first + len(restored)].to(restored.device)
            axes = tuple(range(1, targets.ndim))
            deviations += restored.std(axes).tolist()
            own += targets.std(axes).tolist()
        spread = float(np.mean(deviations)) / max(float(np.mean(own)), 1e-6)
        name = "loss" if self.held_out else "train_loss"
        return {name: float(np.mean(losses)), **self._baselines, "spread": spread}

    def preview(self, network: nn.Module) -> dict[str, NDArray[Any]]:
        """Return the first samples of the fixed set as float16: original, corrupted, restored, (sample, z, y, x)."""
        count = min(_PREVIEW_SAMPLES, len(self._validation.origins))
        restored = [part.cpu().numpy() for _, part in self._restored(network, count)]
        arrays = {
            "original": self._validation.targets[:count].numpy(),
            "corrupted": self._validation.inputs[:count].numpy(),
            "restored": np.concatenate(restored),
        }
        return {name: array[:, 0].astype(np.float16) for name, array in arrays.items()}

    def advise(self, figures: dict[str, float]) -> str | None:
        """Warn when the predictions have become flat: the published method's most reported failure."""
        if figures["spread"] >= FLAT_SPREAD:
            self._flat_in_a_row = 0
            return None
        self._flat_in_a_row += 1
        loss, mean = next(iter(figures.values())), figures["return_mean"]
        if loss <= _NEAR_THE_MEAN * mean:
            told = "about"
        elif self._flat_in_a_row > 1:
            told = "worse than"
        else:
            return None
        remedies = f". What may help: {'; '.join(self._remedies)}" if self._remedies else ""
        return (
            f"the network has collapsed to an almost constant output (spread {figures['spread']:.3f} of the targets'): "
            f"its loss, {loss:.4f}, is {told} that of returning each sub-volume's mean, {mean:.4f}{remedies}"
        )

    def _draw(
        self, sampler: Sampler, seed: int, name: str, step: int, indices: Sequence[int], *, on_device: bool = False
    ) -> Batch:
        import torch

        drawn = [sampler.sub_volume(name, step, index) for index in indices]
        targets = np.stack([sub_volume.array for sub_volume in drawn])[:, None]
        seeds = [stream(seed, "corrupt", name, step, index) for index in indices]
        origins = tuple(sub_volume.origin for sub_volume in drawn)
        fallbacks = sum(sub_volume.fallback for sub_volume in drawn)
        if self._region == "everywhere" and not on_device:
            inputs = torch.from_numpy(self._recipe(targets, seed=seeds))
            return Batch(inputs, torch.from_numpy(targets), origins, len(drawn), fallbacks)
        draws = [self._recipe.draw(targets.shape[2:], one) for one in seeds]
        weights = None
        if self._region == "replaced":
            weights = torch.from_numpy(np.stack([draw.mask() for draw in draws])[:, None].astype(np.float32))
        if not on_device:
            inputs = torch.from_numpy(self._recipe.apply(targets, draws))
            return Batch(inputs, torch.from_numpy(targets), origins, len(drawn), fallbacks, weights)
        from genesis_core.corruptions.torch_engine.plan import prepare

        plan, original = prepare(targets, draws), torch.from_numpy(targets)
        return Batch(original, original, origins, len(drawn), fallbacks, weights, plan)

    def _restored(self, network: nn.Module, count: int) -> Any:
        import torch

        device = next(network.parameters()).device
        with torch.no_grad():
            for first in range(0, count, self._batch_size):
                inputs = self._validation.inputs[first : min(first + self._batch_size, count)]
                yield first, _restore(network, inputs.to(device))


def _restore(network: nn.Module, inputs: Tensor) -> Tensor:
    restored: Tensor = network(inputs).float().sigmoid()
    return restored


def _loss_of(restored: Tensor, one: Batch, loss: Loss) -> float:
    return float(restoration_loss(restored[None], one.targets, loss, one.weights))


def _baselines(batch: Batch, loss: Loss) -> dict[str, float]:
    inputs, means = [], []
    for one in map(batch.only, range(len(batch.origins))):
        inputs.append(_loss_of(one.inputs[0], one, loss))
        means.append(_loss_of(one.targets.mean().expand_as(one.targets[0]), one, loss))
    return {"return_input": float(np.mean(inputs)), "return_mean": float(np.mean(means))}
