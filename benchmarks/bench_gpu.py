"""Training steps of the published 3D U-Net on the device: precision, layout, torch.compile, activation checkpointing.

The steps are those of the training (`Stepper`): the batch travels to the device, is corrupted there by the torch
engine, forward, mean squared error of the sigmoid output, backward, gradient clipping, AdamW; float32 as published
comes first. One network at a time lies on the device; the median of blocks of steps counts. Memory is the most the
device held at once. The target: the corruption takes under 2 % of a step in bfloat16 (width 32, batch 8 of 96 x 96 x
96).

    python benchmarks/bench_gpu.py                       # on the GPU, to stdout
    python benchmarks/bench_gpu.py --device cpu --quick  # seconds, on any machine: does it run at all?

A whole pre-training on the GPU is bench_gpu_pretrain.py. Tests that use a GPU where there is one:

    python -m pytest tests/core/corruptions/test_torch_engine.py tests/core/training/test_steps_on_a_gpu.py
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from device_timing import NO_GPU, Clock, device_parser
from launch_counting import Counting
from torch.nn import functional

from genesis_core.corruptions.recipe import Recipe
from genesis_core.corruptions.torch_engine import shuffling
from genesis_core.corruptions.torch_engine.plan import prepare
from genesis_core.inference.predictor import choose_device
from genesis_core.networks import UNet3DSettings, create_network
from genesis_core.task import Batch
from genesis_core.training.hardware import native_bfloat16
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.stepping import Stepper

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
    """One way to run a step. step: milliseconds a step, of every block. memory: most bytes on the device.

    shares: of the stages of a step, as the training measures them.
    """

    name: str
    settings: dict[str, Any]
    step: list[float] = field(default_factory=list)
    shares: dict[str, float] = field(default_factory=dict)
    memory: int = 0
    problem: str = ""


class NoiseTask:
    """Of a task only the loss: that of restoration."""

    def loss(self, network: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        return functional.mse_loss(network(batch.inputs).float().sigmoid(), batch.targets), {}


def draw_batches(size: Size, recipe: Recipe) -> list[Batch]:
    """Return batches of noise with their plans, on the CPU, as the task of a training leaves them."""
    random = np.random.default_rng(0)
    found = []
    for number in range(BATCHES):
        x = random.random((size.batch, 1, *size.shape), dtype=np.float32)
        draws = [recipe.draw(size.shape, number * size.batch + index) for index in range(size.batch)]
        original = torch.from_numpy(x)
        found.append(Batch(original, original, ("noise",) * size.batch, corruption=prepare(x, draws)))
    return found


def variants(*, quick: bool, bfloat16: bool, compiled: bool) -> list[Variant]:
    """Return float32 as published, then every other way alone, then those worth having together."""
    last, compiles, recomputes = {"channels_last": True}, {"compile": "always"}, {"activation_checkpointing": True}
    found = [
        Variant("float32, as published", {}),
        Variant("float32, channels last", last),
        Variant("float32, compiled", compiles),
        Variant("float32, recomputing", recomputes),
        Variant("float16", {"precision": "float16"}),
        Variant("float16, channels last", {"precision": "float16", **last}),
    ]
    if bfloat16:
        fast = {"precision": "bfloat16", **last}
        found += [
            Variant("bfloat16", {"precision": "bfloat16"}),
            Variant("bfloat16, channels last", fast),
            Variant("bfloat16, channels last, compiled", {**fast, **compiles}),
            Variant("bfloat16, channels last, recomputing", {**fast, **recomputes}),
            Variant("bfloat16, channels last, compiled, recomputing", {**fast, **compiles, **recomputes}),
        ]
    # The CPU emulates float16, slowly.
    return [
        one
        for one in found
        if (compiled or "compile" not in one.settings) and not (quick and one.settings.get("precision") == "float16")
    ]


def measure_variant(variant: Variant, size: Size, clock: Clock, batches: Sequence[Batch]) -> None:
    network = create_network(UNet3DSettings(width=size.width), seed=0).to(clock.device)
    values = {"batch_size": size.batch, "precision": "float32", "channels_last": False, **variant.settings}
    task: Any = NoiseTask()
    stepper = Stepper(task, network, TrainingSettings(**values), clock.device)
    # Batches lie where the drawing thread of a training leaves them.
    turn: Iterator[Any] = itertools.cycle([stepper.pin([batch]) for batch in batches])

    def step() -> None:
        # The middle of a schedule whose learning rate is neither 0 nor changing.
        stepper.step(next(turn), 500, 1000)

    # The first steps choose kernels and compile; every batch's mix of corruptions is seen once.
    for _ in range(len(batches) if clock.is_gpu else 1):
        step()
    stepper.clock.take()
    variant.step = [clock.milliseconds(step, size.steps) for _ in range(size.blocks)]
    variant.shares = stepper.clock.take()
    variant.memory = clock.most_memory()
    variant.problem = "; ".join(one["message"] for one in stepper.take_remarks() if one.get("compiled") is False)


def corruption_times(size: Size, clock: Clock, batches: Sequence[Batch]) -> dict[str, float]:
    """Return milliseconds a batch (wall, busy, compiled engine), launches and bytes of the corruption alone."""
    plans: list[Any] = [batch.corruption for batch in batches]
    on_device = [
        (batch.inputs.to(clock.device), plan.to(clock.device)) for batch, plan in zip(batches, plans, strict=True)
    ]

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
    began = time.perf_counter()
    for batch, plan in zip(batches, plans, strict=True):
        recipe.apply(batch.inputs.numpy(), plan.draws, threads=1)
    compiled = (time.perf_counter() - began) / len(batches) * 1e3
    return {"wall": wall, "busy": busy, "compiled": compiled, "launches": launches, "peak": peak}


def measure(size: Size, device: torch.device, running: Sequence[Variant]) -> dict[str, float]:
    """Fill in the variants' times, and return those of the corruption alone."""
    clock = Clock(device)
    batches = draw_batches(size, Recipe.genesis())
    # One network at a time on the device: peak memory is each variant's own, and all of them fit.
    for variant in running:
        clock.forget_memory()
        try:
            measure_variant(variant, size, clock, batches)
        except Exception as problem:
            variant.problem = str(problem).strip().splitlines()[0][:80]
        print(f"{size.shape} {variant.name}: {variant.step} {variant.problem}", file=sys.stderr, flush=True)
    clock.forget_memory()
    return corruption_times(size, clock, batches)


def table(size: Size, running: Sequence[Variant], corruption: dict[str, float]) -> str:
    done = [variant for variant in running if variant.step]
    lines = [
        f"## {'x'.join(map(str, size.shape))} (z, y, x), batch {size.batch}, width {size.width}",
        "",
        "| | ms a step, median (least) | against the first | sub-volumes/s | transfer and corruption, share | "
        "update, share | peak memory, GiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for variant in running:
        if not variant.step:
            lines.append(f"| {variant.name} | {variant.problem} | | | | | |")
            continue
        median = statistics.median(variant.step)
        against = statistics.median(done[0].step) / median
        memory = f"{variant.memory / 2**30:.1f}" if variant.memory else "not known"
        lines.append(
            f"| {variant.name} | {median:.1f} ({min(variant.step):.1f}) | {against:.2f}x | "
            f"{size.batch / median * 1e3:.1f} | {variant.shares['corruption']:.2%} | {variant.shares['update']:.2%} | "
            f"{memory} |"
        )
    lines += ["", *(f"{variant.name}: {variant.problem}." for variant in done if variant.problem)]
    lines.append(
        f"Corruption of a batch: {corruption['wall']:.2f} ms, of which the device is busy {corruption['busy']:.2f} ms; "
        f"{corruption['launches']:.0f} launches, {corruption['peak'] / 2**20:.0f} MiB at most. By the compiled engine, "
        f"in one thread of the CPU: {corruption['compiled']:.1f} ms."
    )
    fast = [statistics.median(one.step) for one in done if one.settings.get("precision") == "bfloat16"]
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
    parser = device_parser(__doc__, quick="a tiny network and batch, a single step each")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="steps a block")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--tune", action="store_true", help="let cuDNN try its algorithms, which no training does yet")
    given = parser.parse_args(arguments)
    device = choose_device(given.device)
    if given.device == "auto" and device.type != "cuda":
        print(NO_GPU)
        return NO_GPU
    if device.type == "cuda":
        # What float32 means in a training: cuDNN's convolutions in TF32, torch's default.
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = given.tune
    sizes = [Size(shape, given.batch, given.width, given.blocks, given.steps) for shape in SIZES]
    if given.quick:
        sizes = [Size((16, 16, 16), 2, 2, 1, 1)]
    parts = [
        f"# Training steps on {device_name(device)}",
        f"torch {torch.__version__}, {kernels(device)}; recipe genesis.",
    ]
    for size in sizes:
        running = variants(
            quick=given.quick,
            bfloat16=given.quick or native_bfloat16(str(device)),
            compiled=not (given.quick or given.no_compile),
        )
        parts.append(table(size, running, measure(size, device, running)))
    text = "\n\n".join(parts)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    return text


if __name__ == "__main__":
    main()
