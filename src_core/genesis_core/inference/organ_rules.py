"""The organ-wise post-processing published with SuPreM, for its 32 classes: what anatomy says about their shapes.

The rules and figures are the published ones (Li et al. 2024, direct inference), which count voxels of 1.5 mm; here they
hold in millilitres and millimetres, on the scan's own grid. Every change is counted and said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import SettingsError
from genesis_core.inference.lung_sides import Body, tell_apart
from genesis_core.inference.postprocessing import box_around, pieces
from genesis_core.volumes.label_volume import LabelVolume, Structure

OrganRules = Literal["none", "suprem"]
Mask = NDArray[np.bool_]

# Volume of the published pipeline's voxels, 1.5 mm cubed, in ml.
_VOXEL_ML = 1.5**3 / 1000
# Tumours and cysts: at most so many pieces, the largest first, of at least so many of those voxels.
_LESIONS = {
    "kidney_tumor": (5, 80),
    "liver_tumor": (20, 20),
    "pancreas_tumor": (1, 100),
    "hepatic_vessel_tumor": (10, 80),
    "lung_tumor": (10, 30),
    "colon_tumor": (3, 100),
    "kidney_cyst": (20, 20),
}
# A tumour lies in these organs (their largest pieces together, as many as there are organs), closed and grown by a box
# of five of those voxels: two to either side.
_INSIDE = {"kidney_tumor": ("kidney_left", "kidney_right"), "liver_tumor": ("liver",)}
_REACH_MM = 2 * 1.5
_LEFT_LUNG, _RIGHT_LUNG = "lung_left", "lung_right"
_VEIN, _PANCREAS = "portal_vein_and_splenic_vein", "pancreas"
# Single pieces each; the lungs have a rule of their own, and vessels of several pieces stay as they are.
_ORGANS = (
    "spleen",
    "kidney_right",
    "kidney_left",
    "gall_bladder",
    "esophagus",
    "liver",
    "stomach",
    "aorta",
    "postcava",
    _PANCREAS,
    "adrenal_gland_right",
    "adrenal_gland_left",
    "duodenum",
    "colon",
    "intestine",
    "rectum",
    "bladder",
    "prostate",
    "femur_left",
    "femur_right",
    "celiac_trunk",
)
_KNOWN = {*_ORGANS, _LEFT_LUNG, _RIGHT_LUNG, _VEIN, *_LESIONS}


def check_organ_rules(rules: OrganRules, names: list[str]) -> None:
    """Raise SettingsError if rules are asked for and none of them is about these structures."""
    if rules == "suprem" and not _KNOWN & set(names):
        raise SettingsError(
            "organ_rules = suprem: these rules are about SuPreM's 32 classes, and the model segments none of them "
            f"({', '.join(names[:5])})"
        )


def apply_organ_rules(labels: LabelVolume) -> LabelVolume:
    """Return labels after the published rules, with a note on every change; the input is not changed.

    In this order: tumours of kidneys and liver within their organ; one piece an organ; the two lungs, filled, told
    apart by their side; the portal and splenic vein cut below the pancreas; of tumours and cysts only the largest
    pieces. A rule whose structures are not there does nothing.

    Unlike the published rules: sizes are millilitres and millimetres on the scan's own grid; a vein and a hepatic
    vessel stay in all their pieces there and here; lungs that cannot be told apart keep the sides the network drew,
    each in one piece, where the published rules empty both if they are one piece, or leave one and a speck.
    """
    editing = _Editing(labels)
    for name, organs in _INSIDE.items():
        editing.inside(name, organs)
    for name in _ORGANS:
        editing.keep(name, _largest, "outside its largest piece")
    editing.lungs()
    editing.vein()
    for name, (count, voxels) in _LESIONS.items():
        editing.keep(name, partial(editing.lesions, count, voxels), "small pieces, or too many")
    return editing.result()


class _Editing:
    """A copy of labels while rules change it."""

    def __init__(self, labels: LabelVolume) -> None:
        self._labels = labels
        self._layers = tuple(layer.copy() for layer in labels.layers)
        self._structures = {structure.name: structure for structure in labels.structures}
        self._notes: list[str] = []
        self._ml = float(np.prod(labels.geometry.spacing)) / 1000

    def result(self) -> LabelVolume:
        return replace(self._labels, layers=self._layers, notes=(*self._labels.notes, *self._notes))

    def keep(self, name: str, rule: Callable[[Mask], Mask], why: str) -> None:
        """Keep of a structure what `rule` leaves of its mask, which is looked at within the box around it."""
        structure = self._structures.get(name)
        box = None if structure is None else box_around(self._layers[structure.layer], structure.value)
        if structure is None or box is None:
            return
        part = self._layers[structure.layer][box]
        mask = part == structure.value
        gone = mask & ~rule(mask)
        part[gone] = 0
        self._say(name, int(np.count_nonzero(gone)), f"removed ({why})")

    def lesions(self, count: int, voxels: int, mask: Mask) -> Mask:
        """Keep the largest pieces, at most `count`, of more than so many published voxels."""
        numbered, sizes = pieces(mask)
        # A hair above, so that rounding does not make a piece of just that size larger.
        least = voxels * _VOXEL_ML * (1 + 1e-9)
        large = [place for place in np.argsort(-sizes, kind="stable") if sizes[place] * self._ml > least]
        return np.isin(numbered, np.asarray(large[:count], int) + 1)

    def inside(self, name: str, organs: tuple[str, ...]) -> None:
        """Keep what lies in the organs, closed and grown."""
        from scipy import ndimage

        mask, found = self._mask(name), [self._mask(organ) for organ in organs]
        there = [organ for organ in found if organ is not None]
        if mask is None or not there:
            return
        spacing = self._labels.geometry.spacing[::-1]
        reach = [max(1, round(_REACH_MM / mm)) for mm in spacing]
        box = np.ones([2 * length + 1 for length in reach], bool)
        # Closing wears away at the rim of an array, so there must be room around it.
        room = [(2 * length, 2 * length) for length in reach]
        organ = np.pad(_largest(np.logical_or.reduce(there), len(organs)), room)
        organ = ndimage.binary_dilation(ndimage.binary_closing(organ, box), box)
        inner = organ[tuple(slice(low, -high) for low, high in room)]
        self._write(name, mask, mask & inner, f"removed (not in {' or '.join(organs)})")

    def vein(self) -> None:
        """Cut the portal and splenic vein below the lowest slice of the pancreas."""
        vein, pancreas = self._mask(_VEIN), self._mask(_PANCREAS)
        if vein is None or pancreas is None or not pancreas.any():
            return
        codes = self._labels.geometry.axis_codes
        axis = next(place for place, code in enumerate(codes) if code in "SI")
        along = 2 - axis
        slices = np.flatnonzero(pancreas.any(axis=tuple(a for a in range(3) if a != along)))
        place = np.arange(vein.shape[along])
        above = place >= slices[0] if codes[axis] == "S" else place <= slices[-1]
        kept = vein & above.reshape([-1 if a == along else 1 for a in range(3)])
        self._write(_VEIN, vein, kept, "removed (below the pancreas)")

    def lungs(self) -> None:
        """Tell left from right by where the lungs lie, and fill them; where that fails, each keeps its drawn side."""
        left, right = self._mask(_LEFT_LUNG), self._mask(_RIGHT_LUNG)
        if left is None or right is None or not (left.any() or right.any()):
            return
        codes = self._labels.geometry.axis_codes
        places = {code: 2 - axis for axis, code in enumerate(codes)}
        across = places["L"] if "L" in places else places["R"]
        along = places["S"] if "S" in places else places["I"]
        body = Body(across, along, "R" in places, self._labels.geometry.spacing[::-1])
        found = tell_apart(left | right, body)
        if found is None:
            for name, mask in ((_LEFT_LUNG, left), (_RIGHT_LUNG, right)):
                self._write(name, mask, _filled(_largest(mask)), "changed (one piece, filled)")
            return
        # First taken away, then drawn: a lung that changes sides needs the other's voxels.
        self._clear(_LEFT_LUNG, left)
        self._clear(_RIGHT_LUNG, right)
        for name, before, after in ((_LEFT_LUNG, left, found[0]), (_RIGHT_LUNG, right, found[1])):
            self._draw(name, after)
            self._say(name, self._changed(name, before), "changed (by side, filled)")

    def _mask(self, name: str) -> Mask | None:
        structure = self._structures.get(name)
        return None if structure is None else self._labels_mask(structure)

    def _labels_mask(self, structure: Structure) -> Mask:
        return np.asarray(self._layers[structure.layer] == structure.value)

    def _clear(self, name: str, mask: Mask) -> None:
        self._layers[self._structures[name].layer][mask] = 0

    def _draw(self, name: str, mask: Mask) -> None:
        structure = self._structures[name]
        layer = self._layers[structure.layer]
        # What else is drawn there stays.
        layer[mask & (layer == 0)] = structure.value

    def _write(self, name: str, before: Mask, after: Mask, what: str) -> None:
        self._clear(name, before & ~after)
        self._draw(name, after & ~before)
        self._say(name, self._changed(name, before), what)

    def _changed(self, name: str, before: Mask) -> int:
        return int(np.count_nonzero(before != self._labels_mask(self._structures[name])))

    def _say(self, name: str, changed: int, what: str) -> None:
        if changed:
            self._notes.append(f"{name}: {changed * self._ml:.3g} ml {what} ({changed:,} voxels).")


def _largest(mask: Mask, count: int = 1) -> Mask:
    numbered, sizes = pieces(mask)
    return np.isin(numbered, np.argsort(-sizes, kind="stable")[:count] + 1) if len(sizes) else mask


def _filled(mask: Mask) -> Mask:
    from scipy import ndimage

    filled: Any = ndimage.binary_fill_holes(mask)
    return np.asarray(filled, bool)
