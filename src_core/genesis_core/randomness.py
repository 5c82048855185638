"""Random numbers without state: every number is a hash of (seed, names, counter).

Nothing here remembers anything, so a sample drawn on any thread, worker or machine is the same sample, and a
checkpoint never stores a generator. The hash is splitmix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom
number generators"); the counter-th number of a stream is the counter-th output of splitmix64 started at the stream's
key. Compiled code repeats the same arithmetic on uint64, so both give the same bits.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
# Increment and multipliers of splitmix64.
GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB
# 53 bits fill the mantissa of a double.
UNIT = 2.0**-53


def mix(value: int) -> int:
    """Finalise 64 bits (splitmix64's output function)."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * MIX_1) & _MASK
    value = ((value ^ (value >> 27)) * MIX_2) & _MASK
    return value ^ (value >> 31)


@cache
def _hash_name(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def stream(seed: int, *names: str | int) -> int:
    """Return the 64-bit key of the stream called `names` under `seed`.

    seed: any integer (taken modulo 2**64). names: words and numbers that say what the stream is for,
    for instance `stream(seed, "train", step, index)`. Different names give unrelated streams.
    """
    key = mix(seed + GOLDEN)
    for name in names:
        part = _hash_name(name) if isinstance(name, str) else mix(name + MIX_2)
        key = mix((key ^ part) + GOLDEN)
    return key


def bits(key: int, counter: int) -> int:
    """Return the counter-th 64 random bits of a stream."""
    return mix(key + (counter + 1) * GOLDEN)


def uniform(key: int, counter: int) -> float:
    """Return the counter-th number of a stream, uniform in [0, 1)."""
    return (bits(key, counter) >> 11) * UNIT


def integer(key: int, counter: int, low: int, high: int) -> int:
    """Return the counter-th number of a stream as an integer, uniform in low..high, both ends included."""
    if high < low:
        raise ValueError(f"empty range {low}..{high}")
    return low + int(uniform(key, counter) * (high - low + 1))


def uniforms(key: int, count: int, start: int = 0) -> NDArray[np.float64]:
    """Return `count` numbers of a stream from counter `start` on, uniform in [0, 1), as float64."""
    counters = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        value = np.uint64(key) + counters * np.uint64(GOLDEN)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(MIX_1)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(MIX_2)
        value ^= value >> np.uint64(31)
    return (value >> np.uint64(11)).astype(np.float64) * UNIT
