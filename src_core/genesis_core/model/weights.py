"""Weights on disk: safetensors only, so that reading them can run no code, and checked before they reach a network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from genesis_core.errors import ModelError

# The most a safetensors header of one of our networks can take.
_HEADER_ALLOWANCE = 4 << 20
# Names shown of a long list; the rest is counted.
_NAMES_SHOWN = 8


def pack(network: nn.Module) -> bytes:
    """Return the network's state as safetensors: float32 (integers as they are), contiguous, no time or path inside.

    Raises ModelError if a value is not finite: such a model could only return nonsense.
    """
    tensors = {}
    for key, tensor in network.state_dict().items():
        value = tensor.detach().cpu()
        if value.is_floating_point():
            value = value.float()
        # A copy of its own, since safetensors refuses tensors that share memory or are channels-last.
        tensors[key] = value.clone(memory_format=torch.contiguous_format)
    refuse_not_finite(tensors, "the network to be saved")
    data: bytes = safetensors.torch.save(tensors)
    return data


def unpack(data: bytes, where: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file's bytes. Raises ModelError if it is damaged or cut short."""
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError, MemoryError) as problem:
        raise ModelError(f"{where}: not a complete safetensors file ({problem}); copy it again") from None
    return tensors


def read_bytes(path: Path, network: nn.Module) -> bytes:
    """Read a weights file whole, unless it is far larger than the network's weights can be."""
    expected = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    try:
        size = path.stat().st_size
        if size > expected + _HEADER_ALLOWANCE:
            raise ModelError(f"{path}: {size} bytes, but the network in the card needs {expected}; not its weights")
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; the model folder is incomplete") from None
    except OSError as problem:
        raise ModelError(f"{path}: cannot be read ({problem.strerror or problem})") from None


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Return one sentence per kind of difference in names, shapes and types; empty if all fit."""
    lines = []
    missing = [key for key in expected if key not in found]
    unexpected = [key for key in found if key not in expected]
    both = [key for key in expected if key in found]
    shaped = [
        f"{key} is {tuple(found[key].shape)}, not {tuple(expected[key].shape)}"
        for key in both
        if found[key].shape != expected[key].shape
    ]
    typed = [f"{key} is {found[key].dtype}" for key in both if found[key].dtype != expected[key].dtype]
    for title, names in (
        ("missing", missing),
        ("unexpected", unexpected),
        ("mis-shaped", shaped),
        ("mis-typed", typed),
    ):
        if names:
            lines.append(f"{len(names)} {title}: {listed(names)}")
    return lines


def refuse_not_finite(tensors: Mapping[str, Tensor], where: object) -> None:
    """Raise ModelError naming the tensors that hold NaN or infinity."""
    bad = [key for key, tensor in tensors.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if bad:
        raise ModelError(f"{where}: weights are not finite (NaN or infinity) in {listed(bad)}")


def listed(names: Iterable[str]) -> str:
    """Return the first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
