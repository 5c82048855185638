"""The number format a network computes in: torch's autocast, and for float16 a scaled loss."""

from __future__ import annotations

import torch

# What autocast computes in; float32 is computed without.
_FORMATS = {"bfloat16": torch.bfloat16, "float16": torch.float16}
# Gradients that overflow unscaled have diverged. Source: the least scale of DeepSpeed's float16 training.
LEAST_SCALE = 1.0


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the context in which a network on `device` computes in `precision`."""
    return torch.autocast(device.type, _FORMATS.get(precision, torch.bfloat16), enabled=precision in _FORMATS)


def make_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """Return what scales the loss so that small gradients do not vanish in float16; idle in other formats.

    It begins with 65536, halves at an overflow, and doubles after 2000 steps without one (torch's own values).
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "float16")


def lower_scale(scaler: torch.amp.GradScaler) -> float | None:
    """Return the new, lower scale after gradients that are not finite; None if the scale is not to blame."""
    before = scaler.get_scale()
    if not scaler.is_enabled() or before <= LEAST_SCALE:
        return None
    scaler.update()
    after = scaler.get_scale()
    return after if after < before else None
