"""How kernels are compiled: ahead of their first call, without the global lock, and kept on disk where possible."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit, types

Function = TypeVar("Function", bound=Callable[..., Any])

# Flat arrays. A read-only type takes writable arrays too, so one compilation serves both.
READ_F32 = types.Array(types.float32, 1, "C", readonly=True)
READ_U32 = types.Array(types.uint32, 1, "C", readonly=True)
READ_I32 = types.Array(types.int32, 1, "C", readonly=True)
READ_I64_2D = types.Array(types.int64, 2, "C", readonly=True)
WRITE_F32 = types.Array(types.float32, 1, "C")
WRITE_I32 = types.Array(types.int32, 1, "C")
WRITE_I64_2D = types.Array(types.int64, 2, "C")


def compiled(returns: Any, *arguments: Any) -> Callable[[Function], Function]:
    """Compile a function for exactly these argument types, and keep the result in numba's cache.

    Numba looks beside the source, then in the user's cache folder (or in NUMBA_CACHE_DIR). Where none of them can be
    written, the function is compiled for this process alone, and a RuntimeWarning says so.
    """
    signature = returns(*arguments)
    options = {"nogil": True, "error_model": "numpy"}

    def decorate(function: Function) -> Function:
        try:
            return cast(Function, njit(signature, cache=True, **options)(function))
        except (RuntimeError, OSError) as problem:
            # A RuntimeError of another kind is a defect of the kernel and must not be hidden.
            if isinstance(problem, RuntimeError) and "cannot cache" not in str(problem):
                raise
            warnings.warn(
                f"compiled corruption kernels cannot be kept on disk ({problem}); every start compiles them again. "
                "Set NUMBA_CACHE_DIR to a folder that can be written.",
                RuntimeWarning,
                stacklevel=2,
            )
            return cast(Function, njit(signature, **options)(function))

    return decorate


def inlined(function: Function) -> Function:
    """Mark a small function that is compiled into the kernels calling it."""
    return cast(Function, njit(nogil=True, error_model="numpy")(function))
