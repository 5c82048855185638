"""How kernels are compiled: ahead of their first call, without the global lock, and kept on disk where possible."""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from types import CellType, FunctionType
from typing import Any, TypeVar, cast

from numba import njit, types

from genesis_core import randomness

Function = TypeVar("Function", bound=Callable[..., Any])

# Flat arrays. A read-only type takes writable arrays too, so one compilation serves both.
READ_F32 = types.Array(types.float32, 1, "C", readonly=True)
READ_U32 = types.Array(types.uint32, 1, "C", readonly=True)
READ_I32 = types.Array(types.int32, 1, "C", readonly=True)
READ_I64_2D = types.Array(types.int64, 2, "C", readonly=True)
WRITE_F32 = types.Array(types.float32, 1, "C")
WRITE_I32 = types.Array(types.int32, 1, "C")
WRITE_I64_2D = types.Array(types.int64, 2, "C")
PLANES = types.UniTuple(types.int64, 2)


@functools.cache
def _digest() -> bytes:
    sources = [*sorted(Path(__file__).parent.glob("*.py")), Path(randomness.__file__)]
    return hashlib.blake2b(b"".join(source.read_bytes() for source in sources), digest_size=16).digest()


def _stamped(function: Callable[..., Any]) -> Callable[..., Any]:
    # Numba's cache sees a change of the kernel's own file, not of what is inlined into it; but it does see closures.
    assert isinstance(function, FunctionType)
    code = function.__code__.replace(co_freevars=(*function.__code__.co_freevars, "sources"))
    cells = (*(function.__closure__ or ()), CellType(_digest()))
    stamped = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, cells)
    return functools.update_wrapper(stamped, function)


@functools.cache
def _say_uncached() -> None:
    # Once for all kernels.
    warnings.warn(
        "compiled corruption kernels cannot be kept on disk, so every start compiles them again; "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
        stacklevel=3,
    )


def compiled(returns: Any, *arguments: Any, nogil: bool = True) -> Callable[[Function], Function]:
    """Compile a function for exactly these argument types, and keep the result in numba's cache.

    A change of any file of kernels compiles them again. Numba looks beside the source, then in the user's cache
    folder (or in NUMBA_CACHE_DIR). Where none of them can be written, the function is compiled for this process
    alone, and a RuntimeWarning says so once. nogil: whether it lets go of Python's lock; for less than some ten
    microseconds of work, letting go and taking it again costs more than it gives others.
    """
    signature = returns(*arguments)
    options = {"nogil": nogil, "error_model": "numpy"}

    def decorate(function: Function) -> Function:
        try:
            return cast(Function, njit(signature, cache=True, **options)(_stamped(function)))
        except (RuntimeError, OSError) as problem:
            # A RuntimeError of another kind is a defect of the kernel and must not be hidden.
            if isinstance(problem, RuntimeError) and "cannot cache" not in str(problem):
                raise
            _say_uncached()
            return cast(Function, njit(signature, **options)(function))

    return decorate


def inlined(function: Function) -> Function:
    """Mark a small function that is compiled into the kernels calling it."""
    return cast(Function, njit(nogil=True, error_model="numpy")(function))
