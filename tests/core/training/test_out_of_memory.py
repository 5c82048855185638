"""Too little memory: advice with the numbers of the run, or the same step in smaller pieces from there on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_training_loop import DoubleTask, after, train, weights
from torch import Tensor, nn

from genesis_core.errors import TrainingError
from genesis_core.networks import UNet3DSettings, create_network
from genesis_core.task import Batch
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.stepping import Stepper

CPU = torch.device("cpu")


class HungryTask(DoubleTask):
    """As DoubleTask; more than `most` samples at a time are too many, once the network has seen them."""

    def __init__(self, most: int, error: Exception | None = None) -> None:
        super().__init__()
        self.most = most
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.batches: list[int] = []

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        value = super().loss(network, batch)
        if torch.is_grad_enabled():
            self.batches.append(len(batch.origins))
            if len(batch.origins) > self.most:
                raise self.error
        return value


def events_of(run: RunFolder, kind: str) -> list[dict[str, Any]]:
    return [event for event in run.events() if event["event"] == kind]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_too_little_memory_names_what_to_lower_with_the_numbers_of_the_run(error: Exception) -> None:
    network = create_network(UNet3DSettings(width=2, depth=2))
    task = HungryTask(3, error)
    stepper = Stepper(task, network, TrainingSettings(batch_size=4, precision="float32"), CPU)
    with pytest.raises(TrainingError) as caught:
        stepper.step([task.sample(1, 0, range(4))], 0, 10)
    message = str(caught.value)
    assert "GiB) for 4 sub-volumes at a time of 4x4x4 voxels, at width 2, in float32" in message
    ways = ("activation_checkpointing", "precision=bfloat16", "--batch-size 2 with training.accumulate=2", "--width")
    assert sorted(ways, key=message.index) == list(ways)


def test_a_halved_batch_is_the_same_step_for_the_rest_of_the_run(tmp_path: Path) -> None:
    task = HungryTask(2)
    _, halved, run = train(tmp_path / "halved", task, 6, on_out_of_memory="halve")
    _, parts, _ = train(tmp_path / "parts", DoubleTask(), 6, batch_size=2, accumulate=2)
    # Same samples, same sums: not only close.
    assert weights(halved) == weights(parts)
    assert task.batches == [4, *[2] * 12]
    (said,) = [event for event in events_of(run, "warning") if "not enough memory" in event["message"]]
    assert said["most_samples"] == 2
    assert "the same 4 are added for each step" in said["message"]


def test_a_resumed_run_keeps_to_what_fitted(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", HungryTask(1), on_out_of_memory="halve")[1]
    train(tmp_path / "parts", HungryTask(1), stop=after(5), on_out_of_memory="halve")
    task = HungryTask(1)
    _, parts, run = train(tmp_path / "parts", task, on_out_of_memory="halve", resume=True)
    assert set(task.batches) == {1}
    assert weights(parts) == weights(whole)
    # 4, 2, 1: said twice before the stop, never after it.
    assert len([event for event in events_of(run, "warning") if "not enough memory" in event["message"]]) == 2


def test_an_odd_batch_is_halved_without_losing_weight() -> None:
    gradients = []
    for most in (8, 2):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 1, 3, padding=1))
        task = HungryTask(most)
        settings = TrainingSettings(batch_size=5, clip_norm=None, precision="float32", on_out_of_memory="halve")
        Stepper(task, network, settings, CPU).step([task.sample(1, 0, range(5))], 0, 10)
        gradients.append([parameter.grad for parameter in network.parameters()])
    assert task.batches == [5, 3, 2, 2, 1]
    torch.testing.assert_close(gradients[1], gradients[0])


def test_a_step_that_is_done_again_counts_once_in_running_statistics() -> None:
    found = []
    for task, batch in ((HungryTask(2), 4), (DoubleTask(), 2)):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.BatchNorm3d(2), nn.Conv3d(2, 1, 1))
        stepper = Stepper(task, network, TrainingSettings(batch_size=4, on_out_of_memory="halve"), CPU)
        stepper.step([task.sample(1, 0, range(first, first + batch)) for first in range(0, 4, batch)], 0, 10)
        found.append(network.state_dict())
    assert int(found[0]["1.num_batches_tracked"]) == 2
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_where_not_even_one_sub_volume_fits_the_run_ends_with_advice(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="for 1 sub-volume at a time") as caught:
        train(tmp_path / "run", HungryTask(0), on_out_of_memory="halve")
    assert "batch-size" not in str(caught.value)
    assert RunFolder(tmp_path / "run").status().state == "failed"


def test_batch_norms_that_see_fewer_are_named() -> None:
    network = create_network(UNet3DSettings(width=2, depth=2, norm="batch_statistics"))
    task = HungryTask(2)
    stepper = Stepper(task, network, TrainingSettings(batch_size=4, on_out_of_memory="halve"), CPU)
    stepper.step([task.sample(1, 0, range(4))], 0, 10)
    (remark,) = stepper.take_remarks()
    assert "statistics of 2 instead of 4 sub-volumes" in remark["message"]
