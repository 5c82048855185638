"""Timing work on a device from outside, and the memory it took: for benchmarks, with the options they share."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

NO_GPU = "No GPU here, so nothing is measured. --device cpu --quick shows that the benchmark runs."


def device_parser(purpose: str | None, quick: str) -> argparse.ArgumentParser:
    """Return a parser of the options of every benchmark on a device. quick: what --quick makes of it."""
    parser = argparse.ArgumentParser(description=(purpose or "").splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--out", type=Path, help="write what is printed to this file too")
    return parser


class Clock:
    """Times work on a device, the waiting for it included."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.is_gpu = device.type == "cuda"

    def wait(self) -> None:
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def milliseconds(self, work: Callable[[], Any], repeats: int) -> float:
        """Return how long one call of `work` takes."""
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
