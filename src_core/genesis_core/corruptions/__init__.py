"""Corruptions: maps from a sub-volume to a damaged copy, which a network learns to undo.

`recipe.Recipe` composes them, one file here declares each, `registry` lists them, and `kernels` holds the compiled
loops.
"""

from __future__ import annotations

import time


def warm() -> float:
    """Load the compiled kernels (or compile them, on the first start ever), so that the first corruption is not slow.

    Safe to call from any thread, for instance while a window opens. Returns the seconds it took.
    """
    start = time.perf_counter()
    from genesis_core.corruptions.kernels import box_drawing, checking, curve, gaussian, noise, shuffle  # noqa: F401

    return time.perf_counter() - start
