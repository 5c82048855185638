"""Losses of a restoration: SSIM is the one that is measured elsewhere, weights choose voxels, gradients exist."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.metrics.image import ssim
from genesis_core.proxy.restoration_losses import restoration_loss, structural_similarity

seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=40)
@given(st.tuples(*[st.integers(1, 14)] * 3), seeds, st.floats(0, 1))
def test_the_similarity_is_that_of_the_metric(shape: tuple[int, int, int], seed: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    one = np.clip(level + 0.2 * rng.standard_normal((2, 1, *shape)), 0, 1).astype(np.float32)
    other = np.clip(one + 0.1 * rng.standard_normal(one.shape), 0, 1).astype(np.float32)
    found = float(structural_similarity(torch.from_numpy(one), torch.from_numpy(other)))
    wanted = np.mean([ssim(a[0], b[0], 1.0) for a, b in zip(one, other, strict=True)])
    assert found == pytest.approx(wanted, abs=2e-4)


@pytest.mark.parametrize("loss", ["mse", "mae", "ssim"])
def test_a_perfect_restoration_costs_nothing_and_a_worse_one_more(loss: str) -> None:
    target = torch.rand(2, 1, 9, 10, 11)
    losses = [
        float(restoration_loss((target + shift * torch.rand_like(target)).clamp(0, 1), target, loss))  # type: ignore[arg-type]
        for shift in (0.0, 0.1, 0.5)
    ]
    assert losses[0] == pytest.approx(0, abs=1e-5)
    assert losses[0] < losses[1] < losses[2]


@pytest.mark.parametrize("loss", ["mse", "mae", "ssim"])
def test_following_the_gradient_restores(loss: str) -> None:
    torch.manual_seed(0)
    target = torch.rand(1, 1, 8, 9, 10)
    guess = torch.full_like(target, 0.5).requires_grad_()
    optimiser = torch.optim.Adam([guess], 0.02)
    for _ in range(300):
        optimiser.zero_grad()
        restoration_loss(guess, target, loss).backward()  # type: ignore[arg-type, no-untyped-call]
        optimiser.step()
    assert float((guess.detach() - target).abs().mean()) < 0.05


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_voxels_without_weight_do_not_count(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    target, guess = torch.rand(2, 2, 1, 4, 5, 6, generator=generator)
    weights = (torch.rand(2, 1, 4, 5, 6, generator=generator) < 0.3).float()
    value = restoration_loss(guess, target, "mse", weights)
    elsewhere = torch.where(weights == 1, guess, torch.rand_like(guess))
    assert torch.equal(value, restoration_loss(elsewhere, target, "mse", weights))
    assert float(restoration_loss(guess, target, "mae", torch.zeros_like(weights))) == 0.0
