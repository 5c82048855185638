"""Soft Dice plus cross-entropy, each over what is annotated and nothing else.

Dice is 2 |P and G| / (|P| + |G|) with probabilities for P, summed over the whole sub-volume of a sample and structure
(never per slice, which would score empty slices as failures). The background has no Dice: it fills most voxels, and
its overlap says nothing about structures; the cross-entropy sees it. A structure with no annotated voxel in a sample
has no Dice there either, since an overlap with nothing is undefined; false positives are the cross-entropy's task. So
the denominator is at least one voxel, no smoothing constant is needed, and a perfect prediction scores 0.
Sources: Milletari et al. 2016 (soft Dice), Isensee et al. 2021 (its sum with cross-entropy, weighed 1:1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genesis_core.targets.segmentation_target import UNKNOWN, Activation

if TYPE_CHECKING:
    from torch import Tensor


def segmentation_loss(logits: Tensor, targets: Tensor, activation: Activation, *, batch_dice: bool = False) -> Tensor:
    """Return soft Dice loss + cross-entropy ("softmax") or + binary cross-entropy ("sigmoid"), a scalar from 0.

    logits: (batch, structures + 1, z, y, x) with "softmax", channel 0 being the background; (batch, structures, z, y,
    x) with "sigmoid". targets: uint8, (batch, 1, z, y, x) of classes, or (batch, structures, z, y, x) of 0 and 1;
    UNKNOWN (255) where nothing is known: there the gradient is exactly 0. Without any known voxel the loss is 0.
    batch_dice: take Dice once per structure over the whole batch instead of per sample, which is steadier for
    structures that fill few voxels. Computed in float32, also under autocast; finite for finite logits up to 1e30.
    """
    import torch

    with torch.autocast(logits.device.type, enabled=False):
        logits = logits.float()
        if activation == "softmax":
            return _softmax_loss(logits, targets, batch_dice)
        return _sigmoid_loss(logits, targets, batch_dice)


def _softmax_loss(logits: Tensor, targets: Tensor, batch_dice: bool) -> Tensor:
    import torch
    from torch.nn import functional

    known = targets != UNKNOWN
    classes = targets[:, 0].long()
    entropy = functional.cross_entropy(logits, classes, ignore_index=UNKNOWN, reduction="sum")
    numbers = torch.arange(1, logits.shape[1], device=targets.device, dtype=targets.dtype).view(1, -1, 1, 1, 1)
    dice = _dice_loss(logits.softmax(1)[:, 1:], targets == numbers, known, batch_dice)
    return dice + entropy / known.sum().clamp_min(1)


def _sigmoid_loss(logits: Tensor, targets: Tensor, batch_dice: bool) -> Tensor:
    from torch.nn import functional

    known, inside = targets != UNKNOWN, targets == 1
    entropy = functional.binary_cross_entropy_with_logits(logits, inside.float(), reduction="none")
    dice = _dice_loss(logits.sigmoid(), inside, known, batch_dice)
    return dice + entropy.where(known, 0.0).sum() / known.sum().clamp_min(1)


def _dice_loss(probabilities: Tensor, inside: Tensor, known: Tensor, batch_dice: bool) -> Tensor:
    """Return 1 - soft Dice, averaged over the pairs of sample and structure that have a reference; 0 without any."""
    axes = (0, 2, 3, 4) if batch_dice else (2, 3, 4)
    probabilities = probabilities.where(known, 0.0)
    overlap = probabilities.where(inside, 0.0).sum(axes)
    predicted, reference = probabilities.sum(axes), inside.sum(axes)
    present = reference > 0
    losses = 1 - 2 * overlap / (predicted + reference).clamp_min(1)
    return losses.where(present, 0.0).sum() / present.sum().clamp_min(1)
