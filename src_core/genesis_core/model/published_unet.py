"""The published U-Net's checkpoint: what its tensors are called, how they lie, and how they become ours.

Only facts about the file stand here (names, shapes, axis order); the network is `networks.unet3d`. Its arrays are
(x, y, z) and ours (z, y, x), so the three kernel axes are reversed, once, here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genesis_core.model.checkpoint_file import CheckpointFile
from genesis_core.model.import_report import Finding
from genesis_core.networks.settings import UNet3DSettings

# Blocks of the file in the order of our levels. Source: the published PyTorch network's state dict.
ENCODER_BLOCKS = ("down_tr64", "down_tr128", "down_tr256", "down_tr512")
DECODER_BLOCKS = ("up_tr256", "up_tr128", "up_tr64")
HEAD = "out_tr.final_conv"
# Running averages of the published batch norm: stored, kept moving, and never read by its forward pass.
_BUFFERS = (".running_mean", ".running_var", ".num_batches_tracked")


def published_names() -> dict[str, str]:
    """Return our parameter name -> the published one, 64 of them."""
    modules = {}
    for ours, published in [("encoder", ENCODER_BLOCKS), ("decoder", DECODER_BLOCKS)]:
        for level, block in enumerate(published):
            if ours == "decoder":
                modules[f"decoder.{level}.up"] = f"{block}.up_conv"
            for index in (0, 1):
                modules[f"{ours}.{level}.convolutions.{index}.convolution"] = f"{block}.ops.{index}.conv1"
                modules[f"{ours}.{level}.convolutions.{index}.norm"] = f"{block}.ops.{index}.bn1"
    modules["head"] = HEAD
    return {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in modules.items() for kind in ("weight", "bias")}


def infer_settings(tensors: dict[str, Tensor]) -> UNet3DSettings:
    """Return the settings of the network a file was written from: its width, channels in and channels out.

    What the file does not tell, or tells absurdly, is taken as published (32, 1, 1).
    """
    width, in_channels = _sizes(tensors, f"{ENCODER_BLOCKS[0]}.ops.0.conv1.weight", 5, default=(32, 1))
    out_channels, _ = _sizes(tensors, f"{HEAD}.weight", 5, default=(1, 0))
    return UNet3DSettings(
        width=width if width <= 256 else 32,
        in_channels=in_channels if in_channels <= 1024 else 1,
        out_channels=out_channels if out_channels <= 1024 else 1,
    )


def _sizes(tensors: dict[str, Tensor], name: str, ndim: int, default: tuple[int, int]) -> tuple[int, int]:
    tensor = tensors.get(name)
    if tensor is None or tensor.ndim != ndim or min(tensor.shape[:2]) < 1:
        return default
    return int(tensor.shape[0]), int(tensor.shape[1])


def convert(file: CheckpointFile, expected: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[Finding]]:
    """Return the tensors that fit, under our names and in our axis order, and a finding for every tensor.

    expected: our network's state dict (shapes are enough). Converted tensors are float32 and contiguous.
    """
    names = published_names()
    converted, findings = {}, []
    for ours, wanted in expected.items():
        published = names[ours]
        tensor = file.tensors.get(published)
        if tensor is None:
            findings.append(Finding("missing", published, ours, f"expected {published_shape(wanted)}"))
            continue
        problem = _misfit(tensor, wanted)
        if problem:
            findings.append(Finding("mis-shaped", published, ours, problem))
            continue
        converted[ours] = to_our_axes(tensor.detach().float())
        note = "" if tensor.dtype == torch.float32 else f"stored as {tensor.dtype}, now float32"
        findings.append(Finding("matched", published, ours, note))
    known = set(names.values())
    for name in file.tensors:
        if name not in known:
            findings.append(Finding("not needed" if _is_buffer(name) else "unexpected", name))
    return converted, findings


def to_our_axes(tensor: Tensor) -> Tensor:
    """Reverse the three kernel axes of a convolution, (out, in, x, y, z) -> (out, in, z, y, x); vectors stay."""
    return (tensor.permute(0, 1, 4, 3, 2) if tensor.ndim == 5 else tensor).contiguous()


def published_shape(ours: Tensor) -> tuple[int, ...]:
    """Return the shape, in the file's axis order, of one of our tensors."""
    shape = tuple(ours.shape)
    return shape[:2] + shape[:1:-1] if len(shape) == 5 else shape


def other_architecture(findings: list[Finding]) -> list[str]:
    """Return unexpected tensors inside the published blocks: they would change what the network computes."""
    blocks = tuple(f"{block}." for block in (*ENCODER_BLOCKS, *DECODER_BLOCKS, "out_tr"))
    return [item.published for item in findings if item.status == "unexpected" and item.published.startswith(blocks)]


def _is_buffer(name: str) -> bool:
    return name.startswith((*ENCODER_BLOCKS, *DECODER_BLOCKS)) and ".bn1" in name and name.endswith(_BUFFERS)


def _misfit(tensor: Tensor, wanted: Tensor) -> str:
    shape = published_shape(wanted)
    if tuple(tensor.shape) != shape:
        return f"is {tuple(tensor.shape)}, expected {shape}"
    if tensor.layout != torch.strided or tensor.is_quantized or not tensor.is_floating_point() or tensor.is_meta:
        return f"is {tensor.dtype} ({tensor.layout}), expected plain floating-point numbers"
    return ""
