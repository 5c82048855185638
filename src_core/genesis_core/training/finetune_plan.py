"""A plan for fine-tuning, from the data and the machine: spacing, patch, width, batch, steps, each with its reason.

Pure arithmetic on `SetFacts`, `Machine` and the source's card; what the user has set is obeyed, and the reason says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from genesis_core.networks.settings import UNet3DSettings
from genesis_core.training.finetune_grid import LOWEST_PATCH, Size, choose_grid, is_close, mm_text, shrunk, size_text
from genesis_core.training.set_facts import SetFacts, Triple

if TYPE_CHECKING:
    from genesis_core.model.card import ModelCard
    from genesis_core.networks.settings import NetworkSettings


# Voxels of a patch that a step takes a second or so for, by kind of device (benchmarks/RESULTS.md for the CPU).
_PATCH_VOXELS = {"cpu": 200_000, "cuda": 1_200_000, "mps": 400_000}
_WIDTH = {"cpu": 16, "cuda": 32, "mps": 16}
_STEPS = {"cpu": 1000, "cuda": 5000, "mps": 2000}
# What torch takes beside the numbers a step holds, which each network's settings know.
_TORCH_BYTES = 350_000_000


@dataclass(frozen=True)
class Machine:
    """Where the training runs. kind: "cpu", "cuda" or "mps". memory: bytes free there. item: bytes a number."""

    kind: str
    memory: int
    item: int


@dataclass(frozen=True)
class Given:
    """What the user has decided; None: to be planned."""

    spacing: Triple | Literal["as scanned"] | None = None
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
    spacing, patch = choose_grid(facts, given, room, divisor, reasons)
    batch = _batch(machine, given, patch, width, reasons)
    memory = step_memory(patch, batch, width, machine.item, network)
    # Two voxels have to be left at the bottom of the network, along one axis at least.
    while given.patch is None and memory > machine.memory and max(patch) > max(LOWEST_PATCH, 2 * divisor):
        patch = shrunk(patch, spacing or facts.median_spacing, divisor)
        memory = step_memory(patch, batch, width, machine.item, network)
        reasons["sampling.patch_size"] = (
            f"{size_text(patch)} voxels: the largest that fits into the memory that is free."
        )
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
    if own is not None and not is_close((own[0], own[1], own[2]), spacing):
        theirs_mm = mm_text((own[0], own[1], own[2]))
        said.append(f"the source was trained at {theirs_mm} mm spacing, this plan uses {mm_text(spacing)} mm.")
    if tuple(source.patch_size) != patch:
        theirs = (source.patch_size[0], source.patch_size[1], source.patch_size[2])
        said.append(
            f"the source was trained on patches of {size_text(theirs)} voxels, this plan uses {size_text(patch)}."
        )
    return said
