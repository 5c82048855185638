"""Activation checkpointing: a training step keeps what lies between the levels of a network and computes the rest anew.

It knows of no backbone: the levels are those a network names (`encoder`, `decoder`), or else its children. Neither the
names of parameters nor what is computed change; running statistics follow a batch once, though it passes twice.
Source: Chen et al. 2016 (Training deep nets with sublinear memory cost), as torch has it.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def recompute_activations(network: nn.Module) -> None:
    """Let every level of `network` recompute its activations in the backward pass of a training step, in place.

    Without gradients, and in evaluation, the levels compute as before. A copy of the network recomputes, too.
    """
    for stage in stages(network):
        # A method of this very module: a copy gets one of its own, and the tree of modules stays as it is.
        stage.forward = types.MethodType(_recomputed, stage)


def stages(network: nn.Module) -> list[nn.Module]:
    """Return what is recomputed as one: the levels of encoder and decoder; of other networks, their children."""
    levels = [getattr(network, name, None) for name in ("encoder", "decoder")]
    found = [level for part in levels if isinstance(part, nn.ModuleList) for level in part]
    return [stage for one in found or network.children() for stage in _callable(one)]


def _callable(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the module, or what it is made of where it only holds parts that others call."""
    if type(module).forward is not nn.Module.forward:
        yield module
        return
    for child in module.children():
        yield from _callable(child)


def _recomputed(module: nn.Module, *inputs: Any) -> Any:
    forward = type(module).forward
    if not (module.training and torch.is_grad_enabled()):
        return forward(module, *inputs)
    if torch.compiler.is_compiling():
        # The compiler knows no contexts, and needs none: in its graph, buffers change in the forward pass alone.
        return checkpoint(forward, module, *inputs, use_reentrant=False)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _kept_statistics(module)

    return checkpoint(forward, module, *inputs, use_reentrant=False, context_fn=contexts)


@contextmanager
def _kept_statistics(module: nn.Module) -> Iterator[None]:
    """Leave the buffers as they were: a batch norm would count the same batch a second time."""
    kept = [buffer.clone() for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, before in zip(module.buffers(), kept, strict=True):
            # Past autograd's count of changes: the backward pass holds on to these very buffers.
            buffer.data.copy_(before)
