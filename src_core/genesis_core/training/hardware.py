"""What this machine can compute with: device, precision, threads. "auto" is decided here and said in run.yaml."""

from __future__ import annotations

import ctypes

# Parameters of mallopt. Source: glibc, malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def native_bfloat16(device: str) -> bool:
    """Whether `device` computes in bfloat16 at full speed, rather than emulating it."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def resolve_precision(precision: str, device: str) -> str:
    """Return "float32" or "bfloat16" for a setting that may be "auto"."""
    if precision != "auto":
        return precision
    return "bfloat16" if native_bfloat16(device) else "float32"


def keep_freed_memory() -> None:
    """Let the C library keep what is freed instead of handing it back, for this whole process; glibc only.

    A training step frees and asks for the same blocks again and again; clearing their pages anew costs a tenth of it
    (measured: benchmarks/bench_train_step.py). For processes that do nothing but train.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    except (OSError, AttributeError):
        # Another C library: training is a little slower, nothing else.
        return
