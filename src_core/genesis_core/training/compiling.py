"""Letting torch compile a network, where it can; a training that asks for it goes on without it where it cannot.

What is compiled computes in the network's place and shares its parameters; it is never saved, so that the names of
parameters stay those of the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

_LONGEST_REASON = 200


def compiled(network: nn.Module) -> nn.Module:
    """Return what computes as `network` does; it is compiled, or fails to be, when it is first called.

    Raises RuntimeError where torch cannot compile at all (a Python too new for it).
    """
    import torch

    result: Any = torch.compile(network)
    made: nn.Module = result
    return made


def not_compiled(problem: BaseException) -> str:
    """Return a sentence that says why the network is not compiled, without the compiler's pages of output."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    words = lines[0] if lines else type(problem).__name__
    reason = words if len(words) <= _LONGEST_REASON else words[:_LONGEST_REASON] + " ..."
    return f"the network could not be compiled and is trained without: {reason}"
