"""Training steps of the 3D U-Net on the device: precision, layout, torch.compile, and the share of the corruption.

A step is what the training loop does: the batch travels to the device, is corrupted there by the torch engine, forward,
mean squared error of the sigmoid output, backward, gradient clipping, AdamW. One network at a time lies on the
device; the median of blocks of steps counts. Memory is the most the device held at once. The target: the corruption
takes under 2 % of a step in bfloat16 (width 32, batch 8 of 96 x 96 x 96).

    python benchmarks/bench_gpu.py                       # on the GPU, to stdout
    python benchmarks/bench_gpu.py --device cpu --quick  # seconds, on any machine: does it run at all?
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from launch_counting import Counting
from torch.nn import functional

from genesis_core.corruptions.recipe import Recipe
from genesis_core.corruptions.torch_engine import shuffling
from genesis_core.corruptions.torch_engine.plan import Plan, prepare
from genesis_core.inference.predictor import choose_device
from genesis_core.networks import UNet3DSettings, create_network
from genesis_core.training.hardware import native_bfloat16

SIZES = ((32, 64, 64), (96, 96, 96))
TARGET = 0.02
# Batches that are drawn beforehand and taken in turn: each holds another mix of corruptions.
BATCHES = 8


@dataclass(frozen=True)
class Size:
    """What is measured: sub-volumes of `shape`, `batch` of them, a network of `width`."""

    shape: tuple[int, int, int]
    batch: int
    width: int
    blocks: int
    steps: int


@dataclass
class Variant:
    """One way to run a step. step: milliseconds a step, of every block. memory: most bytes on the device."""

    name: str
    bfloat16: bool
    channels_last: bool
    compiled: bool = False
    step: list[float] = field(default_factory=list)
    corruption: list[float] = field(default_factory=list)
    memory: int = 0
    problem: str = ""


class Clock:
    """Times work on a device: by its own events where it has them, else by the wall clock."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.is_gpu = device.type == "cuda"

    def wait(self) -> None:
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def milliseconds(self, work: Callable[[], Any], repeats: int) -> float:
        """Return how long one call of `work` takes, the waiting for the device included."""
        self.wait()
        began = time.perf_counter()
        for _ in range(repeats):
            work()
        self.wait()
        return (time.perf_counter() - began) / repeats * 1e3

    def profile(self, work: Callable[[], Any]) -> tuple[float, int]:
        """Return how many milliseconds the device itself is busy with a call of `work`, and with how many launches."""
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            work()
            self.wait()
        # What has no time on the device is the CPU asking for it.
        events = [event for event in profile.key_averages() if event.self_device_time_total > 0]
        return sum(event.self_device_time_total for event in events) / 1e3, sum(event.count for event in events)

    def most_memory(self) -> int:
        return torch.cuda.max_memory_allocated(self.device) if self.is_gpu else 0

    def forget_memory(self) -> None:
        gc.collect()
        if self.is_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)


def draw_batches(size: Size, recipe: Recipe, *, pinned: bool) -> list[tuple[torch.Tensor, Plan]]:
    """Return batches of noise with their plans, on the CPU, as the drawing thread of a training leaves them."""
    random = np.random.default_rng(0)
    found = []
    for number in range(BATCHES):
        x = random.random((size.batch, 1, *size.shape), dtype=np.float32)
        draws = [recipe.draw(size.shape, number * size.batch + index) for index in range(size.batch)]
        plan, original = prepare(x, draws), torch.from_numpy(x)
        found.append((original.pin_memory(), plan.pinned()) if pinned else (original, plan))
    return found


class Stepper:
    """A network with its optimiser, and the batches in turn."""

    def __init__(self, variant: Variant, size: Size, device: torch.device, batches: Sequence[tuple[Any, Plan]]) -> None:
        self.variant, self.device = variant, device
        self.network: Any = create_network(UNet3DSettings(width=size.width, norm="batch"), seed=0).to(device).train()
        self.format = torch.channels_last_3d if variant.channels_last else torch.contiguous_format
        self.network.to(memory_format=self.format)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=1e-3)
        self.forward = torch.compile(self.network) if variant.compiled else self.network
        self.turn = self._turns(batches)

    def _turns(self, batches: Sequence[tuple[Any, Plan]]) -> Iterator[tuple[Any, Plan]]:
        while True:
            yield from batches

    def step(self) -> None:
        original, plan = next(self.turn)
        targets = original.to(self.device, non_blocking=True, memory_format=self.format)
        inputs = plan.to(self.device).apply(targets)
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.variant.bfloat16):
            logits = self.forward(inputs)
        loss = functional.mse_loss(logits.float().sigmoid(), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        # The training loop looks at the loss after every step.
        float(loss.detach())


def variants(*, bfloat16: bool, compiled: bool) -> list[Variant]:
    found = [
        Variant("float32", False, False),
        Variant("float32, channels last", False, True),
        Variant("bfloat16", True, False),
        Variant("bfloat16, channels last", True, True),
        Variant("bfloat16, channels last, compiled", True, True, True),
    ]
    return [one for one in found if (bfloat16 or not one.bfloat16) and (compiled or not one.compiled)]


def corruption_times(size: Size, clock: Clock, batches: Sequence[tuple[Any, Plan]]) -> dict[str, float]:
    """Return milliseconds a batch (wall, busy, compiled engine), launches and bytes of the corruption alone."""
    on_device = [(x.to(clock.device), plan.to(clock.device)) for x, plan in batches]

    def corrupt_all() -> None:
        for x, plan in on_device:
            plan.apply(x)

    corrupt_all()
    wall = clock.milliseconds(corrupt_all, size.steps) / len(batches)
    if clock.is_gpu:
        busy, launches = (figure / len(batches) for figure in clock.profile(corrupt_all))
        clock.forget_memory()
        before = torch.cuda.memory_allocated(clock.device)
        corrupt_all()
        peak = clock.most_memory() - before
    else:
        counts = []
        for x, plan in on_device:
            with Counting() as counted:
                plan.apply(x)
            counts.append((counted.launches, counted.peak))
        busy, launches, peak = wall, statistics.mean(one for one, _ in counts), max(other for _, other in counts)
    recipe = Recipe.genesis()
    arrays = [(x.numpy(), plan.draws) for x, plan in batches]
    began = time.perf_counter()
    for x, draws in arrays:
        recipe.apply(x, draws, threads=1)
    compiled = (time.perf_counter() - began) / len(arrays) * 1e3
    return {"wall": wall, "busy": busy, "compiled": compiled, "launches": launches, "peak": peak}


def measure_variant(variant: Variant, size: Size, clock: Clock, batches: Sequence[tuple[Any, Plan]]) -> None:
    stepper = Stepper(variant, size, clock.device, batches)
    # The first steps choose kernels and compile; every batch's mix of corruptions is seen once.
    for _ in range(len(batches) if clock.is_gpu else 1):
        stepper.step()
    variant.step = [clock.milliseconds(stepper.step, size.steps) for _ in range(size.blocks)]
    variant.memory = clock.most_memory()


def measure(size: Size, device: torch.device, running: Sequence[Variant]) -> dict[str, float]:
    """Fill in the variants' times, and return those of the corruption alone."""
    clock = Clock(device)
    batches = draw_batches(size, Recipe.genesis(), pinned=clock.is_gpu)
    # One network at a time on the device: peak memory is each variant's own, and all of them fit.
    for variant in running:
        clock.forget_memory()
        try:
            measure_variant(variant, size, clock, batches)
        except (RuntimeError, torch.OutOfMemoryError) as problem:
            variant.problem = str(problem).strip().splitlines()[0][:80]
        print(f"{size.shape} {variant.name}: {variant.step or variant.problem}", file=sys.stderr, flush=True)
    clock.forget_memory()
    return corruption_times(size, clock, batches)


def table(size: Size, running: Sequence[Variant], corruption: dict[str, float]) -> str:
    done = [variant for variant in running if variant.step]
    lines = [
        f"## {'x'.join(map(str, size.shape))} (z, y, x), batch {size.batch}, width {size.width}",
        "",
        "| | ms a step, median (least) | against float32 | sub-volumes/s | corruption's share | peak memory, GiB |",
        "|---|---|---|---|---|---|",
    ]
    for variant in running:
        if not variant.step:
            lines.append(f"| {variant.name} | {variant.problem} | | | | |")
            continue
        median = statistics.median(variant.step)
        against = statistics.median(done[0].step) / median
        memory = f"{variant.memory / 2**30:.1f}" if variant.memory else "not known"
        lines.append(
            f"| {variant.name} | {median:.1f} ({min(variant.step):.1f}) | {against:.2f}x | "
            f"{size.batch / median * 1e3:.1f} | {corruption['wall'] / median:.2%} | {memory} |"
        )
    lines += [
        "",
        f"Corruption of a batch: {corruption['wall']:.2f} ms, of which the device is busy {corruption['busy']:.2f} ms; "
        f"{corruption['launches']:.0f} launches, {corruption['peak'] / 2**20:.0f} MiB at most. By the compiled engine, "
        f"in one thread of the CPU: {corruption['compiled']:.1f} ms.",
    ]
    fast = [statistics.median(variant.step) for variant in done if variant.bfloat16 and not variant.compiled]
    if fast:
        share = corruption["wall"] / min(fast)
        lines.append(f"Share of the fastest bfloat16 step: {share:.2%} (target under {TARGET:.0%}).")
    return "\n".join(lines)


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        return f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda or torch.version.hip}"
    return f"{device.type}, {torch.get_num_threads()} threads"


def kernels(device: torch.device) -> str:
    return "Triton kernels for local shuffling" if shuffling.triton_kernels(device) else "no Triton kernels"


def main(arguments: Sequence[str] | None = None) -> str:
    """Measure, print the tables as markdown, and return them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="a tiny network and batch, a single step each")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="steps a block")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--out", type=Path, help="write the tables to this file too")
    given = parser.parse_args(arguments)
    device = choose_device(given.device)
    if given.device == "auto" and device.type != "cuda":
        text = "No GPU here, so nothing is measured. --device cpu --quick shows that the benchmark runs."
        print(text)
        return text
    if device.type == "cuda":
        # What float32 means in a training: cuDNN's convolutions in TF32, torch's default.
        torch.cuda.set_device(device)
    sizes = [Size(shape, given.batch, given.width, given.blocks, given.steps) for shape in SIZES]
    if given.quick:
        sizes = [Size((16, 16, 16), 2, 2, 1, 1)]
    parts = [
        f"# Training steps on {device_name(device)}",
        f"torch {torch.__version__}, {kernels(device)}; recipe genesis.",
    ]
    for size in sizes:
        running = variants(
            bfloat16=given.quick or native_bfloat16(str(device)), compiled=not (given.quick or given.no_compile)
        )
        parts.append(table(size, running, measure(size, device, running)))
    text = "\n\n".join(parts)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    return text


if __name__ == "__main__":
    main()
