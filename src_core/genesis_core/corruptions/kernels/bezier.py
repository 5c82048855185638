"""One coordinate of a cubic Bezier curve from 0 to 1, its derivative, and its inverse, in double precision.

With both inner control values in [0, 1] the coordinate never decreases, so the inverse exists; it may be vertical.
"""

from __future__ import annotations

from genesis_core.corruptions.kernels.compiling import inlined


@inlined
def bezier(t: float, first: float, second: float) -> float:
    """Return the cubic Bezier coordinate with end points 0 and 1 at parameter t."""
    back = 1.0 - t
    return t * (3.0 * first * back * back + t * (3.0 * second * back + t))


@inlined
def velocity(t: float, first: float, second: float) -> float:
    """Return the derivative of `bezier` with respect to t."""
    back = 1.0 - t
    return 3.0 * (first * back * back + 2.0 * (second - first) * back * t + (1.0 - second) * t * t)


@inlined
def solve(x: float, first: float, second: float, low: float, high: float) -> float:
    """Return t in [low, high] with bezier(t) = x, to 1e-13, by Newton's method kept inside a shrinking bracket."""
    x_low = bezier(low, first, second)
    x_high = bezier(high, first, second)
    if x <= x_low or x_high <= x_low:
        return low
    t = low + (high - low) * min((x - x_low) / (x_high - x_low), 1.0)
    for _ in range(60):
        miss = bezier(t, first, second) - x
        if miss > 0.0:
            high = t
        else:
            low = t
        speed = velocity(t, first, second)
        step = t - miss / speed if speed > 0.0 else low
        if not low < step < high:
            step = 0.5 * (low + high)
        moved = abs(step - t)
        t = step
        if moved <= 1e-13:
            break
    return t
