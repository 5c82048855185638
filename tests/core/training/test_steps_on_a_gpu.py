"""What only a GPU shows: real memory, the GPU's own clock, page-locked batches, kernels in 16 bits. Needs CUDA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from genesis_core.corruptions.recipe import Recipe
from genesis_core.corruptions.torch_engine.plan import prepare
from genesis_core.networks import UNet3DSettings, create_network
from genesis_core.task import Batch
from genesis_core.training.arithmetic import autocast
from genesis_core.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.stepping import Step, Stepper

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
GPU = torch.device("cuda", 0)


class NoiseTask:
    """Of a task only the loss."""

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        return functional.mse_loss(network(batch.inputs).float().sigmoid(), batch.targets), {}


def batch_of(count: int = 4, size: int = 32, seed: int = 0) -> Batch:
    x = torch.rand((count, 1, size, size, size), generator=torch.Generator().manual_seed(seed))
    draws = [Recipe.genesis().draw((size,) * 3, seed * count + index) for index in range(count)]
    return Batch(x, x, tuple(f"sample {index}" for index in range(count)), corruption=prepare(x, draws))


def stepper_of(width: int = 8, **settings: Any) -> Stepper:
    network = create_network(UNet3DSettings(width=width, norm="batch"), seed=0).to(GPU)
    task: Any = NoiseTask()
    values = {"batch_size": 4, "precision": "float32", "warmup": 0.0, **settings}
    return Stepper(task, network, TrainingSettings(**values), GPU)


def steps(stepper: Stepper, times: int, first: int = 0, **batch: Any) -> list[Step]:
    return [
        stepper.step(stepper.pin([batch_of(seed=step, **batch)]), step, 100) for step in range(first, first + times)
    ]


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_every_precision_and_layout_learns(precision: str, channels_last: bool) -> None:
    done = steps(stepper_of(precision=precision, channels_last=channels_last, learning_rate=3e-3), 30)
    assert sum(step.skipped for step in done) < 10
    # Noise cannot be restored: what is to be learnt is its mean.
    assert done[-1].loss < done[0].loss * 0.95


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_recomputing_takes_less_memory_and_gives_the_same_loss(precision: str) -> None:
    found = []
    for recomputing in (False, True):
        stepper = stepper_of(width=16, precision=precision, activation_checkpointing=recomputing)
        steps(stepper, 1, size=64)
        torch.cuda.reset_peak_memory_stats(GPU)
        loss = steps(stepper, 1, first=1, size=64)[0].loss
        found.append((torch.cuda.max_memory_allocated(GPU), loss))
        del stepper
    assert found[1][0] < 0.8 * found[0][0]
    assert found[1][1] == pytest.approx(found[0][1], rel=1e-2)


def test_what_is_compiled_learns_the_same() -> None:
    stepper = stepper_of(compile="always", activation_checkpointing=True)
    compiled = steps(stepper, 5)
    if stepper.forward is stepper.network:
        pytest.skip(str(stepper.take_remarks()))
    for one, other in zip(compiled, steps(stepper_of(), 5), strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-2)
    assert not any("_orig_mod" in name for name in stepper.network.state_dict())


def test_a_batch_too_large_for_the_gpu_is_halved_until_it_fits() -> None:
    stepper = stepper_of(on_out_of_memory="halve", width=16)
    total = torch.cuda.get_device_properties(GPU).total_memory
    steps(stepper, 1, count=1, size=64)
    torch.cuda.empty_cache()
    # One sub-volume of 64 voxels takes about 1 GB at this width; four do not fit into 2.5.
    torch.cuda.set_per_process_memory_fraction(min(1.0, 2.5e9 / total), GPU)
    try:
        done = steps(stepper, 2, first=1, size=64)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, GPU)
    assert stepper.most_samples in (1, 2)
    assert all(step.gradient_norm > 0 for step in done)
    assert "not enough memory" in stepper.take_remarks()[0]["message"]


def test_time_is_the_gpus_own_and_adds_up() -> None:
    stepper = stepper_of(width=16)
    steps(stepper, 2, size=64)
    stepper.clock.take()
    parts = [stepper.pin([batch_of(size=64, seed=seed)]) for seed in range(4)]
    began, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    began.record()
    for step, part in enumerate(parts):
        stepper.step(part, step, 100)
    ended.record()
    timing = stepper.clock.take()
    assert timing["steps"] == 4
    # Without what lies between the steps, which the CPU spends.
    assert timing["seconds"] == pytest.approx(began.elapsed_time(ended) / 1e3, rel=0.2)
    assert timing["network"] > timing["corruption"] > 0


def test_batches_are_page_locked_with_their_corruption() -> None:
    stepper = stepper_of()
    (found,) = stepper.pin([batch_of()])
    corruption: Any = found.corruption
    assert found.inputs is found.targets
    assert found.inputs.is_pinned()
    assert corruption.buffer.is_pinned()


def test_a_float16_run_goes_on_with_its_scale(tmp_path: Path) -> None:
    stepper = stepper_of(precision="float16")
    steps(stepper, 4)
    stepper.scaler.update(1024.0)
    save_checkpoint(tmp_path / "last.pt", stepper.network, stepper.optimiser, Progress(100, step=4), None, stepper)
    again = stepper_of(precision="float16")
    load_checkpoint(tmp_path / "last.pt", again.network, again.optimiser, None, again)
    assert again.scaler.get_scale() == 1024
    # cuDNN may add up in another order.
    assert steps(again, 1, first=4)[0].loss == pytest.approx(steps(stepper, 1, first=4)[0].loss, rel=1e-2)


def test_a_network_in_16_bits_is_near_the_one_in_32() -> None:
    network = create_network(UNet3DSettings(width=16, norm="batch"), seed=0).to(GPU).eval()
    x = batch_of().inputs.to(GPU)
    with torch.no_grad():
        exact = network(x).float()
        for precision in ("float16", "bfloat16"):
            with autocast(precision, GPU):
                near = network(x).float()
            assert float((near - exact).norm() / exact.norm()) < 0.05
