"""A synthetic checkpoint in the published layout, and an independent forward pass over its raw tensors.

Names and shapes are those of the published file; the values are random. Nothing of the package is used here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

ENCODER = ["down_tr64", "down_tr128", "down_tr256", "down_tr512"]
DECODER = ["up_tr256", "up_tr128", "up_tr64"]


def published_tensors(width: int = 32, n_class: int = 1, seed: int = 0) -> dict[str, Tensor]:
    """Return the 106 tensors in the file's order: kernels (out, in, x, y, z), running averages included."""
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}

    def random(*shape: int, scale: float) -> Tensor:
        return (torch.rand(shape, generator=generator) * 2 - 1) * scale

    def block(name: str, inputs: int, outputs: int) -> None:
        tensors[f"{name}.conv1.weight"] = random(outputs, inputs, 3, 3, 3, scale=(2 / (inputs * 27)) ** 0.5)
        tensors[f"{name}.conv1.bias"] = random(outputs, scale=0.1)
        tensors[f"{name}.bn1.weight"] = 1 + random(outputs, scale=0.3)
        tensors[f"{name}.bn1.bias"] = random(outputs, scale=0.3)
        tensors[f"{name}.bn1.running_mean"] = random(outputs, scale=1)
        tensors[f"{name}.bn1.running_var"] = 1 + random(outputs, scale=0.5)
        tensors[f"{name}.bn1.num_batches_tracked"] = torch.tensor(0)

    inputs = 1
    for level, name in enumerate(ENCODER):
        middle = width * 2**level
        block(f"{name}.ops.0", inputs, middle)
        block(f"{name}.ops.1", middle, 2 * middle)
        inputs = 2 * middle
    for name in DECODER:
        tensors[f"{name}.up_conv.weight"] = random(inputs, inputs, 2, 2, 2, scale=(3 / inputs) ** 0.5)
        tensors[f"{name}.up_conv.bias"] = random(inputs, scale=0.1)
        block(f"{name}.ops.0", inputs + inputs // 2, inputs // 2)
        block(f"{name}.ops.1", inputs // 2, inputs // 2)
        inputs //= 2
    tensors["out_tr.final_conv.weight"] = random(n_class, inputs, 1, 1, 1, scale=0.3)
    tensors["out_tr.final_conv.bias"] = random(n_class, scale=0.3)
    return tensors


def published_checkpoint(tensors: dict[str, Tensor], prefix: str = "module.") -> dict[str, object]:
    """Wrap tensors as the published training script saved them, SGD momentum included."""
    optimizer = {
        "state": {0: {"momentum_buffer": torch.ones(3)}},
        "param_groups": [
            {"lr": 1.0, "momentum": 0.9, "dampening": 0, "weight_decay": 0.0, "nesterov": False, "params": [0]}
        ],
    }
    return {
        "epoch": 311,
        "state_dict": {prefix + name: tensor for name, tensor in tensors.items()},
        "optimizer_state_dict": optimizer,
    }


def reference_forward(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
    """Run the published network on (batch, 1, x, y, z), from its raw tensors; return its sigmoid output."""

    def double_block(name: str, x: Tensor) -> Tensor:
        for index in (0, 1):
            part = f"{name}.ops.{index}"
            x = functional.conv3d(x, tensors[f"{part}.conv1.weight"], tensors[f"{part}.conv1.bias"], padding=1)
            mean = x.mean((0, 2, 3, 4), keepdim=True)
            variance = x.var((0, 2, 3, 4), keepdim=True, correction=0)
            scale, shift = (tensors[f"{part}.bn1.{kind}"].view(1, -1, 1, 1, 1) for kind in ("weight", "bias"))
            x = functional.relu((x - mean) / torch.sqrt(variance + 1e-5) * scale + shift)
        return x

    skips = []
    for name in ENCODER[:-1]:
        skips.append(double_block(name, x))
        x = functional.max_pool3d(skips[-1], 2)
    x = double_block(ENCODER[-1], x)
    for name in DECODER:
        up = functional.conv_transpose3d(
            x, tensors[f"{name}.up_conv.weight"], tensors[f"{name}.up_conv.bias"], stride=2
        )
        x = double_block(name, torch.cat((up, skips.pop()), dim=1))
    return torch.sigmoid(functional.conv3d(x, tensors["out_tr.final_conv.weight"], tensors["out_tr.final_conv.bias"]))
