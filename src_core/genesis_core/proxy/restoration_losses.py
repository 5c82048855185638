"""How far a restoration is from the original, as a loss: squared, absolute or structural, everywhere or in some voxels.

Source: Zhou et al. 2021, sec. 2.1 (squared error over the whole sub-volume) and figure 8, where absolute error and SSIM
made no decisive difference; Wang et al. 2004 for SSIM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from genesis_core.metrics.image import SSIM_K1, SSIM_K2, SSIM_WINDOW

if TYPE_CHECKING:
    from torch import Tensor

Loss = Literal["mse", "mae", "ssim"]


def restoration_loss(restored: Tensor, targets: Tensor, loss: Loss, weights: Tensor | None = None) -> Tensor:
    """Return the loss of a batch, (batch, channel, z, y, x) in [0, 1], as one number; 0 for a perfect restoration.

    loss: "mse", "mae", or "ssim", which is 1 - SSIM. weights: of each voxel, in the targets' shape; None: all the same.
    Where all weights are 0 there is nothing to restore, and the loss is 0. SSIM knows no weights.
    """
    if loss == "ssim":
        assert weights is None
        return 1 - structural_similarity(restored, targets)
    difference = restored - targets
    error = difference.square() if loss == "mse" else difference.abs()
    if weights is None:
        return error.mean()
    return (error * weights).sum() / weights.sum().clamp_min(1)


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean SSIM of two batches (batch, channel, z, y, x) in [0, 1], as `metrics.image.ssim` measures it.

    A uniform window of 7 voxels along every axis (a shorter axis: its length), sample covariances, windows inside only.
    """
    import torch

    window = tuple(min(SSIM_WINDOW, length) for length in first.shape[2:])
    voxels = window[0] * window[1] * window[2]
    # Variances do not depend on an offset, and lose digits to a large one.
    a, b = first.float() - 0.5, second.float() - 0.5
    sums = torch.nn.functional.avg_pool3d(torch.cat((a, b, a * a, b * b, a * b), 1), window, stride=1)
    mean_a, mean_b, square_a, square_b, product = sums.chunk(5, 1)
    unbiased = voxels / max(1, voxels - 1)
    variances = unbiased * (square_a - mean_a * mean_a + square_b - mean_b * mean_b)
    covariance = unbiased * (product - mean_a * mean_b)
    mean_a, mean_b = mean_a + 0.5, mean_b + 0.5
    luminance = (2 * mean_a * mean_b + SSIM_K1**2) / (mean_a * mean_a + mean_b * mean_b + SSIM_K1**2)
    return (luminance * (2 * covariance + SSIM_K2**2) / (variances + SSIM_K2**2)).mean()
