"""Numbers of numpy inside a checkpoint's pickle, read as plain numbers, without numpy or any code of the file.

nnU-Net's checkpoints keep the history of their training as numpy's floats, which torch's reader of plain tensors
refuses. Under the names such a number is pickled with, that reader is given the two small classes here and nothing
else of numpy, so that what can be made is a number or an error. Source: numpy's own pickles of its scalars.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any

# numpy's code of a type -> struct's: booleans, whole numbers and floats of any width.
_CODES = {"b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I"} | {
    "i8": "q",
    "u8": "Q",
    "f2": "e",
    "f4": "f",
    "f8": "d",
}


class NumberType:
    """What stands for numpy's `dtype`: the code of a type, and the order of its bytes."""

    def __init__(self, code: str, _align: bool = False, _copy: bool = True) -> None:
        if code not in _CODES:
            raise pickle.UnpicklingError(f"Unsupported type of number {str(code)[:20]!r}")
        self.code = _CODES[code]
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the order of bytes from what numpy stores: a version, then the order; "|" is one byte, in no order."""
        order = state[1] if len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("Unsupported order of bytes")
        self.order = "<" if order in ("|", "=") else str(order)


def number(kind: NumberType, stored: bytes) -> float:
    """Return the number that `stored` holds; what stands for numpy's `scalar`."""
    if not isinstance(kind, NumberType) or not isinstance(stored, bytes):
        raise pickle.UnpicklingError("Unsupported kind of number")
    try:
        value: float = struct.unpack(kind.order + kind.code, stored)[0]
    except struct.error as problem:
        raise pickle.UnpicklingError(f"damaged number ({problem})") from None
    return value


# What may be read under which name of the file; numpy renamed its package in version 2.
ALLOWED: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (NumberType, "numpy.dtype"),
    (number, "numpy.core.multiarray.scalar"),
    (number, "numpy._core.multiarray.scalar"),
]
