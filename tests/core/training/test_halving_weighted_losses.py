"""Where memory is too small for a batch whose voxels have weights, its halves are the same step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from test_out_of_memory import CPU, HungryTask
from torch import Tensor, nn

from genesis_core.proxy.restoration_losses import restoration_loss
from genesis_core.task import Batch
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.stepping import Stepper


class WeightedTask(HungryTask):
    """The first sample has few voxels that count, the second none, the others all."""

    def sample(self, seed: int, step: int, indices: Sequence[int]) -> Batch:
        batch = super().sample(seed, step, indices)
        weights = torch.ones_like(batch.inputs)
        weights[0, ..., 1:], weights[1] = 0, 0
        return Batch(batch.inputs, batch.targets, batch.origins, weights=weights)

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        super().loss(network, batch)
        return restoration_loss(network(batch.inputs), batch.targets, "mse", batch.weights), {}


def gradient(most: int) -> tuple[float, list[Tensor]]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.Conv3d(2, 1, 1))
    task = WeightedTask(most)
    settings = TrainingSettings(batch_size=4, precision="float32", clip_norm=None, on_out_of_memory="halve")
    stepper = Stepper(task, network, settings, CPU)
    done = stepper.step([task.sample(1, 0, range(4))], 0, 1)
    return done.loss, [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


def test_pieces_count_by_the_weights_of_their_voxels() -> None:
    loss, whole = gradient(4)
    for most in (2, 1):
        again, halved = gradient(most)
        assert abs(again - loss) < 1e-6 * loss
        for one, other in zip(whole, halved, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-7)
