"""Seeded initial weights: the same seed gives the same weights, and nobody else's random numbers change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from genesis_core.randomness import stream


@contextmanager
def seeded(seed: int, name: str) -> Iterator[None]:
    """Within the block torch's CPU generator is a function of (seed, name); afterwards it is what it was before.

    Networks are built on the CPU, so accelerators' generators are neither read nor changed.
    """
    with torch.random.fork_rng(devices=[]):
        # The CPU generator alone: torch.manual_seed would reseed every accelerator as well.
        torch.default_generator.manual_seed(stream(seed, "initial weights", name))
        yield
