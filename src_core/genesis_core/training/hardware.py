"""What this machine can compute with: device, precision, threads. "auto" is decided here and said in run.yaml."""

from __future__ import annotations

import ctypes
from typing import Any

# Parameters of mallopt. Source: glibc, malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

# Compute capability of the first GPUs with tensor cores for float16 (Volta). Source: NVIDIA, CUDA C programming guide.
_TENSOR_CORES = 7
# And of the first that compute in bfloat16; all that ROCm supports do.
_AMPERE = 8


def native_bfloat16(device: str) -> bool:
    """Whether `device` computes in bfloat16 at full speed, rather than emulating it."""
    import torch

    if device.startswith("cuda"):
        # torch's own question is about the current GPU alone.
        return torch.version.hip is not None or bool(torch.cuda.get_device_capability(device)[0] >= _AMPERE)
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def native_float16(device: str) -> bool:
    """Whether `device` computes convolutions in float16 at full speed, rather than emulating them or more slowly."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.get_device_capability(device)[0] >= _TENSOR_CORES)
    if device == "cpu":
        mkldnn: Any = torch.backends.mkldnn
        return bool(mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_fp16_supported())
    return device.startswith("mps")


def resolve_precision(precision: str, device: str) -> str:
    """Return "float32", "bfloat16" or "float16" for a setting that may be "auto".

    float16 is chosen on GPUs alone: there its range costs a scaled loss, and nothing else.
    """
    if precision != "auto":
        return precision
    if native_bfloat16(device):
        return "bfloat16"
    return "float16" if device.startswith("cuda") and native_float16(device) else "float32"


def resolve_compile(compile: str, device: str) -> bool:
    """Return whether torch shall compile the network, for a setting that may be "auto"."""
    return compile == "always" or (compile == "auto" and device.startswith("cuda"))


def memory_in_words(device: str) -> str:
    """Return where a training computes and how much memory is there, as " on cuda:0 (79.2 GiB)"."""
    import torch

    if device.startswith("cuda"):
        size = torch.cuda.get_device_properties(device).total_memory
    elif device == "cpu":
        import psutil

        size = psutil.virtual_memory().total
    else:
        return f" on {device}"
    return f" on {device} ({size / 2**30:.1f} GiB)"


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
