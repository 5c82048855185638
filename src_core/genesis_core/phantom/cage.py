"""The shape of the chest: outlines of the pleura, the muscles and the skin, and the levels of the vertebrae.

Each outline is a radius in mm around the body's long axis, tabulated by height and angle, so that a voxel needs one
look-up to know how deep in the chest wall it lies. Heights are given as a level u: 0 at the right dome of the
diaphragm, 1 at the apex of the lungs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genesis_core.phantom.canvas import Floats, Grid
from genesis_core.phantom.subject import Subject
from genesis_core.phantom.texture import smooth_field

# Height in mm of level 0 and of level 1 in the average anatomy.
DOME = -70.0
APEX = 140.0
ANGLES = 720

_LEVELS = np.array([-0.5, -0.2, 0.0, 0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0, 1.15])
# Inside of the ribs: half width, front and back, in mm, at the levels above.
_WIDTH = np.array([119, 126, 128, 128, 125, 120, 110, 98, 82, 62, 50])
_FRONT = np.array([-84, -88, -89, -88, -83, -76, -65, -56, -46, -36, -30])
_BACK = np.array([80, 85, 88, 90, 90, 89, 86, 82, 74, 62, 52])
# Outside of the muscles of an average subject: half width, front and back, in mm, at the same levels.
_MUSCLE_WIDTH = np.array([131, 138, 140, 140, 141, 146, 156, 164, 170, 173, 173])
_MUSCLE_FRONT = np.array([-97, -101, -102, -102, -101, -99, -93, -87, -79, -70, -62])
_MUSCLE_BACK = np.array([104, 109, 112, 114, 115, 115, 113, 111, 107, 101, 94])
# Where the centres of the vertebral bodies lie (y) at heights z, in mm.
_SPINE_Z = np.array([-190.0, -130, -60, 0, 60, 110, 150, 190])
_SPINE_Y = np.array([40.0, 44, 50, 53, 52, 44, 32, 22])
# Heights of the bodies of T1 to L4 with their discs, from above.
_VERTEBRA_HEIGHTS = np.array([17.5, 18, 18.5, 19, 19.5, 20, 20.5, 21, 22, 23, 24.5, 26, 28, 30, 31, 32])


def level(z: NDArray[np.floating] | float) -> NDArray[np.float64]:
    """Return the level u of heights in mm."""
    return (np.asarray(z, np.float64) - DOME) / (APEX - DOME)


def height(u: float) -> float:
    """Return the height in mm of a level."""
    return DOME + u * (APEX - DOME)


def spine_y(z: NDArray[np.floating] | float) -> Floats:
    """Return where the centres of the vertebral bodies lie (y in mm) at heights z: the kyphosis of the chest."""
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(_SPINE_Z, _SPINE_Y)(np.clip(z, -190, 190)), np.float32)


def vertebrae() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centres (z in mm) and heights of the vertebrae from two above T1 down to L4."""
    heights = np.concatenate([[16.0, 16.5], _VERTEBRA_HEIGHTS])
    tops = APEX + 12 + 32.5 - np.concatenate([[0], np.cumsum(heights)[:-1]])
    return tops - heights / 2, heights


@dataclass(frozen=True)
class Cage:
    """The outlines of one subject on one grid.

    rho, angle: distance in mm from the long axis and index of the angle, (y, x). inner, muscle, skin: radius in mm by
    (z, angle). turn: degrees from the back, 0 at the spine, 180 at the sternum, by angle; right: where x < 0, by angle.
    """

    rho: Floats
    angle: NDArray[np.intp]
    inner: Floats
    muscle: Floats
    skin: Floats
    turn: Floats
    right: NDArray[np.bool_]


def _theta() -> NDArray[np.float64]:
    theta: NDArray[np.float64] = -np.pi + (np.arange(ANGLES, dtype=np.float64) + 0.5) * (2 * np.pi / ANGLES)
    return theta


def make_cage(grid: Grid, subject: Subject) -> Cage:
    """Return the outlines of `subject` on `grid`."""
    from scipy.ndimage import gaussian_filter1d

    y, x = grid.y[:, None], grid.x[None, :]
    angle = np.floor((np.arctan2(y, x) + np.pi) * (ANGLES / (2 * np.pi))).astype(np.intp) % ANGLES
    u = level(grid.z)
    theta = _theta()
    turn = np.degrees(np.abs((theta - np.pi / 2 + np.pi) % (2 * np.pi) - np.pi)).astype(np.float32)
    n = subject.squareness
    inner = _outline(_along(u, _WIDTH), _along(u, _FRONT), _along(u, _BACK), n)
    # The lungs bulge backward on both sides of the spine, and the cage narrows toward the breastbone.
    inner += 5.5 * np.exp(-(((turn - 36) / 17) ** 2)) - 4.5 * np.exp(-(((turn - 138) / 18) ** 2))
    # No two chests are symmetric: slow ripples of one or two per cent around and along the cage.
    ripple = smooth_field(
        subject.draws.key("cage ripple"), (1, ANGLES, grid.z.size), (1, ANGLES / 5, max(grid.z.size / 3, 1))
    )
    inner *= 1 + np.float32(0.012) * _periodic(ripple[0].T)
    width = _along(u, _MUSCLE_WIDTH) + subject.muscle - 6
    muscle = _outline(
        width, _along(u, _MUSCLE_FRONT) - 0.4 * subject.muscle, _along(u, _MUSCLE_BACK) + 0.5 * subject.muscle, n * 0.97
    )
    skin = np.maximum(muscle, inner + 12) + _fat(grid, subject)
    muscle = np.minimum(muscle, inner + _muscle_thickness(u, turn, subject))
    muscle = np.maximum(gaussian_filter1d(muscle, 12 / grid.steps[0], axis=0, mode="nearest"), inner + 11)
    # The groove along the spine.
    skin -= 7 * np.exp(-((turn / 9) ** 2))
    return Cage(np.hypot(y, x).astype(np.float32), angle, inner, muscle, skin, turn, np.cos(theta) < 0)


def _along(u: NDArray[np.floating], values: NDArray[np.floating]) -> NDArray[np.float64]:
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(_LEVELS, values)(np.clip(u, _LEVELS[0], _LEVELS[-1])), np.float64)


def _outline(
    width: NDArray[np.float64], front: NDArray[np.float64], back: NDArray[np.float64], exponent: float
) -> Floats:
    """Return radii by (z, angle) of superellipses given by half width, front and back in mm."""
    phi = np.linspace(-np.pi, np.pi, 481)[:-1]
    cosine = np.sign(np.cos(phi)) * np.abs(np.cos(phi)) ** (2 / exponent)
    sine = np.sign(np.sin(phi)) * np.abs(np.sin(phi)) ** (2 / exponent)
    theta = _theta()
    radii = np.empty((width.size, ANGLES), np.float32)
    for k in range(width.size):
        x = width[k] * cosine
        y = (front[k] + back[k]) / 2 + (back[k] - front[k]) / 2 * sine
        radii[k] = np.interp(theta, np.arctan2(y, x), np.hypot(x, y), period=2 * np.pi)
    return radii


def _periodic(ripple: Floats) -> Floats:
    """Make a field by (z, angle) meet itself where the angles close the circle."""
    seam = ANGLES // 8
    weight = np.linspace(0, 1, seam, dtype=np.float32)
    ripple[:, -seam:] += weight * (ripple[:, :1] - ripple[:, -seam:])
    return ripple


def _muscle_thickness(u: NDArray[np.floating], turn: Floats, subject: Subject) -> Floats:
    """Return how thick the muscles on the ribs may be in mm, by (z, angle)."""
    size = subject.muscle / 13
    beside_spine = 20 * np.exp(-((turn / 30) ** 4))
    sides = 9 * np.exp(-(((turn - 78) / 30) ** 2))
    breast = np.clip((u - 0.42) * 5, 0, 1)[:, None] * 15 * np.exp(-(((turn - 142) / 26) ** 4))
    shoulder = 80 * np.clip((u - 0.58) * 2.6, 0, 1)[:, None] ** 1.5
    result: Floats = (12 + size * (beside_spine + sides + breast) + shoulder).astype(np.float32)
    return result


def breast_bump(grid: Grid) -> Floats:
    """Return the shape of the breasts by (z, angle): 1 at their middle, falling to 0 around."""
    theta = _theta()[None, :]
    z = grid.z[:, None]
    up = (z - height(0.36)) / np.where(z > height(0.36), 42, 30)
    parts = [np.exp(-(((theta + np.pi / 2 - side * 0.66) / 0.33) ** 2) - up**2) for side in (-1, 1)]
    return (parts[0] + parts[1]).astype(np.float32)


def _fat(grid: Grid, subject: Subject) -> Floats:
    """Return the thickness of fat and skin in mm by (z, angle), breasts included."""
    theta = _theta()[None, :]
    z = grid.z[:, None]
    front = np.exp(-(((theta + np.pi / 2) / 0.35) ** 2))
    sides = np.abs(np.cos(theta))
    belly = 1 + 0.5 * np.clip(-(z - height(0.2)) / 90, 0, 1) * (0.4 + 0.6 * sides)
    thickness = 2.5 + subject.fat * (0.75 + 0.3 * sides - 0.35 * front) * belly
    thickness = thickness + subject.breasts * breast_bump(grid)
    return thickness.astype(np.float32)
