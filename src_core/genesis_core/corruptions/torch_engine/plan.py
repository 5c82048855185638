"""A batch's draws made ready for the device: prepared on the CPU, sent in one copy, carried out without waiting.

Samples that go through the same step of a recipe share its launches. Batches are cut so that memory stays bounded,
whatever their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from genesis_core.corruptions.application import check_batch
from genesis_core.corruptions.corruption import Corruption
from genesis_core.corruptions.draw import Draw, StepDraw
from genesis_core.corruptions.torch_engine.version import DeviceVersion, Portion
from genesis_core.errors import RecipeError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genesis_core.corruptions.recipe import Recipe

# Elements of an array at a time: eight samples of 96 x 96 x 96. An array of int64 then takes 64 MiB.
ELEMENTS = 1 << 23
# Arrays share one buffer, each beginning where any type may.
_ALIGNED = 8


@dataclass(frozen=True)
class _Work:
    """One launch of a corruption: on these samples, with its arrays at these places of the buffer."""

    samples: tuple[int, ...]
    version: DeviceVersion
    portion: Portion
    facts: Any
    places: tuple[tuple[str, int, np.dtype[Any], tuple[int, ...]], ...]


@dataclass(frozen=True)
class Plan:
    """What is to be done to a batch. buffer: bytes, on the CPU or on a device; `to` moves it.

    draws: one for each sample. channels: of a sample.
    """

    draws: tuple[Draw, ...]
    channels: int
    buffer: Tensor
    _works: tuple[_Work, ...]

    def to(self, device: torch.device) -> Plan:
        """Return the plan with its arrays on `device`, sent in one copy that is not waited for."""
        return replace(self, buffer=self.buffer.to(device, non_blocking=True))

    def pinned(self) -> Plan:
        """Return the plan in memory that a GPU reads by itself."""
        return replace(self, buffer=self.buffer.pin_memory())

    def only(self, index: int) -> Plan:
        """Return the plan for one sample alone, on the CPU."""
        return _plan(self.draws[index : index + 1], self.channels)

    def apply(self, x: Tensor) -> Tensor:
        """Return the corrupted copy of a batch: (batch, channel, z, y, x) or (batch, channel, y, x), float32.

        x: on the device of the plan, its values those that `prepare` was shown (in [0, 1], which is not looked at
        again). A pure function: the same on every device, and for a sample alone.
        """
        import torch

        # Of the operations used here autocast changes none.
        with torch.no_grad():
            out = x.reshape(*x.shape[:2], -1).clone(memory_format=torch.contiguous_format)
            for work in self._works:
                arrays = {name: self._array(start, dtype, shape) for name, start, dtype, shape in work.places}
                if len(work.samples) == len(out):
                    out = work.version.apply(out, work.portion, arrays, work.facts)
                else:
                    samples = arrays.pop("")
                    chosen = out.index_select(0, samples)
                    out.index_copy_(0, samples, work.version.apply(chosen, work.portion, arrays, work.facts))
            return out.view(x.shape)

    def _array(self, start: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Tensor:
        import torch

        size = dtype.itemsize * int(np.prod(shape))
        kind: torch.dtype = getattr(torch, dtype.name)
        return self.buffer[start : start + size].view(kind).view(shape)


def prepare(x: ArrayLike, draws: Sequence[Draw]) -> Plan:
    """Return the plan for a batch of these draws.

    x: the batch on the CPU, as `Recipe.apply` takes it: floats in [0, 1], (batch, channel, z, y, x) or (batch, channel,
    y, x), one draw for each sample. Raises RecipeError as that does, and for a corruption that only the compiled
    engine knows.
    """
    source = check_batch(x, draws)
    return _plan(tuple(draws), source.shape[1])


def missing_kinds(recipe: Recipe) -> tuple[str, ...]:
    """Return the kinds of a recipe's corruptions that only the compiled engine knows."""
    found = [corruption for step in recipe.steps for corruption, _ in step.choices]
    return tuple(dict.fromkeys(one.kind for one in found if one.on_device() is None))


def _plan(draws: tuple[Draw, ...], channels: int) -> Plan:
    import torch

    works: list[_Work] = []
    parts: list[bytes] = []
    filled = 0
    for corruption, chosen in _groups(draws):
        version = corruption.on_device()
        if version is None:
            raise RecipeError(f"{corruption.kind}: only the compiled engine knows this corruption")
        shape = draws[0].shape3
        most = max(1, ELEMENTS // version.elements(shape, channels))
        for first in range(0, len(chosen), most):
            samples, steps = zip(*chosen[first : first + most], strict=True)
            portion = Portion([step.decided for step in steps], [step.key for step in steps], shape, channels)
            tables = version.tables(portion)
            places = []
            # Samples by their numbers in the batch, under a name that no corruption gives.
            for name, array in {**tables.arrays, "": np.array(samples, np.int64)}.items():
                places.append((name, filled, array.dtype, array.shape))
                parts.append(array.tobytes() + bytes(-array.nbytes % _ALIGNED))
                filled += len(parts[-1])
            works.append(_Work(samples, version, portion, tables.facts, tuple(places)))
    # An empty buffer has nothing to read from.
    buffer = torch.frombuffer(bytearray(b"".join(parts) or bytes(_ALIGNED)), dtype=torch.uint8)
    return Plan(draws, channels, buffer, tuple(works))


def _groups(draws: Sequence[Draw]) -> list[tuple[Corruption, list[tuple[int, StepDraw]]]]:
    """Return the corruptions in an order that keeps that of every draw, each with the samples it is applied to."""
    found: dict[tuple[int, Corruption], list[tuple[int, StepDraw]]] = {}
    for sample, draw in enumerate(draws):
        level = -1
        for step in draw.steps:
            # A recipe's positions rise; a draw from elsewhere may count them otherwise.
            level = max(level + 1, step.position)
            found.setdefault((level, step.corruption), []).append((sample, step))
    return [(corruption, found[level, corruption]) for level, corruption in sorted(found, key=lambda key: key[0])]
