"""Who is scanned: everything that differs between two phantoms, drawn from the seed before anything is painted.

The anatomy itself is written once, in the millimetres of an average adult; a subject stretches it, moves it on the
table, and changes fat, muscle, heart, breathing, contrast medium, dose and disease. Ranges are those seen in adult
chest CT; they are meant to vary the picture, not to model a population.
"""

from __future__ import annotations

from dataclasses import dataclass

from genesis_core.randomness import stream, uniform


@dataclass(frozen=True)
class Draws:
    """Named numbers of one seed; the same name always gives the same number."""

    seed: int

    def key(self, *names: str | int) -> int:
        """Return the key of the stream called `names`, for fields of random numbers."""
        return stream(self.seed, "phantom", *names)

    def between(self, low: float, high: float, *names: str | int) -> float:
        """Return a number uniform in [low, high)."""
        return low + (high - low) * uniform(self.key(*names), 0)

    def chance(self, probability: float, *names: str | int) -> bool:
        """Return whether an event of this probability happens."""
        return uniform(self.key(*names), 0) < probability


@dataclass(frozen=True)
class Subject:
    """One person on one scanner. Lengths in mm, densities in HU."""

    draws: Draws
    # Stretch of the average anatomy along x, y, z, and shift on the table.
    scale: tuple[float, float, float]
    shift: tuple[float, float, float]
    # Thickness of fat under the skin and of the outer muscles; breasts; how much fat runs between the muscles.
    fat: float
    muscle: float
    breasts: float
    marbling: float
    # Anatomy.
    heart: float
    heart_turn: float
    dome_right: float
    dome_left: float
    aorta: float
    rib_slope: float
    squareness: float
    # Densities.
    lung_hu: float
    lung_gradient: float
    blood_hu: float
    muscle_hu: float
    fat_hu: float
    bone: float
    liver_hu: float
    # Disease.
    nodules: int
    emphysema: float
    effusion: float
    mass: bool
    # Scanner: standard deviation of the noise in soft tissue, share of a voxel's signal that the blur gives away.
    noise: float
    blur: float
    table: bool


def draw_subject(seed: int) -> Subject:
    """Draw a subject; a pure function of `seed` (any integer)."""
    draws = Draws(seed)
    size = draws.between(0.95, 1.045, "size")
    woman = draws.chance(0.5, "breasts")
    enhanced = draws.chance(0.45, "contrast medium")
    fat = 4 + 22 * uniform(draws.key("fat"), 0) ** 1.5
    return Subject(
        draws=draws,
        # A stout subject must still fit the field of view, as the radiographer sees to it.
        scale=(
            min(size * draws.between(0.95, 1.05, "width"), 176 / (153 + fat)),
            size * draws.between(0.92, 1.06, "depth"),
            size * draws.between(0.95, 1.03, "height"),
        ),
        shift=(draws.between(-5, 5, "left"), draws.between(-12, -4, "down"), draws.between(-6, 6, "along")),
        fat=fat,
        muscle=draws.between(10, 20, "muscle") - (3 if woman else 0),
        breasts=draws.between(10, 34, "breast size") if woman else 0.0,
        marbling=draws.between(0.1, 0.8, "marbling"),
        heart=draws.between(0.9, 1.14, "heart"),
        heart_turn=draws.between(-0.18, 0.18, "heart axis"),
        dome_right=draws.between(-82, -60, "right dome"),
        dome_left=draws.between(-16, -4, "left dome"),
        aorta=draws.between(0.9, 1.25, "aorta"),
        rib_slope=draws.between(0.85, 1.15, "rib slope"),
        squareness=draws.between(2.0, 2.3, "cage"),
        lung_hu=draws.between(-890, -840, "lung"),
        lung_gradient=draws.between(15, 55, "lung gradient"),
        blood_hu=draws.between(130, 260, "blood") if enhanced else draws.between(36, 50, "blood"),
        muscle_hu=draws.between(46, 62, "muscle density"),
        fat_hu=draws.between(-112, -98, "fat density"),
        bone=draws.between(0.75, 1.15, "bone density"),
        liver_hu=draws.between(45, 66, "liver") + (35 if enhanced else 0),
        nodules=int(draws.between(1, 5, "nodules")),
        emphysema=draws.between(0.2, 1, "emphysema grade") if draws.chance(0.25, "emphysema") else 0.0,
        effusion=draws.between(8, 26, "effusion size") if draws.chance(0.15, "effusion") else 0.0,
        mass=draws.chance(0.12, "mass"),
        noise=7 + 13 * uniform(draws.key("dose"), 0) ** 2,
        blur=draws.between(0.03, 0.12, "kernel"),
        table=draws.chance(0.85, "table"),
    )
