"""Which engine corrupts the sub-volumes of a run: compiled code on the CPU, or torch on the device that trains.

The two differ in the order of voxels inside shuffled windows, so a run keeps the one it began with, in its run.yaml.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from genesis_core.corruptions.recipe import Recipe

CorruptOn = Literal["auto", "cpu", "device"]


class Engine(NamedTuple):
    """The engine of a run. message: who corrupts, for people. note: what was asked for and cannot be, or None."""

    corrupt_on: Literal["cpu", "device"]
    message: str
    note: str | None = None


def choose_engine(corrupt_on: CorruptOn, recipe: Recipe, device: str, *, begun: bool) -> Engine:
    """Return the engine for a setting that may be "auto": the device where that is an NVIDIA or AMD GPU.

    device: as torch calls it. begun: whether the run has a checkpoint; one that does not say which engine it began with
    is older than the choice, and began on the CPU. A recipe with a corruption that only the compiled engine knows is
    corrupted on the CPU.
    """
    from genesis_core.corruptions.torch_engine.plan import missing_kinds

    on_cpu = Engine("cpu", "sub-volumes are corrupted on the CPU, by the compiled engine")
    if corrupt_on == "auto":
        corrupt_on = "device" if device.startswith("cuda") and not begun else "cpu"
    if corrupt_on == "cpu":
        return on_cpu
    missing = missing_kinds(recipe)
    if missing:
        kinds = ", ".join(missing)
        return on_cpu._replace(
            note=f"the torch engine does not know {kinds}, so this recipe is corrupted on the CPU, not on {device}"
        )
    return Engine("device", f"sub-volumes are corrupted on {device}, by the torch engine")
