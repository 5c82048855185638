"""The last layer of SuPreM's U-Net and Swin UNETR, whose weights follow from the names of the classes and the image.

Written from the published description (Liu et al. 2023, Li et al. 2024): every class has a vector that encodes its
name; a small network makes of it, and of the image's bottleneck, the weights of three 1x1x1 convolutions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Source: the published models. Groups of the norms; channels of the image and the text part; of each inner layer.
_GROUPS, _PART, _INNER, _TEXT = 16, 256, 8, 512
# Weights of the three layers, then their biases: 8x8, 8x8, 1x8, 8, 8, 1.
_SPLIT = (_INNER * _INNER, _INNER * _INNER, _INNER, _INNER, _INNER, 1)


class TextDrivenHead(nn.Module):
    """Logits of each class from the last features and the bottleneck.

    features (batch, channels, *space) and bottleneck (batch, bottleneck channels, *space / strides) -> (batch, classes,
    *space). The bottleneck is averaged over space, so a voxel's logits depend on the whole window.
    """

    def __init__(self, channels: int, bottleneck: int, classes: int, dims: int) -> None:
        super().__init__()
        convolution = nn.Conv3d if dims == 3 else nn.Conv2d
        self.image_norm = nn.GroupNorm(_GROUPS, bottleneck)
        self.image = convolution(bottleneck, _PART, 1)
        self.features_norm = nn.GroupNorm(_GROUPS, channels)
        self.features = convolution(channels, _INNER, 1)
        self.text = nn.Linear(_TEXT, _PART)
        self.weights = convolution(2 * _PART, sum(_SPLIT), 1)
        self.register_buffer("class_vectors", torch.zeros(classes, _TEXT))

    def forward(self, features: Tensor, bottleneck: Tensor) -> Tensor:
        seen = functional.relu(self.image_norm(bottleneck)).flatten(2).mean(-1)
        seen = functional.linear(seen, self.image.weight.flatten(1), self.image.bias)
        named = functional.relu(self.text(self.class_vectors))
        classes = len(named)
        # Of each sample and class: what was seen, and what it is called.
        both = torch.cat([seen[:, None].expand(-1, classes, -1), named.expand(seen.shape[0], -1, -1)], -1)
        made = functional.linear(both, self.weights.weight.flatten(1), self.weights.bias)
        first, second, third, *biases = torch.split(made, list(_SPLIT), dim=-1)
        first_bias, second_bias, third_bias = biases
        inner = self.features(functional.relu(self.features_norm(features)))
        voxels = inner.flatten(2)
        logits = []
        # Class by class: eight channels of each at once would be eight times the memory of the result.
        for number in range(classes):
            square = first[:, number].reshape(-1, _INNER, _INNER)
            x = functional.relu(torch.baddbmm(first_bias[:, number, :, None], square, voxels))
            square = second[:, number].reshape(-1, _INNER, _INNER)
            x = functional.relu(torch.baddbmm(second_bias[:, number, :, None], square, x))
            row = third[:, number, None]
            logits.append((third_bias[:, number, :, None] + row @ x)[:, 0])
        return torch.stack(logits, 1).reshape(inner.shape[0], classes, *inner.shape[2:])
