"""Drawing sub-volumes from labelled cases: which case, around which structure or anywhere, all by hashing.

What is drawn depends on the seed, the stream's name, the step, the index, the settings and the list of cases, and on
nothing that happened before, so any thread or process draws the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import SamplingError
from genesis_core.randomness import integer, stream, uniform
from genesis_core.sampling.labelled_cache import CachedCase
from genesis_core.sampling.labelled_settings import LabelledSamplingSettings
from genesis_core.sampling.placing import is_padded, start_range
from genesis_core.sampling.warping import Index3, Matrix, read_warped
from genesis_core.volumes.labelled.layout import some

# Given the spacing (x, y, z) of a case in mm, how its sub-volume is turned, as `read_warped` takes it.
Transform = Callable[[tuple[float, float, float]], Matrix | None]

# Of the sub-volumes of a fixed set one in so many lies anywhere, so that false alarms far from structures count too.
_ANYWHERE = 3


@dataclass(frozen=True)
class Place:
    """Where a sub-volume lies. case: index in the sampler's list. start: first voxel (z, y, x), before any turning.

    around: position of the structure it is centred on, as far as the scan's borders allow; None: it lies anywhere.
    """

    case: int
    start: Index3
    around: int | None


@dataclass(frozen=True, eq=False)
class LabelledSubVolume:
    """images: float32 (channel, z, y, x) in [0, 1]. layers: int16 (layer, z, y, x), as `CachedCase.read` gives them.

    annotated: for each structure, whether it was looked for in this case. origin: where it comes from, as a phrase
    without any path.
    """

    images: NDArray[np.float32]
    layers: NDArray[np.int16]
    annotated: tuple[bool, ...]
    place: Place
    origin: str


class LabelledSampler:
    """Draws sub-volumes from `cases` as `settings` say.

    notes: sentences for the user: structures that no case shows, and scans that are padded.
    Raises SamplingError if there is no case, or if cases differ in channels or structures.
    """

    def __init__(self, cases: Sequence[CachedCase], settings: LabelledSamplingSettings, seed: int) -> None:
        if not cases:
            raise SamplingError("no labelled case to draw from: check the folder, and what was refused")
        self.cases = tuple(cases)
        self.settings = settings
        self._seed = seed
        z, y, x = settings.patch_size
        self.size: Index3 = (z, y, x)
        first = self.cases[0]
        for case in self.cases[1:]:
            if len(case.images) != len(first.images) or case.structures != first.structures:
                raise SamplingError(
                    f"{case.id} has {len(case.images)} images and the structures {', '.join(case.structures)}; "
                    f"{first.id} has {len(first.images)} and {', '.join(first.structures)}: prepare them alike"
                )
        self.structures = first.structures
        self.channels = len(first.images)
        self._present = [tuple(number for number, count in enumerate(case.voxels) if count) for case in self.cases]
        self.notes = self._notes()

    def place(self, stream_name: str, step: int, index: int) -> Place:
        """Choose where sub-volume `index` of step `step` of the stream lies: a pure function of these arguments.

        The case is chosen uniformly. A part of the sub-volumes, `settings.foreground`, is then centred on a voxel of a
        structure, chosen uniformly among those present in the case; the others lie anywhere in it, around a voxel whose
        annotation is known where that is not every voxel.
        """
        key = stream(self._seed, "labelled", stream_name, step, index)
        number = integer(key, 0, 0, len(self.cases) - 1)
        present = self._present[number]
        around = None
        if present and uniform(key, 1) < self.settings.foreground:
            around = present[integer(key, 2, 0, len(present) - 1)]
        return Place(number, self._start(number, around, key), around)

    def fixed_places(self, count: int) -> tuple[Place, ...]:
        """Return `count` places spread evenly over cases and structures, the same ones at each call.

        Two of three are centred on a structure: of those present in the case, the one that had its turn least often.
        """
        key = stream(self._seed, "fixed")
        ranked = sorted(range(len(self.cases)), key=lambda number: (stream(key, self.cases[number].id), number))
        turns: Counter[int] = Counter()
        places = []
        for index in range(count):
            number = ranked[index % len(ranked)]
            present = self._present[number]
            around = None
            # Shifted by one at each round, so that no case is always the one without a structure.
            if present and (index + index // len(ranked)) % _ANYWHERE != _ANYWHERE - 1:
                around = min(present, key=lambda structure: (turns[structure], structure))
                turns[around] += 1
            places.append(Place(number, self._start(number, around, stream(key, index)), around))
        return tuple(places)

    def read(self, place: Place, transform: Transform | None = None) -> LabelledSubVolume:
        """Return the sub-volume at a place, turned by `transform`; places outside of the scan are not annotated."""
        case = self.cases[place.case]
        matrix = None if transform is None else transform(case.geometry.spacing)
        images, layers = read_warped(case.read, place.start, self.size, matrix)
        return LabelledSubVolume(images, layers, case.annotated, place, self._origin(place))

    def _start(self, number: int, around: int | None, key: int) -> Index3:
        case = self.cases[number]
        ranges = [start_range(length, size) for length, size in zip(case.shape, self.size, strict=True)]
        # Anywhere in a case with blank places: around a voxel that says something.
        row = len(self.structures) if around is None else around
        some_unknown = case.known < case.shape[0] * case.shape[1] * case.shape[2]
        if around is not None or (some_unknown and case.known):
            positions = case.positions(row)
            centre = positions[integer(key, 3, 0, len(positions) - 1)]
            starts = [
                min(max(int(middle) - size // 2, low), high)
                for middle, size, (low, high) in zip(centre, self.size, ranges, strict=True)
            ]
        else:
            starts = [integer(key, 4 + axis, *ranges[axis]) for axis in range(3)]
        return starts[0], starts[1], starts[2]

    def _origin(self, place: Place) -> str:
        where = f"{self.cases[place.case].id} at {','.join(map(str, place.start))} (z,y,x)"
        return where if place.around is None else f"{where}, around {self.structures[place.around]}"

    def _notes(self) -> tuple[str, ...]:
        notes = []
        shown = {number for present in self._present for number in present}
        missing = [name for number, name in enumerate(self.structures) if number not in shown]
        if missing:
            notes.append(f"No case shows {', '.join(missing)}: it cannot be learnt from these.")
        padded = [case.id for case in self.cases if is_padded(case.shape, self.size)]
        if padded:
            notes.append(
                f"{len(padded)} of {len(self.cases)} scans are smaller than the sub-volumes and are padded with 0; no "
                f"loss is taken there: {some(padded, 5)}."
            )
        return tuple(notes)
