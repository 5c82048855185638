"""RT structure sets: contours in millimetres, filled on the grid of the scan they were drawn on.

A voxel belongs to a structure if its centre lies inside the contour. Contours of one plane are combined by
exclusive-or, which is how holes are drawn; contours are drawn on one slice each and nothing is interpolated between
slices. Source: DICOM PS3.3, C.8.8.5 (structure set) and C.8.8.6 (ROI contour).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.extra import damage_named, needs_extra, open_dataset
from genesis_core.volumes.dicom.filling import Drawn, fill_planes, plane_of
from genesis_core.volumes.dicom.layering import Layers
from genesis_core.volumes.label_volume import Colour, LabelVolume
from genesis_core.volumes.volume import Geometry

_ELEMENTS = (
    "SOPClassUID", "StructureSetROISequence", "ROIContourSequence", "ReferencedFrameOfReferenceSequence",
    "FrameOfReferenceUID",
)  # fmt: skip
_RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_KIND_NAMES = {"POINT": "point", "OPEN_PLANAR": "open contour", "OPEN_NONPLANAR": "open contour"}


@dataclass(frozen=True)
class _Roi:
    """One ROI of the file. contours: points (n, 3) in mm, LPS. others: what it holds that encloses no area."""

    name: str
    colour: Colour | None
    frame_of_reference: str
    contours: tuple[NDArray[np.float64], ...]
    others: Counter[str]


def read_rtstruct(path: Path, geometry: Geometry, *, frame_of_reference: str | None = None) -> LabelVolume:
    """Fill the contours of an RT structure set on a scan's grid.

    geometry: of the scan the contours were drawn on. frame_of_reference: UID of the scan's patient space; contours in
    another one are refused.
    Returns one structure per ROI with its name and colour; overlapping ones lie in several layers. Notes say what was
    left out: points, open and empty contours, contours oblique to the slices, beyond the grid, off its slices, or
    missing on slices between.
    Raises VolumeError if it is no structure set, is damaged, holds nothing that can be filled, or fits another scan.
    """
    path = Path(path)
    rois = _read_rois(path)
    notes = _check_space(path, rois, frame_of_reference)
    layers, filled = Layers(geometry, len(rois)), 0
    for roi in rois:
        told = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in sorted(roi.others.items())]
        if not roi.contours:
            notes.append(f"'{roi.name}' has no closed contour ({', '.join(told) or 'empty'}): left out.")
            continue
        if told:
            notes.append(f"'{roi.name}': {', '.join(told)} enclose no area and were ignored.")
        drawn = _draw(path, roi, geometry)
        if drawn is None:
            notes.append(
                f"'{roi.name}': its contours are not parallel to any slices of the scan, as if drawn on another scan "
                "or on an oblique view: left out."
            )
            continue
        notes += [f"'{roi.name}': {note}" for note in drawn.notes]
        if drawn.mask is None or not drawn.mask.any():
            notes.append(f"'{roi.name}' covers no voxel of the scan: left out.")
            continue
        layers.add(roi.name, roi.colour, drawn.mask, drawn.start)
        filled += 1
    if not filled:
        raise VolumeError(
            f"{path}: none of its {len(rois)} structures covers a voxel of the scan. {' '.join(notes)} Check that it "
            "belongs to this scan"
        )
    return layers.packed(str(path), notes)


def _read_rois(path: Path) -> list[_Roi]:
    dataset = open_dataset(path, _ELEMENTS)
    with damage_named(path, "its contours"):
        if str(dataset.get("SOPClassUID", "")) != _RTSTRUCT:
            raise VolumeError(f"{path}: not an RT structure set. Give the file that holds the contours (often RS*.dcm)")
        named = {int(roi.ROINumber): roi for roi in dataset.get("StructureSetROISequence") or []}
        contours = {int(roi.ReferencedROINumber): roi for roi in dataset.get("ROIContourSequence") or []}
        if not named:
            raise VolumeError(f"{path}: the structure set holds no structure")
        return [_roi(number, roi, contours.get(number), dataset) for number, roi in named.items()]


def _roi(number: int, roi: Any, drawn: Any, dataset: Any) -> _Roi:
    space = str(roi.get("ReferencedFrameOfReferenceUID") or dataset.get("FrameOfReferenceUID") or "")
    colour = drawn.get("ROIDisplayColor") if drawn is not None else None
    contours, others = [], Counter[str]()
    for contour in (drawn.get("ContourSequence") if drawn is not None else None) or []:
        kind = str(contour.get("ContourGeometricType") or "")
        points = np.asarray(contour.get("ContourData") or [], dtype=np.float64)
        if kind in _CLOSED and points.size >= 9 and points.size % 3 == 0 and np.isfinite(points).all():
            contours.append(points.reshape(-1, 3))
        elif kind in _CLOSED:
            others["empty or damaged contour"] += 1
        else:
            others[_KIND_NAMES.get(kind, "contour of unknown kind")] += 1
    return _Roi(
        name=str(roi.get("ROIName") or "").strip() or f"ROI {number}",
        colour=_colour(colour),
        frame_of_reference=space,
        contours=tuple(contours),
        others=others,
    )


def _colour(values: Any) -> Colour | None:
    if values is None or len(values) != 3:
        return None
    red, green, blue = (min(255, max(0, int(value))) for value in values)
    return red, green, blue


def _check_space(path: Path, rois: list[_Roi], frame_of_reference: str | None) -> list[str]:
    """Refuse contours of another patient space; where it is unknown, say so."""
    spaces = {roi.frame_of_reference for roi in rois if roi.contours}
    if not frame_of_reference or not all(spaces):
        return ["Whether its contours and the scan name the same frame of reference was not checked."]
    if wrong := spaces - {frame_of_reference}:
        raise VolumeError(
            f"{path}: its contours lie in the frame of reference {sorted(wrong)[0]}, but the scan in "
            f"{frame_of_reference}: they were drawn on another scan. Give the scan they belong to, or register them"
        )
    return []


def _draw(path: Path, roi: _Roi, geometry: Geometry) -> Drawn | None:
    """Return a structure filled, or None if all its contours are oblique to the scan."""
    with needs_extra(path):
        import skimage.draw  # noqa: F401
    planes = [plane_of(points, geometry) for points in roi.contours]
    oblique = sum(plane is None for plane in planes)
    if oblique == len(planes):
        return None
    drawn = fill_planes([plane for plane in planes if plane is not None], geometry)
    if oblique:
        note = f"{oblique} of {len(planes)} contours are not parallel to the slices and were left out."
        return Drawn(drawn.mask, drawn.start, (note, *drawn.notes))
    return drawn
