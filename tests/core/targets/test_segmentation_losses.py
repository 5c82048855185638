"""Soft Dice plus cross-entropy: equal to MONAI's where both mean the same, and silent where nothing is annotated."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from genesis_core.targets.losses import segmentation_loss
from genesis_core.targets.segmentation_target import UNKNOWN

SHAPE = (3, 4, 5, 6)


def softmax_pair(seed: int = 0, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Logits, and targets in which every class occurs in every sample."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn((SHAPE[0], classes, *SHAPE[1:]), generator=generator) * 2
    targets = torch.randint(0, classes, (SHAPE[0], 1, *SHAPE[1:]), generator=generator).to(torch.uint8)
    targets[:, 0, 0, 0, :classes] = torch.arange(classes, dtype=torch.uint8)
    return logits, targets


def sigmoid_pair(seed: int = 0, structures: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn((SHAPE[0], structures, *SHAPE[1:]), generator=generator) * 2
    targets = (torch.rand(logits.shape, generator=generator) < 0.2).to(torch.uint8)
    targets[:, :, 0, 0, 0] = 1
    return logits, targets


@pytest.mark.parametrize("batch_dice", [False, True])
def test_with_classes_it_is_monais_dice_without_background_plus_cross_entropy(batch_dice: bool) -> None:
    from monai.losses import DiceLoss

    logits, targets = softmax_pair()
    one_hot = functional.one_hot(targets[:, 0].long(), 4).movedim(-1, 1)
    oracle = DiceLoss(include_background=False, softmax=True, batch=batch_dice, smooth_nr=0, smooth_dr=1e-8)
    expected = oracle(logits, one_hot) + functional.cross_entropy(logits, targets[:, 0].long())
    found = float(segmentation_loss(logits, targets, "softmax", batch_dice=batch_dice))
    assert found == pytest.approx(float(expected), rel=1e-6)


def test_with_masks_it_is_monais_dice_plus_binary_cross_entropy() -> None:
    from monai.losses import DiceLoss

    logits, targets = sigmoid_pair()
    oracle = DiceLoss(sigmoid=True, smooth_nr=0, smooth_dr=1e-8)
    expected = oracle(logits, targets) + functional.binary_cross_entropy_with_logits(logits, targets.float())
    assert float(segmentation_loss(logits, targets, "sigmoid")) == pytest.approx(float(expected), rel=1e-6)


def test_monais_combined_loss_agrees_up_to_its_smoothing_constant() -> None:
    from monai.losses import DiceCELoss

    logits, targets = softmax_pair(seed=3)
    oracle = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)
    assert float(segmentation_loss(logits, targets, "softmax")) == pytest.approx(
        float(oracle(logits, targets)), abs=1e-5
    )


def test_a_perfect_mask_in_a_few_slices_scores_zero() -> None:
    targets = torch.zeros((1, 1, 16, 8, 8), dtype=torch.uint8)
    targets[0, 0, :4, 2:6, 2:6] = 1
    logits = torch.where(targets == 1, 40.0, -40.0)
    assert float(segmentation_loss(logits, targets, "sigmoid")) == pytest.approx(0, abs=1e-6)
    both = torch.cat([-logits, logits], dim=1)
    assert float(segmentation_loss(both, targets, "softmax")) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_no_structure_is_dropped_by_its_position(first: int) -> None:
    targets = torch.zeros((1, 3, 4, 4, 4), dtype=torch.uint8)
    targets[0, first, :2] = 1
    logits = torch.zeros((1, 3, 4, 4, 4), requires_grad=True)
    segmentation_loss(logits, targets, "sigmoid").backward()
    assert logits.grad is not None
    only_entropy = torch.zeros_like(logits).requires_grad_()
    functional.binary_cross_entropy_with_logits(only_entropy, targets.float()).backward()
    differs = (logits.grad - only_entropy.grad).abs().flatten(2).max(-1).values[0] > 1e-6  # type: ignore[operator]
    assert differs.nonzero().flatten().tolist() == [first]


def test_an_absent_structure_has_no_dice_and_false_positives_still_cost() -> None:
    targets = torch.zeros((1, 1, 4, 4, 4), dtype=torch.uint8)
    quiet, loud = torch.full((1, 1, 4, 4, 4), -40.0), torch.full((1, 1, 4, 4, 4), 3.0)
    assert float(segmentation_loss(quiet, targets, "sigmoid")) == pytest.approx(0, abs=1e-6)
    assert float(segmentation_loss(loud, targets, "sigmoid")) == pytest.approx(
        float(functional.binary_cross_entropy_with_logits(loud, targets.float()))
    )


def test_over_the_batch_a_structure_of_one_sample_counts_false_positives_in_the_others() -> None:
    targets = torch.zeros((2, 1, 4, 4, 4), dtype=torch.uint8)
    targets[0, 0, :2] = 1
    logits = torch.where(targets == 1, 40.0, -40.0)
    logits[1] = 40.0
    apart, together = (float(segmentation_loss(logits, targets, "sigmoid", batch_dice=b)) for b in (False, True))
    assert together - apart == pytest.approx(1 - 2 * 32 / (32 + 64 + 32))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.sampled_from(["softmax", "sigmoid"]), st.booleans(), st.floats(0, 1))
def test_what_is_not_annotated_has_a_gradient_of_exactly_zero(
    seed: int, activation: str, batch_dice: bool, share: float
) -> None:
    logits, targets = softmax_pair(seed) if activation == "softmax" else sigmoid_pair(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    targets[torch.rand(targets.shape, generator=generator) < share] = UNKNOWN
    if activation == "sigmoid":
        targets[:, 1] = UNKNOWN
    logits.requires_grad_()
    loss = segmentation_loss(logits, targets, activation, batch_dice=batch_dice)  # type: ignore[arg-type]
    loss.backward()
    assert logits.grad is not None
    unknown = (targets == UNKNOWN).expand_as(logits)
    assert not logits.grad[unknown].any()
    # And what the network says there changes nothing.
    other = logits.detach().clone()
    other[unknown] += 7
    again = segmentation_loss(other, targets, activation, batch_dice=batch_dice)  # type: ignore[arg-type]
    assert float(again.detach()) == float(loss.detach())


@settings(deadline=None, max_examples=40)
@given(
    st.floats(-1e30, 1e30),
    st.floats(-1e30, 1e30),
    st.sampled_from(["softmax", "sigmoid"]),
    st.sampled_from(["nothing", "all", "mixed", "unknown"]),
)
def test_it_is_finite_whatever_the_network_says(one: float, two: float, activation: str, drawn: str) -> None:
    logits = torch.full((2, 3, 2, 3, 4), one)
    logits[:, 1] = two
    targets = torch.zeros((2, 1 if activation == "softmax" else 3, 2, 3, 4), dtype=torch.uint8)
    if drawn == "mixed":
        targets[0, 0, 0] = 1
        targets[1] = UNKNOWN
    elif drawn != "nothing":
        targets[...] = 1 if drawn == "all" else UNKNOWN
    logits.requires_grad_()
    loss = segmentation_loss(logits, targets, activation)  # type: ignore[arg-type]
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())
    if drawn == "unknown":
        assert float(loss) == 0
        assert not logits.grad.any()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_under_autocast_it_is_computed_in_single_precision(activation: str) -> None:
    logits, targets = softmax_pair() if activation == "softmax" else sigmoid_pair()
    logits = logits.bfloat16()
    expected = segmentation_loss(logits.float(), targets, activation)  # type: ignore[arg-type]
    with torch.autocast("cpu", torch.bfloat16):
        found = segmentation_loss(logits, targets, activation)  # type: ignore[arg-type]
    assert found.dtype == torch.float32
    assert float(found) == float(expected)
