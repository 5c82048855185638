"""Reading a stranger's checkpoint without running a line of it: old and new torch files, and safetensors.

Torch files are pickles; only torch's own reader of plain tensors is used, which knows no code, and is taught numbers of
numpy as plain numbers (`pickled_numbers`). A file that needs more is refused.
"""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genesis_core.errors import ModelError
from genesis_core.model.pickled_numbers import ALLOWED
from genesis_core.model.weights import listed, sha256, unpack

# What a module wrapped in (Distributed)DataParallel puts before every name.
PARALLEL_PREFIX = "module."
# Under which keys training programs put the state dict: Models Genesis and others, SuPreM, MONAI's examples, nnU-Net.
NESTS = ("state_dict", "net", "model", "network_weights")
# The mark of a folder among a zip entry's attributes. Source: PKWARE's .ZIP specification, 4.4.15 (MS-DOS attributes).
_FOLDER = 0x10
# How torch's files begin: an archive, or, in older ones, a pickle of protocol 2 or later.
_TORCH_STARTS = (b"PK", b"\x80")
_ADVICE = "download it again, or give a .safetensors file"


@dataclass(frozen=True)
class CheckpointFile:
    """tensors: by name, on the CPU, prefix of parallel training removed. epoch: as the file says, or None.

    prefix: what was removed ("", or "module." once or more often). digest: SHA-256 of the file. nested: the key the
    tensors lay under, or "". told: what lay beside them, as plain data; empty for a bare state dict.
    """

    tensors: dict[str, Tensor]
    epoch: int | None
    prefix: str
    digest: str
    nested: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path) -> CheckpointFile:
    """Read the state dict of a checkpoint: bare, or under a key of `NESTS` in a training checkpoint.

    path: a torch file of any age (`.pt`, `.pth`, `.model`, ...) or `.safetensors`.
    Raises ModelError if the file is missing, damaged, cut short, holds no named tensors, or needs code to be read.
    """
    data = _read(path)
    if path.suffix.lower() == ".safetensors":
        content: Any = unpack(data, path)
    else:
        content = _read_torch(data, path)
    if not isinstance(content, Mapping):
        raise ModelError(
            f"{path}: holds an object of type {type(content).__name__}, not a state dict (names and tensors)"
        )
    nested = next((key for key in NESTS if isinstance(content.get(key), Mapping)), "")
    named = content[nested] if nested else content
    if not named or not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in named.items()):
        raise ModelError(
            f"{path}: no state dict found: expected names and tensors, at the top or under {' or '.join(NESTS)}; "
            f"the file's own keys are {listed(str(key)[:40] for key in content) or 'none'}"
        )
    epoch = content.get("epoch")
    prefix = ""
    while all(key.startswith(prefix + PARALLEL_PREFIX) for key in named):
        prefix += PARALLEL_PREFIX
    return CheckpointFile(
        tensors={key.removeprefix(prefix): value for key, value in named.items()},
        epoch=epoch if isinstance(epoch, int) else None,
        prefix=prefix,
        digest=sha256(data),
        nested=nested,
        told={str(key): value for key, value in content.items() if key != nested} if nested else {},
    )


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ModelError(f"{path}: a folder, not a checkpoint file; a model folder needs no conversion") from None
    except OSError as problem:
        raise ModelError(f"{path}: cannot be read ({problem.strerror or problem})") from None
    if not data:
        raise ModelError(f"{path}: the file is empty; download it again")
    return data


def _read_torch(data: bytes, path: Path) -> Any:
    try:
        _check_archive(data)
        with warnings.catch_warnings():
            # Old storages make torch warn about its own future, which is nobody's concern here.
            warnings.simplefilter("ignore")
            with torch.serialization.safe_globals(ALLOWED):
                return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        raise ModelError(_refusal(path, str(problem), data)) from None
    except _DamagedError as problem:
        raise ModelError(f"{path}: damaged ({problem}); {_ADVICE}") from None
    # Damaged bytes fail anywhere inside torch's reader, in ways it does not document; all mean the same here.
    except Exception as problem:
        if isinstance(problem, MemoryError) or "allocate memory" in str(problem):
            raise ModelError(f"{path}: there is not enough memory to read it; close other programs") from None
        raise ModelError(f"{path}: {_what_is_wrong(data)}; {_ADVICE}") from None


class _DamagedError(Exception):
    """What the archive's own sums and marks show."""


def _what_is_wrong(data: bytes) -> str:
    if data.startswith(_TORCH_STARTS):
        return "cut short or damaged: a torch checkpoint by its first bytes, and not a whole one"
    return "not a torch checkpoint"


def _check_archive(data: bytes) -> None:
    """Check the sums torch stores in its newer files but does not look at when it reads them."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise _DamagedError("its parts are compressed, which torch never does")
        # Of such a part torch gives whatever lay in memory.
        if any(part.external_attr & _FOLDER for part in parts):
            raise _DamagedError("a part of it is marked as a folder")
        damaged = archive.testzip()
    if damaged:
        raise _DamagedError(f"its part '{damaged}' is damaged: the checksum differs")


def _refusal(path: Path, problem: str, data: bytes) -> str:
    # torch names what it refused on a line of its own, after general advice that would be wrong to follow here.
    # Over the first bytes of what is no pickle at all it only stumbles: no code is meant there.
    words = ("Unsupported", "GLOBAL") if data.startswith(_TORCH_STARTS) else ("GLOBAL",)
    wanted = [line.strip() for line in problem.splitlines() if any(word in line for word in words)]
    if wanted:
        return (
            f"{path}: refused, because reading it would run code stored in the file ({wanted[0][:200]}); "
            "ask for a file with the state dict alone, or for .safetensors"
        )
    return f"{path}: {_what_is_wrong(data)}; {_ADVICE}"
