"""A plan for fine-tuning, from the data and the machine: spacing, patch, width, batch, steps, each with its reason.

Pure arithmetic on `SetFacts`, `Machine` and the source's card; what the user has set is obeyed, and the reason says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from genesis_core.networks.settings import UNet3DSettings
from genesis_core.training.set_facts import SetFacts, Triple

if TYPE_CHECKING:
    from genesis_core.model.card import ModelCard
    from genesis_core.networks.settings import NetworkSettings

Size = tuple[int, int, int]

# Spacings within this of the median are one spacing: resampling would cost sharpness and gain nothing.
_SAME_SPACING = 0.1
# Room around a structure that a network needs to tell it from its surroundings, as a share of its size, and in mm.
_CONTEXT, _MARGIN = 1.25, 10.0
# The smallest structure keeps this many voxels across, so that coarser voxels never lose it.
_VOXELS_ACROSS = 6.0
_COARSEST = 3.0
_WORTH_RESAMPLING = 1.25
# Voxels of a patch that a step takes a second or so for, by kind of device (benchmarks/RESULTS.md for the CPU).
_PATCH_VOXELS = {"cpu": 200_000, "cuda": 1_200_000, "mps": 400_000}
_WIDTH = {"cpu": 16, "cuda": 32, "mps": 16}
_STEPS = {"cpu": 1000, "cuda": 5000, "mps": 2000}
# What torch takes beside the numbers a step holds, which each network's settings know.
_TORCH_BYTES = 350_000_000
_LOWEST_PATCH = 16


@dataclass(frozen=True)
class Machine:
    """Where the training runs. kind: "cpu", "cuda" or "mps". memory: bytes free there. item: bytes a number."""

    kind: str
    memory: int
    item: int


@dataclass(frozen=True)
class Given:
    """What the user has decided; None: to be planned."""

    spacing: Triple | None = None
    patch: Size | None = None
    width: int | None = None
    norm: str | None = None
    batch_size: int | None = None
    steps: int | None = None
    hours: float | None = None
    folds: int | None = None


@dataclass(frozen=True)
class Plan:
    """What shall be done. spacing: None means as scanned. steps: None means as many as fit the hours. norm: None means
    that the network knows only one.

    memory: bytes a step is estimated to take. reasons: one sentence per choice, by the name of the setting.
    warnings: what the user should know before it starts.
    """

    spacing: Triple | None
    patch: Size
    width: int
    norm: str | None
    batch_size: int
    steps: int | None
    folds: int
    keep: str
    memory: int
    reasons: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def make_plan(
    facts: SetFacts, machine: Machine, given: Given, source: ModelCard | None, network: NetworkSettings | None = None
) -> Plan:
    """Return the plan for a set; see the module for what decides.

    network: the kind that is trained where there is no source, by default the 3D U-Net; a source's is the source's.
    """
    network = UNet3DSettings() if network is None else network
    network = source.network if source is not None else network
    divisor = network.divisor
    reasons: dict[str, str] = {}
    warnings: list[str] = []
    width = _width(machine, given, source, network, reasons)
    norm = _norm(given, source, network, reasons)
    room = _PATCH_VOXELS[machine.kind]
    spacing, patch = _grid(facts, given, room, divisor, reasons)
    batch = _batch(machine, given, patch, width, reasons)
    memory = step_memory(patch, batch, width, machine.item, network)
    # Two voxels have to be left at the bottom of the network, along one axis at least.
    while given.patch is None and memory > machine.memory and max(patch) > max(_LOWEST_PATCH, 2 * divisor):
        patch = _shrunk(patch, spacing or facts.median_spacing, divisor)
        memory = step_memory(patch, batch, width, machine.item, network)
        reasons["sampling.patch_size"] = f"{_size(patch)} voxels: the largest that fits into the memory that is free."
    reasons["memory"] = f"a step takes about {memory / 1e9:.1f} GB; {machine.memory / 1e9:.1f} GB are free."
    if memory > machine.memory:
        warnings.append(
            f"a step is estimated to take {memory / 1e9:.1f} GB, and {machine.memory / 1e9:.1f} GB are free: lower "
            "--patch-size, --batch-size or --width, or close other programs"
        )
    if source is not None:
        warnings += _against_source(source, spacing or facts.median_spacing, patch)
    folds, keep = _folds(facts, given, reasons)
    return Plan(
        spacing=spacing,
        patch=patch,
        width=width,
        norm=norm,
        batch_size=batch,
        steps=_steps(machine, given, reasons),
        folds=folds,
        keep=keep,
        memory=memory,
        reasons=reasons,
        warnings=tuple(warnings),
    )


def step_memory(patch: Size, batch: int, width: int, item: int, network: NetworkSettings | None = None) -> int:
    """Estimate the bytes a training step takes at its peak; network: its kind, by default the 3D U-Net."""
    sized = (UNet3DSettings() if network is None else network).model_copy(update={"width": width})
    # Weights, their gradients and two moments of the optimiser.
    return int(math.prod(patch) * batch * sized.training_features * item + 16 * sized.parameters + _TORCH_BYTES)


def _width(
    machine: Machine, given: Given, source: ModelCard | None, network: NetworkSettings, reasons: dict[str, str]
) -> int:
    if given.width is not None:
        reasons["network.width"] = f"{given.width}: as you set it."
        return given.width
    own = getattr(source.network, "width", None) if source is not None else None
    if own is not None:
        reasons["network.width"] = f"{own}: the source's, whose weights fit no other."
        return int(own)
    if not isinstance(network, UNet3DSettings):
        usual = int(getattr(network, "width", _WIDTH[machine.kind]))
        reasons["network.width"] = f"{usual}: the usual one of {network.kind}."
        return usual
    width = _WIDTH[machine.kind]
    reasons["network.width"] = f"{width}: what {machine.kind.upper()} training finishes in reasonable time with."
    return width


def _norm(given: Given, source: ModelCard | None, network: NetworkSettings, reasons: dict[str, str]) -> str | None:
    if not hasattr(network, "norm"):
        return None
    if given.norm is not None:
        reasons["network.norm"] = f"{given.norm}: as you set it."
        return given.norm
    own = getattr(source.network, "norm", None) if source is not None else None
    if own is not None:
        reasons["network.norm"] = f"{own}: the source's, whose weights were learnt under it."
        return str(own)
    reasons["network.norm"] = "instance: small batches make batch statistics noisy."
    return "instance"


def _grid(
    facts: SetFacts, given: Given, room: int, divisor: int, reasons: dict[str, str]
) -> tuple[Triple | None, Size]:
    """Choose spacing and patch together: the patch has to hold the largest structure with some of what is around it."""
    usual = facts.median_spacing
    wanted = _wanted_extent(facts)
    spacing: Triple | None
    if given.spacing is not None:
        spacing, why = given.spacing, "as you set it."
    elif all(_close(one, usual) for one in facts.spacings):
        spacing, why = None, "as scanned: all cases have nearly the same."
    else:
        spacing, why = usual, "the median of the cases, whose spacings differ."
    if given.spacing is None and given.patch is None:
        coarser = _coarser(facts, spacing or usual, wanted, room)
        if coarser is not None:
            spacing = coarser
            why = (
                f"coarser than the scans ({_mm(usual)} mm), so that a patch holds the largest structure "
                f"({_mm(wanted)} mm with its surroundings)."
            )
    reasons["data.spacing"] = f"{_mm(spacing)} mm: {why}" if spacing else why
    if given.patch is not None:
        reasons["sampling.patch_size"] = f"{_size(given.patch)} voxels: as you set it."
        return spacing, given.patch
    patch = _patch(facts, spacing or usual, wanted, room, divisor)
    covered = _triple_of(n * s for n, s in zip(patch[::-1], spacing or usual, strict=True))
    whole = all(c >= e for c, e in zip(covered, facts.median_extent, strict=True))
    what = "whole scans" if whole else f"{_mm(covered)} mm; the structures with surroundings take {_mm(wanted)} mm"
    reasons["sampling.patch_size"] = f"{_size(patch)} voxels (z, y, x): {what}."
    return spacing, patch


def _wanted_extent(facts: SetFacts) -> Triple:
    """Return what a patch should cover, x, y, z in mm: the largest structure with context, never beyond the scans."""
    largest = [max((s.extent[axis] for s in facts.structures), default=0.0) for axis in range(3)]
    return _triple_of(
        min(size * _CONTEXT + _MARGIN, scan) for size, scan in zip(largest, facts.median_extent, strict=True)
    )


def _coarser(facts: SetFacts, spacing: Triple, wanted: Triple, room: int) -> Triple | None:
    """Return a coarser spacing if the wanted extent needs more voxels than there is room for, else None.

    Fine axes are coarsened first, so voxels become more alike in their edges.
    """
    needed = math.prod(w / s for w, s in zip(wanted, spacing, strict=True))
    if needed <= room:
        return None
    smallest = min((_diameter(s.ml) for s in facts.structures if s.ml > 0), default=math.inf)
    limit = max(min(smallest / _VOXELS_ACROSS, _COARSEST * max(spacing)), max(spacing))
    new = list(spacing)
    while math.prod(w / s for w, s in zip(wanted, new, strict=True)) > room:
        finest = min(range(3), key=lambda axis: new[axis])
        if new[finest] * 1.05 > limit:
            break
        new[finest] *= 1.05
    rounded = _triple_of(max(round(value, 2), old) for value, old in zip(new, spacing, strict=True))
    # A little coarser blurs every scan and gains next to nothing.
    return rounded if any(n > _WORTH_RESAMPLING * o for n, o in zip(rounded, spacing, strict=True)) else None


def _patch(facts: SetFacts, spacing: Triple, wanted: Triple, room: int, divisor: int) -> Size:
    """Return (z, y, x): whole scans if there is room, else shortened along the axis with most to spare."""
    scan = [max(1, round(e / s)) for e, s in zip(facts.median_extent, spacing, strict=True)][::-1]
    aim = [max(1.0, w / s) for w, s in zip(wanted, spacing, strict=True)][::-1]
    lowest = max(_LOWEST_PATCH, divisor)
    patch = [max(lowest if n > divisor else divisor, math.ceil(n / divisor) * divisor) for n in scan]
    while math.prod(patch) > room:
        longest = max(
            (axis for axis in range(3) if patch[axis] > lowest),
            key=lambda axis: (patch[axis] / aim[axis], patch[axis]),
            default=None,
        )
        if longest is None:
            break
        patch[longest] -= divisor
    return patch[0], patch[1], patch[2]


def _shrunk(patch: Size, spacing: Triple, divisor: int) -> Size:
    lengths = [n * s for n, s in zip(patch, spacing[::-1], strict=True)]
    axis = max((a for a in range(3) if patch[a] > max(_LOWEST_PATCH, divisor)), key=lambda a: lengths[a])
    new = [n - divisor if a == axis else n for a, n in enumerate(patch)]
    return new[0], new[1], new[2]


def _batch(machine: Machine, given: Given, patch: Size, width: int, reasons: dict[str, str]) -> int:
    if given.batch_size is not None:
        reasons["training.batch_size"] = f"{given.batch_size}: as you set it."
        return given.batch_size
    batch = 2
    room = _PATCH_VOXELS[machine.kind] * 2
    while batch < 8 and (batch + 2) * math.prod(patch) <= room:
        batch += 2
    reasons["training.batch_size"] = f"{batch}: as many patches of this size as a step has time for, two at least."
    return batch


def _steps(machine: Machine, given: Given, reasons: dict[str, str]) -> int | None:
    if given.steps is not None:
        reasons["training.max_steps"] = f"{given.steps}: as you set it."
        return given.steps
    if given.hours is not None:
        reasons["training.max_steps"] = f"as many as fit into {given.hours:g} hours, by timing the first ones."
        return None
    steps = _STEPS[machine.kind]
    reasons["training.max_steps"] = f"{steps}: usual on this kind of device; --max-hours sets a budget of time instead."
    return steps


def _folds(facts: SetFacts, given: Given, reasons: dict[str, str]) -> tuple[int, str]:
    few = facts.subjects < FEW_SUBJECTS
    keep = "last" if few else "best"
    reasons["training.keep"] = (
        "last: a best state picked on a few held-out cases would be picked by chance."
        if few
        else "best: enough subjects are held out to tell."
    )
    if given.folds is not None:
        reasons["folds"] = f"{given.folds}: as you set it."
        return given.folds, keep
    if few and facts.subjects >= 2:
        folds = min(5, facts.subjects)
        reasons["folds"] = (
            f"{folds}: under {FEW_SUBJECTS} subjects each is held out once, so that every case gets an honest figure; "
            "the models of all folds are applied together. --folds 1 trains a single one."
        )
        return folds, keep
    reasons["folds"] = "1: one part of the subjects is held out."
    return 1, keep


# Source: under 20 subjects a fifth held out is four at most, too few to tell two models apart.
FEW_SUBJECTS = 20


def _against_source(source: ModelCard, spacing: Triple, patch: Size) -> list[str]:
    said = []
    own = source.preprocessing.spacing if source.preprocessing is not None else None
    if own is not None and not _close((own[0], own[1], own[2]), spacing):
        said.append(
            f"the source was trained at {_mm((own[0], own[1], own[2]))} mm spacing, this plan uses {_mm(spacing)} mm."
        )
    if tuple(source.patch_size) != patch:
        theirs = (source.patch_size[0], source.patch_size[1], source.patch_size[2])
        said.append(f"the source was trained on patches of {_size(theirs)} voxels, this plan uses {_size(patch)}.")
    return said


def _close(first: Triple, second: Triple) -> bool:
    return all(abs(a - b) <= _SAME_SPACING * b for a, b in zip(first, second, strict=True))


def _diameter(ml: float) -> float:
    """Return the diameter in mm of a ball of this volume."""
    return float(2 * (3 * ml * 1000 / (4 * math.pi)) ** (1 / 3))


def _triple_of(values: Iterable[float]) -> Triple:
    x, y, z = values
    return float(x), float(y), float(z)


def _mm(values: Triple) -> str:
    return " x ".join(f"{value:.3g}" for value in values)


def _size(values: Size) -> str:
    return ",".join(map(str, values))
