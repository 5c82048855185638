"""Synthetic checkpoints laid out as nnU-Net v2's and nnssl's, and a forward pass over their raw tensors.

Names, shapes and arithmetic are those of the published networks; values are random. Nothing of the package, and nothing
of nnU-Net, is used here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from suprem_layout import Values
from torch import Tensor
from torch.nn import functional

Size = tuple[int, ...]


class Plan(NamedTuple):
    """What plans say of a network: by level, and by level of the decoder, the coarsest first."""

    channels: tuple[int, ...]
    strides: tuple[Size, ...]
    kernels: tuple[Size, ...]
    blocks: tuple[int, ...]
    decoder: tuple[int, ...]
    residual: bool
    classes: int = 3
    inputs: int = 1


def cubes(depth: int) -> tuple[tuple[Size, ...], tuple[Size, ...]]:
    return ((1, 1, 1), *((2, 2, 2),) * (depth - 1)), ((3, 3, 3),) * depth


# nnU-Net's default for thick slices in small; its residual encoder of size L; the same in small; and one of slices.
PLAIN = Plan((4, 8, 8), ((1, 1, 1), (1, 2, 2), (2, 2, 2)), ((1, 3, 3), (3, 3, 3), (3, 3, 3)), (2, 2, 2), (2, 2), False)
LARGE = Plan((32, 64, 128, 256, 320, 320), *cubes(6), (1, 3, 4, 6, 6, 6), (1, 1, 1, 1, 1), True, 1)
SMALL = Plan((4, 8, 10, 10), *cubes(4), (1, 2, 1, 2), (1, 2, 1), True)
SLICES = Plan((4, 8, 8), ((1, 1), (2, 2), (2, 2)), ((3, 3),) * 3, (2, 1, 2), (1, 2), False)


def nnunet(plan: Plan, make: Values | None = None, decoder: bool = True) -> dict[str, Tensor]:
    """Every tensor of a file, those under a second name included."""
    make = make or Values(11)
    tensors: dict[str, Tensor] = {}

    def convolution(name: str, inputs: int, outputs: int, kernel: Size, bias: bool = True) -> None:
        tensors[f"{name}.conv.weight"] = make.kernel(outputs, inputs, *kernel)
        if bias:
            tensors[f"{name}.conv.bias"] = make.around(0, outputs)
        tensors[f"{name}.norm.weight"], tensors[f"{name}.norm.bias"] = make.around(1, outputs), make.around(0, outputs)
        for place, part in enumerate(("conv", "norm")):
            for kind in ("weight", "bias"):
                if f"{name}.{part}.{kind}" in tensors:
                    tensors[f"{name}.all_modules.{place}.{kind}"] = tensors[f"{name}.{part}.{kind}"]

    channels, one = plan.channels, (1,) * len(plan.kernels[0])
    before = plan.inputs
    if plan.residual:
        convolution("encoder.stem.convs.0", before, channels[0], plan.kernels[0])
        before = channels[0]
    for level, count in enumerate(plan.blocks):
        after, kernel = channels[level], plan.kernels[level]
        for number in range(count):
            if not plan.residual:
                convolution(f"encoder.stages.{level}.0.convs.{number}", before, after, kernel)
            else:
                block = f"encoder.stages.{level}.blocks.{number}"
                convolution(f"{block}.conv1", before, after, kernel)
                convolution(f"{block}.conv2", after, after, kernel)
                if before != after:
                    strided = max(plan.strides[level]) > 1
                    convolution(f"{block}.skip.{int(strided)}", before, after, one, bias=False)
            before = after
    if not decoder:
        return tensors
    tensors |= {f"decoder.{name}": tensor for name, tensor in tensors.items()}
    for place, count in enumerate(plan.decoder):
        level = len(channels) - 2 - place
        inputs, outputs = channels[level + 1], channels[level]
        tensors[f"decoder.transpconvs.{place}.weight"] = make.kernel(inputs, outputs, *plan.strides[level + 1])
        tensors[f"decoder.transpconvs.{place}.bias"] = make.around(0, outputs)
        for number in range(count):
            before = 2 * outputs if number == 0 else outputs
            convolution(f"decoder.stages.{place}.convs.{number}", before, outputs, plan.kernels[level])
        tensors[f"decoder.seg_layers.{place}.weight"] = make.kernel(plan.classes, outputs, *one)
        tensors[f"decoder.seg_layers.{place}.bias"] = make.around(0, plan.classes)
    return tensors


def nnunet_logits(tensors: dict[str, Tensor], plan: Plan, x: Tensor) -> Tensor:
    """The finest output for standardised input (batch, channel, *space)."""
    flat = len(plan.kernels[0]) == 2
    convolve = functional.conv2d if flat else functional.conv3d
    raise_up = functional.conv_transpose2d if flat else functional.conv_transpose3d
    average = functional.avg_pool2d if flat else functional.avg_pool3d
    one = (1,) * len(plan.kernels[0])

    def normed(name: str, x: Tensor, stride: Size = one) -> Tensor:
        kernel = tensors[f"{name}.conv.weight"]
        x = convolve(x, kernel, tensors.get(f"{name}.conv.bias"), stride, [size // 2 for size in kernel.shape[2:]])
        return functional.instance_norm(x, weight=tensors[f"{name}.norm.weight"], bias=tensors[f"{name}.norm.bias"])

    def active(x: Tensor) -> Tensor:
        return functional.leaky_relu(x, 0.01)

    skips = []
    if plan.residual:
        x = active(normed("encoder.stem.convs.0", x))
    for level, count in enumerate(plan.blocks):
        for number in range(count):
            stride = plan.strides[level] if number == 0 else one
            if not plan.residual:
                x = active(normed(f"encoder.stages.{level}.0.convs.{number}", x, stride))
                continue
            block = f"encoder.stages.{level}.blocks.{number}"
            past = average(x, stride, stride) if max(stride) > 1 else x
            for place in (0, 1):
                if f"{block}.skip.{place}.conv.weight" in tensors:
                    past = normed(f"{block}.skip.{place}", past)
            x = active(normed(f"{block}.conv2", active(normed(f"{block}.conv1", x, stride))) + past)
        skips.append(x)
    skips.pop()
    for place, count in enumerate(plan.decoder):
        kernel, bias = (tensors[f"decoder.transpconvs.{place}.{kind}"] for kind in ("weight", "bias"))
        x = torch.cat((raise_up(x, kernel, bias, stride=tuple(kernel.shape[2:])), skips.pop()), 1)
        for number in range(count):
            x = active(normed(f"decoder.stages.{place}.convs.{number}", x))
    last = len(plan.decoder) - 1
    return convolve(x, tensors[f"decoder.seg_layers.{last}.weight"], tensors[f"decoder.seg_layers.{last}.bias"])


CT = {"mean": 98.5, "median": 101.0, "std": 42.25, "min": -990.0, "max": 1810.0}
CT |= {"percentile_00_5": -18.0, "percentile_99_5": 201.0}


def plans(scheme: str = "CTNormalization", spacing: tuple[float, ...] = (5.0, 0.75, 0.8)) -> dict[str, object]:
    """Plans as they are stored, with two configurations of which one inherits from the other."""
    full = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "batch_size": 2,
        "patch_size": [32, 160, 192],
        "spacing": list(spacing),
        "normalization_schemes": [scheme],
        "use_mask_for_norm": [False],
    }
    return {
        "dataset_name": "Dataset003_Liver",
        "plans_name": "nnUNetPlans",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {
            "3d_fullres": full,
            "3d_small": {"inherits_from": "3d_fullres", "patch_size": [32, 64, 64]},
            "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
            "2d": {**full, "patch_size": [64, 96], "spacing": list(spacing[1:])},
        },
        "foreground_intensity_properties_per_channel": {"0": CT},
    }


DATASET = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "tumour": 2}, "file_ending": ".nii.gz"}


def as_saved(tensors: dict[str, Tensor], configuration: str = "3d_fullres", **more: object) -> dict[str, object]:
    """Wrap tensors as nnU-Net saves them: numpy's floats in the history, plans, a device."""
    init = {
        "plans": plans(),
        "configuration": configuration,
        "fold": 0,
        "dataset_json": DATASET,
        "unpack_dataset": True,
        "device": torch.device("cpu"),
    }
    return {
        "network_weights": tensors,
        "optimizer_state": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.01}]},
        "grad_scaler_state": None,
        "logging": {
            "mean_fg_dice": [np.float64(0.5), np.float32(0.75)],
            "lrs": [0.01],
            "train_losses": [np.float64(-1)],
        },
        "_best_ema": np.float64(0.625),
        "current_epoch": 1000,
        "init_args": {**init, **more},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }


def from_nnssl(tensors: dict[str, Tensor]) -> dict[str, object]:
    """Wrap tensors as nnssl hands them out."""
    plan = {"architecture_plans": {"arch_class_name": "ResEncL", "arch_kwargs": None}, "pretrain_num_input_channels": 1}
    return {
        "network_weights": tensors,
        "nnssl_adaptation_plan": plan,
        "citations": [],
        "trainer_name": "BaseMAETrainer",
    }
