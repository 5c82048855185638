"""Refusing work that cannot fit into memory before it starts, with the numbers, instead of being killed half way."""

from __future__ import annotations

from genesis_core.errors import MemoryBudgetError


def require_memory(needed: int, what: str, advice: str) -> None:
    """Raise MemoryBudgetError if `needed` bytes exceed what the system can give without swapping.

    what: the work, for the message ("restoring a scan of 300 x 512 x 512 voxels"). advice: what to do, as a clause.
    """
    import psutil

    available = int(psutil.virtual_memory().available)
    if needed > available:
        raise MemoryBudgetError(f"{what} needs about {_size(needed)}, and {_size(available)} are free: {advice}")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
