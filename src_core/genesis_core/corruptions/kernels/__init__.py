"""Compiled loops behind the corruptions: hashes, windows, curves and noise, without Python's global lock.

Nothing outside `corruptions` imports from here, and the corruptions import these modules only when they are first
applied: numba takes most of a second to load. Every kernel works on flat, C-contiguous arrays, changes only the arrays
it is told to write, holds no state, and repeats the hash of `genesis_core.randomness` bit for bit.
"""
