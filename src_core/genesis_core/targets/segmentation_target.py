"""What a segmentation network is asked for: structures or regions, one channel each, and how labels become targets.

Three things a label map cannot say in one number are said here: structures that lie in one another, structures nobody
has drawn in this case, and places nobody has looked at. What is not annotated is `UNKNOWN`, and teaches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import SettingsError
from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.structure_names import IGNORE

Activation = Literal["softmax", "sigmoid"]

# In a target: nothing is known here, so no loss is taken. Class numbers and 0 / 1 stay below it.
UNKNOWN = 255
# In `layers`: the same, in the numbers of the cache.
UNKNOWN_NUMBER = -1


@dataclass(frozen=True)
class Region:
    """A structure made of others, for instance the whole tumour of its parts. members: names of drawn structures."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """What is segmented. structures: as drawn, in the order of the numbers in the cache (number = position + 1).

    activation: "softmax", one class per voxel, background being class 0; or "sigmoid", yes or no for each output.
    regions: outputs made of structures; empty: every structure is an output. With "softmax" regions must not share a
    structure; structures in no region are background.
    Raises SettingsError if that cannot be, names repeat, or there are more outputs than a target can number (254).
    """

    structures: tuple[Structure, ...]
    activation: Activation
    regions: tuple[Region, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be learnt."""
        names = [structure.name for structure in self.structures]
        _refuse_repeats("structure", names)
        if without_ignored(self.structures) != self.structures:
            raise SettingsError(f"'{IGNORE}' marks places that teach nothing; it cannot be segmented, so leave it out")
        _refuse_repeats("region", [region.name for region in self.regions])
        for region in self.regions:
            unknown = [name for name in region.members if name not in names]
            if unknown or not region.members:
                raise SettingsError(
                    f"region '{region.name}': {', '.join(unknown) or 'nothing'} is not a structure of this set; "
                    f"it has {', '.join(names)}"
                )
        if not 1 <= len(self.outputs) < UNKNOWN:
            raise SettingsError(f"{len(self.outputs)} structures to segment: expected 1 to {UNKNOWN - 1}")
        if self.activation == "softmax":
            shared = [name for name in names if sum(name in region.members for region in self.regions) > 1]
            if shared:
                raise SettingsError(
                    f"the regions share {', '.join(shared)}, so a voxel can be in several: activation sigmoid is needed"
                )

    @property
    def outputs(self) -> tuple[Structure, ...]:
        """What the network's channels stand for, in their order; the numbers are those of written label maps."""
        if not self.regions:
            return self.structures
        colours = {structure.name: structure.colour for structure in self.structures}
        return tuple(
            Structure(region.name, number, colours[region.members[0]]) for number, region in enumerate(self.regions, 1)
        )

    @property
    def out_channels(self) -> int:
        """Channels of the network's output: one more than outputs with softmax, for the background."""
        return len(self.outputs) + (self.activation == "softmax")

    def encode(self, layers: NDArray[np.int16], annotated: Sequence[bool]) -> NDArray[np.uint8]:
        """Return the target of a sub-volume: (1, z, y, x) of classes with softmax, (outputs, z, y, x) of 0 / 1 else.

        layers: (layer, z, y, x): 0 for nothing drawn, i + 1 for structure i, -1 for not annotated. annotated: for each
        structure, whether it was looked for in this case. UNKNOWN where -1 stands in any layer; where a structure that
        was not looked for could be (background with softmax, its own channel with sigmoid); and, with softmax, where
        two structures of different classes claim a voxel, since one number cannot hold both.
        """
        if len(annotated) != len(self.structures):
            raise SettingsError(f"{len(annotated)} marks of annotation for {len(self.structures)} structures")
        target = self._classes(layers, annotated) if self.activation == "softmax" else self._masks(layers, annotated)
        unknown = (layers == UNKNOWN_NUMBER).any(axis=0)
        target[:, unknown] = UNKNOWN
        return target

    def _members(self) -> list[list[int]]:
        """The numbers in `layers` that make up each output."""
        if not self.regions:
            return [[number] for number in range(1, len(self.structures) + 1)]
        numbers = {structure.name: number for number, structure in enumerate(self.structures, 1)}
        return [[numbers[name] for name in region.members] for region in self.regions]

    def _classes(self, layers: NDArray[np.int16], annotated: Sequence[bool]) -> NDArray[np.uint8]:
        # Background is known only where every structure was looked for.
        nothing = 0 if all(annotated) else UNKNOWN
        table = np.zeros(len(self.structures) + 2, np.uint8)
        table[0] = UNKNOWN
        table[1] = nothing
        for output, members in enumerate(self._members(), 1):
            table[[number + 1 for number in members]] = output
        for number, known in enumerate(annotated, 1):
            if not known:
                table[number + 1] = UNKNOWN
        target: NDArray[np.uint8] = np.take(table, layers[0] + np.int16(1))
        claimed = layers[0] > 0
        for layer in layers[1:]:
            more, claims = np.take(table, layer + np.int16(1)), layer > 0
            clash = claims & claimed & (more != target)
            target = np.where(claims & ~claimed, more, target)
            target[clash] = UNKNOWN
            claimed |= claims
        return target[None]

    def _masks(self, layers: NDArray[np.int16], annotated: Sequence[bool]) -> NDArray[np.uint8]:
        target = np.empty((len(self.outputs), *layers.shape[1:]), np.uint8)
        for channel, members in enumerate(self._members()):
            inside = target[channel]
            inside[...] = 0
            known = [number for number in members if annotated[number - 1]]
            for layer in layers:
                for number in known:
                    inside |= layer == number
            if len(known) < len(members):
                # Outside of the parts that were drawn, the region may or may not go on.
                inside[inside == 0] = UNKNOWN
        return target


def without_ignored(structures: Sequence[Structure]) -> tuple[Structure, ...]:
    """Return the structures that can be learnt: all but one called "ignore", which marks places nobody looked at."""
    return tuple(structure for structure in structures if structure.name.lower() != IGNORE)


def choose_activation(
    structures: Sequence[Structure], *, overlapping: bool, partially_labelled: bool, regions: Sequence[Region] = ()
) -> tuple[Activation, str]:
    """Return the activation that fits a labelled set, and a sentence of reason.

    overlapping: some voxel belongs to two structures. partially_labelled: some case lacks the annotation of some
    structure. regions: outputs made of several structures, if there are any.
    """
    count = len(regions) or len(without_ignored(structures))
    members = [name for region in regions for name in region.members]
    if count == 1:
        return "sigmoid", "One structure: a yes or no for each voxel (sigmoid)."
    if overlapping or len(set(members)) < len(members):
        return "sigmoid", "Structures overlap, so each gets a yes or no of its own (sigmoid)."
    if partially_labelled:
        return (
            "sigmoid",
            "Not every structure is annotated in every case, so each is learnt by itself, where it is (sigmoid).",
        )
    return (
        "softmax",
        f"{count} structures that exclude one another, annotated everywhere: one class per voxel (softmax).",
    )


def _refuse_repeats(what: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SettingsError(f"each {what} needs a name of its own; repeated: {', '.join(repeated)}")
