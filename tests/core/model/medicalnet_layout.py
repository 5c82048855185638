"""Synthetic checkpoints laid out as MedicalNet's 3D ResNets, and a forward pass over their raw tensors.

Names, shapes, strides and dilations are those of the published files and network; values are random. Nothing of the
package, and nothing of MONAI, is used here.
"""

from __future__ import annotations

import torch
from suprem_layout import Values
from torch import Tensor
from torch.nn import functional

# Blocks of each stage, whether they are bottlenecks, and the kind of shortcut.
DEPTHS = {
    10: ((1, 1, 1, 1), False, "B"),
    18: ((2, 2, 2, 2), False, "A"),
    34: ((3, 4, 6, 3), False, "A"),
    50: ((3, 4, 6, 3), True, "B"),
}
# Stride and dilation of each stage.
STAGES = ((1, 1), (2, 1), (1, 2), (1, 4))


def medicalnet(depth: int, width: int = 64, make: Values | None = None, decoder: bool = False) -> dict[str, Tensor]:
    """The encoder's tensors, counters of batches included: 72 with 10 layers; decoder: that of another data set too."""
    make = make or Values(depth)
    blocks, bottleneck, shortcut = DEPTHS[depth]
    tensors: dict[str, Tensor] = {}

    def norm(name: str, channels: int) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = make.around(1, channels), make.around(0, channels)
        tensors[f"{name}.running_mean"] = make.around(0, channels, spread=0.2)
        tensors[f"{name}.running_var"] = make.around(1, channels, spread=0.5)
        tensors[f"{name}.num_batches_tracked"] = torch.tensor(38_140)

    tensors["conv1.weight"] = make.kernel(width, 1, 7, 7, 7)
    norm("bn1", width)
    inputs = width
    for stage in range(4):
        middle = width * 2**stage
        outputs = middle * (4 if bottleneck else 1)
        for block in range(blocks[stage]):
            name = f"layer{stage + 1}.{block}"
            shapes = [(middle, inputs, 1), (middle, middle, 3), (outputs, middle, 1)]
            for n, (after, before, size) in enumerate(shapes if bottleneck else [(middle, inputs, 3), shapes[1]], 1):
                tensors[f"{name}.conv{n}.weight"] = make.kernel(after, before, size, size, size)
                norm(f"{name}.bn{n}", after)
            if block == 0 and shortcut == "B" and inputs != outputs:
                tensors[f"{name}.downsample.0.weight"] = make.kernel(outputs, inputs, 1, 1, 1)
                norm(f"{name}.downsample.1", outputs)
            inputs = outputs
    if decoder:
        tensors["conv_seg.0.weight"], tensors["conv_seg.0.bias"] = make.kernel(inputs, 32, 2, 2, 2), make.around(0, 32)
        norm("conv_seg.1", 32)
        tensors["conv_seg.3.weight"] = make.kernel(32, 32, 3, 3, 3)
        norm("conv_seg.4", 32)
        tensors["conv_seg.6.weight"] = make.kernel(5, 32, 1, 1, 1)
    return tensors


def as_saved(tensors: dict[str, Tensor]) -> dict[str, object]:
    """Wrap tensors as the published files are: under `state_dict`, with the prefix of parallel training."""
    return {"state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}}


def medicalnet_features(tensors: dict[str, Tensor], depth: int, z_scores: Tensor) -> list[Tensor]:
    """What the first convolution and the four stages give for (batch, 1, z, y, x), averages as they are stored."""
    blocks, bottleneck, _ = DEPTHS[depth]

    def normed(name: str, x: Tensor) -> Tensor:
        mean, variance, scale, shift = (
            tensors[f"{name}.{kind}"].view(1, -1, 1, 1, 1) for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(variance + 1e-5) * scale + shift

    def block(name: str, x: Tensor, stride: int, dilation: int) -> Tensor:
        convolved = x
        plan = (
            [(1, 1, 1), (stride, 3, dilation), (1, 1, 1)] if bottleneck else [(stride, 3, dilation), (1, 3, dilation)]
        )
        for n, (step, size, apart) in enumerate(plan, 1):
            kernel = tensors[f"{name}.conv{n}.weight"]
            around = apart * (size - 1) // 2
            convolved = functional.conv3d(convolved, kernel, stride=step, padding=around, dilation=apart)
            convolved = normed(f"{name}.bn{n}", convolved)
            convolved = functional.relu(convolved) if n < len(plan) else convolved
        if f"{name}.downsample.0.weight" in tensors:
            x = normed(
                f"{name}.downsample.1", functional.conv3d(x, tensors[f"{name}.downsample.0.weight"], stride=stride)
            )
        elif x.shape != convolved.shape:
            filled = torch.zeros_like(convolved)
            filled[:, : x.shape[1]] = x[:, :, ::stride, ::stride, ::stride]
            x = filled
        return functional.relu(convolved + x)

    x = functional.relu(normed("bn1", functional.conv3d(z_scores, tensors["conv1.weight"], stride=2, padding=3)))
    found = [x]
    x = functional.max_pool3d(x, 3, stride=2, padding=1)
    for stage, (stride, dilation) in enumerate(STAGES):
        for number in range(blocks[stage]):
            x = block(f"layer{stage + 1}.{number}", x, stride if number == 0 else 1, dilation)
        found.append(x)
    return found
