"""Blend 256³ voxels from 125 windows of 96³ (overlap 0.5, Gaussian), one thread, beside MONAI, in one process.

    python benchmarks/bench_sliding_window.py [--repeats 15]

The stand-in network copies its window into a buffer that exists already; its own time is measured inside the very call
and taken off, for both. Memory is the growth of the peak resident set in a fresh process each, reducing 14 channels to
a label map, plane by plane: from finished slabs (ours), or from the whole result (MONAI).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from numpy.typing import NDArray

from genesis_core.inference.sliding_window import finished_slabs, sliding_window

SIDE, PATCH, CHANNELS = 256, 96, 14
Array = NDArray[np.float32]


class CopyingNetwork:
    """Returns its input, copied into one buffer per channel; `seconds` is what that took since it was last set to 0."""

    def __init__(self, channels: int) -> None:
        self.buffer = torch.zeros((1, channels, PATCH, PATCH, PATCH))
        self.seconds = 0.0

    def on_tensor(self, windows: torch.Tensor) -> torch.Tensor:
        began = time.perf_counter()
        self.buffer.copy_(windows)
        self.seconds += time.perf_counter() - began
        return self.buffer

    def on_array(self, windows: Array) -> Array:
        began = time.perf_counter()
        np.copyto(self.buffer.numpy(), windows)
        self.seconds += time.perf_counter() - began
        return self.buffer.numpy()


def ours(network: CopyingNetwork, array: Array) -> Array:
    return sliding_window(network.on_array, array, (PATCH,) * 3, channels=network.buffer.shape[1])


def ours_in_slabs(network: CopyingNetwork, array: Array) -> Array:
    channels = network.buffer.shape[1]
    first = np.empty((1, *array.shape), np.float32)
    for slab in finished_slabs(network.on_array, array, (PATCH,) * 3, channels=channels):
        first[0, slab.start : slab.start + slab.values.shape[1]] = slab.values[0]
    return first


def monai(network: CopyingNetwork, array: Array) -> Array:
    tensor = torch.from_numpy(array)[None, None]
    result = sliding_window_inference(tensor, (PATCH,) * 3, 1, network.on_tensor, overlap=0.5, mode="gaussian")
    assert isinstance(result, torch.Tensor)
    return result[0].numpy()


def timed(call: Callable[[CopyingNetwork, Array], Array], channels: int, array: Array) -> tuple[float, float, float]:
    """Return the time without the network and the network's time in ms, and the largest error."""
    network = CopyingNetwork(channels)
    began = time.perf_counter()
    result = call(network, array)
    total = time.perf_counter() - began
    error = float(np.abs(result[0] - array).max())
    return (total - network.seconds) * 1e3, network.seconds * 1e3, error


def compare(channels: int, repeats: int, array: Array) -> None:
    calls = {"napari-genesis": ours, "napari-genesis, slabs": ours_in_slabs, "MONAI": monai}
    for call in calls.values():
        timed(call, channels, array)
    # Alternating, so that both meet the same disturbances.
    rows = [{name: timed(call, channels, array) for name, call in calls.items()} for _ in range(repeats)]
    for name in calls:
        times = [row[name][0] for row in rows]
        network = statistics.median(row[name][1] for row in rows)
        worst = max(row[name][2] for row in rows)
        print(
            f"| {channels} | {name} | {min(times):.0f} | {statistics.median(times):.0f} | {network:.0f} | {worst:.1e} |"
        )
    for name in list(calls)[:2]:
        ratio = statistics.median(row["MONAI"][0] / row[name][0] for row in rows)
        print(f"| {channels} | MONAI / {name}: median of the ratios | | {ratio:.2f} | | |")


def peak_growth(which: str) -> float:
    """Return by how many MB the peak resident set grows while CHANNELS channels are reduced to labels."""
    array = np.random.default_rng(0).random((SIDE,) * 3, dtype=np.float32)
    network = CopyingNetwork(CHANNELS)
    small = array[:PATCH, :PATCH, :PATCH].copy()
    ours(network, small)
    monai(network, small)
    before = peak_mb()
    labels = np.zeros(array.shape, np.uint8)
    if which == "MONAI":
        result = monai(network, array)
        for plane in range(SIDE):
            labels[plane] = result[:, plane].argmax(axis=0)
    else:
        for slab in finished_slabs(network.on_array, array, (PATCH,) * 3, channels=CHANNELS):
            for plane in range(slab.values.shape[1]):
                labels[slab.start + plane] = slab.values[:, plane].argmax(axis=0)
    return peak_mb() - before


def peak_mb() -> float:
    """Return the peak resident set of this process; getrusage would also count what the parent had before the exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--memory", choices=["napari-genesis", "MONAI"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        print(f"{peak_growth(arguments.memory):.0f}")
        return
    array = np.random.default_rng(0).random((SIDE,) * 3, dtype=np.float32)
    print("| channels | | blend, best (ms) | blend, median (ms) | network (ms) | largest error |")
    print("|---|---|---|---|---|---|")
    compare(1, arguments.repeats, array)
    compare(CHANNELS, max(3, arguments.repeats // 5), array)
    print(f"\nPeak memory of reducing {CHANNELS} channels to labels:")
    for name in ("napari-genesis", "MONAI"):
        command = [sys.executable, "-W", "ignore", __file__, "--memory", name]
        grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        print(f"- {name}: {grown} MB")


if __name__ == "__main__":
    main()
