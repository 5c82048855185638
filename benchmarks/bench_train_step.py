"""Time of one training step of the published 3D U-Net on the CPU, in every memory format and precision worth having.

A step is forward, mean squared error of the sigmoid output, backward, SGD with momentum; batch 2 of (32, 64, 64),
width 32. The variants take turns, step by step, so that whatever else the machine does falls on all of them; the
minimum of each counts. `--keep-heap` keeps freed memory in the process (glibc), which spares the kernel clearing pages.

    python benchmarks/bench_train_step.py --rounds 2
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.nn import functional

from genesis_core.networks import UNet3DSettings, create_network

SHAPE = (2, 1, 32, 64, 64)
# mallopt's parameters (glibc, malloc.h).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


@dataclass
class Variant:
    """One way to run the step. precision: float32, autocast (bfloat16 where it is safe), weights (bfloat16 all)."""

    name: str
    norm: str
    channels_last: bool
    precision: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def prepare(self) -> None:
        """Build network, input and optimiser, and take one step untimed, whose gradient is kept to compare."""
        self.network = create_network(UNet3DSettings(norm=self.norm), seed=0)
        self.input = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))
        self.target = self.input.clone()
        if self.channels_last:
            self.network.to(memory_format=torch.channels_last_3d)
            self.input = self.input.contiguous(memory_format=torch.channels_last_3d)
        if self.precision == "weights":
            self.network.bfloat16()
            self.input = self.input.bfloat16()
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.01, momentum=0.9)
        self.differentiate()
        self.gradient = {
            name: parameter.grad.detach().double().flatten()
            for name, parameter in self.network.named_parameters()
            if parameter.grad is not None and parameter.ndim == 5
        }
        self.update()

    def differentiate(self) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "autocast"):
            logits = self.network(self.input)
        functional.mse_loss(torch.sigmoid(logits.float()), self.target).backward()

    def update(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def step(self) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.differentiate()
        self.update()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)


def variants() -> list[Variant]:
    return [
        Variant("float32, contiguous (as published)", "batch_statistics", False, "float32"),
        Variant("float32, channels last", "batch_statistics", True, "float32"),
        Variant("bfloat16 autocast, contiguous", "batch_statistics", False, "autocast"),
        Variant("bfloat16 autocast, channels last", "batch_statistics", True, "autocast"),
        Variant("bfloat16 weights, channels last", "batch_statistics", True, "weights"),
        Variant("float32, contiguous", "instance", False, "float32"),
        Variant("bfloat16 autocast, channels last", "instance", True, "autocast"),
    ]


def keep_heap() -> bool:
    """Let malloc keep what is freed, for blocks up to 1 GiB; return whether this platform's malloc can."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1))


def measure(rounds: int, threads: int) -> list[Variant]:
    torch.set_num_threads(threads)
    running = variants()
    for variant in running:
        variant.prepare()
    for number in range(1, rounds + 1):
        for variant in running:
            variant.step()
        print(f"round {number} of {rounds}:", *(f"{v.wall[-1]:.2f}" for v in running), file=sys.stderr, flush=True)
    return running


def table(running: Sequence[Variant]) -> str:
    plain = running[0]
    lines = [
        "| norm | step | wall s | CPU s | wall, share of the first row | CPU, share "
        "| gradient against float32: cosine, worst kernel |",
        "|---|---|---|---|---|---|---|",
    ]
    for item in running:
        exact = next(v for v in running if v.norm == item.norm and v.precision == "float32" and not v.channels_last)
        # In double precision: a float32 sum over millions of values is off by more than what is looked for.
        cosine = min(
            float(functional.cosine_similarity(item.gradient[name], exact.gradient[name], dim=0))
            for name in exact.gradient
        )
        wall, cpu = min(item.wall), min(item.cpu)
        lines.append(
            f"| {item.norm} | {item.name} | {wall:.2f} | {cpu:.2f} | {wall / min(plain.wall):.2f} | "
            f"{cpu / min(plain.cpu):.2f} | {cosine:.4f} |"
        )
    return "\n".join(lines)


def machine() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    return f"{model}, {os.cpu_count()} cores, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep-heap", action="store_true", help="measure with freed memory kept in the process")
    parser.add_argument("--out", type=Path, help="write both tables (with and without --keep-heap) to this file")
    arguments = parser.parse_args()
    if arguments.out:
        write_both(arguments)
        return
    if arguments.keep_heap and not keep_heap():
        sys.exit("this platform's malloc has no mallopt")
    load = os.getloadavg()[0]
    text = table(measure(arguments.rounds, arguments.threads))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(text)
    total = usage.ru_stime + usage.ru_utime
    print(
        f"\n{arguments.rounds} rounds, {arguments.threads} threads. Load of the machine before and after: {load:.1f}, "
        f"{os.getloadavg()[0]:.1f}. All variants together: {usage.ru_stime:.0f} of {total:.0f} CPU seconds in the "
        f"system, {usage.ru_minflt / 1e6:.1f} million page faults, {usage.ru_maxrss / 2**20:.1f} GiB."
    )


def write_both(arguments: argparse.Namespace) -> None:
    command = [sys.executable, __file__, "--rounds", str(arguments.rounds), "--threads", str(arguments.threads)]
    parts = [f"# One training step on the CPU\n\n{__doc__.split(chr(10) * 2)[1]}\n\n{machine()}"]
    for title, more in (("As the system's malloc does it", []), ("Freed memory kept (`--keep-heap`)", ["--keep-heap"])):
        result = subprocess.run([*command, *more], check=True, stdout=subprocess.PIPE, text=True)
        parts.append(f"## {title}\n\n{result.stdout.strip()}")
    arguments.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
