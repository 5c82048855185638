"""DICOM segmentations (binary, fractional, label map): every frame put where its header says on the grid of the scan.

No frame is resampled: one that does not fall onto voxels of the grid, in whatever order and direction, is refused.
Source: DICOM PS3.3, C.8.20 (segmentation).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.extra import damage_named, needs_extra, open_dataset
from genesis_core.volumes.dicom.frame_placing import FramePlace, frame_place
from genesis_core.volumes.dicom.layering import Layers
from genesis_core.volumes.dicom.multiframe import frames_of
from genesis_core.volumes.dicom.tags import DicomFile, read_dicom_tags
from genesis_core.volumes.label_volume import Colour, LabelVolume
from genesis_core.volumes.volume import Geometry

_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_ELEMENTS = (
    "SegmentationType", "MaximumFractionalValue", "SegmentSequence", "SamplesPerPixel", "PhotometricInterpretation",
    "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData",
)  # fmt: skip
# A probability or occupancy from here on counts as drawn.
_HALF = 0.5


@dataclass(frozen=True)
class _Segment:
    number: int
    name: str
    colour: Colour | None


def read_dicom_seg(path: Path, geometry: Geometry, *, frame_of_reference: str | None = None) -> LabelVolume:
    """Read a DICOM segmentation onto a scan's grid.

    geometry: of the scan it belongs to; every frame must lie on voxels of it. frame_of_reference: UID of the scan's
    patient space; a segmentation in another one is refused.
    Returns one structure per segment with its name and colour; overlapping ones lie in several layers. Fractions count
    from 0.5 on, and notes say so. Raises VolumeError if it is no segmentation, is damaged, or its frames lie off or
    beyond the grid.
    """
    path = Path(path)
    file = read_dicom_tags(path)
    if file.problem:
        raise VolumeError(f"{path}: damaged DICOM: {file.problem}. Copy it again from where it came")
    if file.sop_class not in _SEGMENTATIONS:
        raise VolumeError(f"{path}: not a DICOM segmentation ({file.kind or 'an image'}). Give the SEG file")
    notes = _check_space(path, file, frame_of_reference)
    frames = frames_of(file)
    dataset = open_dataset(path, _ELEMENTS)
    with damage_named(path, "its segments"):
        kind = str(dataset.get("SegmentationType", ""))
        segments = [_segment(path, item) for item in dataset.get("SegmentSequence") or []]
        full = int(dataset.get("MaximumFractionalValue") or 1) if kind == "FRACTIONAL" else 1
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise VolumeError(f"{path}: segmentations of type '{kind}' are not supported; export it as BINARY")
    if kind == "LABELMAP":
        # Number 0 of a label map is its background.
        segments = [segment for segment in segments if segment.number != 0]
    if kind == "FRACTIONAL":
        notes.append(f"Its segments are fractional; voxels from {_HALF:g} of the full value on count as drawn.")
    places = [frame_place(frame, geometry) for frame in frames]
    notes += _gap_notes(places)
    layers, drawn = Layers(geometry, len(segments)), 0
    for segment, box in _masks(dataset, path, kind, _HALF * full, segments, frames, places):
        if box is None:
            notes.append(f"'{segment.name}' is empty: left out.")
            continue
        layers.add(segment.name, segment.colour, *box)
        drawn += 1
    if not drawn:
        raise VolumeError(f"{path}: nothing is drawn in its {len(segments)} segments. Export it again")
    return layers.packed(str(path), notes)


_Box = tuple[NDArray[np.bool_], tuple[int, int, int]]


def _masks(
    dataset: Any,
    path: Path,
    kind: str,
    least: float,
    segments: Sequence[_Segment],
    frames: Sequence[DicomFile],
    places: Sequence[FramePlace],
) -> Iterator[tuple[_Segment, _Box | None]]:
    """Yield each segment's mask and the index where it starts, decoding only the frames it needs."""
    # Every frame of a label map may show every segment: decoded once, they are kept.
    kept = list(_decoded(dataset, path, range(len(frames)))) if kind == "LABELMAP" else None
    for segment in segments:
        if kind == "LABELMAP":
            used = list(range(len(frames)))
        else:
            used = [i for i, frame in enumerate(frames) if dict(frame.telling).get("segment") == str(segment.number)]
        if not used:
            yield segment, None
            continue
        start = np.min([places[i].start for i in used], axis=0)
        stop = np.max([places[i].stop for i in used], axis=0)
        mask = np.zeros(stop - start, dtype=bool)
        for i, pixels in zip(used, kept or _decoded(dataset, path, used), strict=True):
            place = places[i]
            box = tuple(slice(a - s, b - s) for a, b, s in zip(place.start, place.stop, start.tolist(), strict=True))
            # Several frames of one segment at one place add up, whatever made them.
            mask[box] |= place.turned(pixels == segment.number if kind == "LABELMAP" else pixels >= least)
        yield segment, ((mask, (int(start[0]), int(start[1]), int(start[2]))) if mask.any() else None)


def _decoded(dataset: Any, path: Path, frames: Sequence[int]) -> Iterator[NDArray[Any]]:
    with needs_extra(path):
        from pydicom.pixels import iter_pixels
    with damage_named(path, "its frames"):
        if dataset.BitsAllocated == 1 and not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            yield from _unpacked(dataset, path, frames)
        else:
            yield from iter_pixels(dataset, indices=list(frames), raw=True)


def _unpacked(dataset: Any, path: Path, frames: Sequence[int]) -> Iterator[NDArray[Any]]:
    """Yield frames of single bits, which need not start at whole bytes; pydicom's own iteration assumes they do."""
    size = int(dataset.Rows) * int(dataset.Columns)
    packed = np.frombuffer(dataset.PixelData, np.uint8)
    for index in frames:
        first, last = index * size, (index + 1) * size
        bits = np.unpackbits(packed[first // 8 : -(-last // 8)], bitorder="little")[first % 8 :][:size]
        if bits.size != size:
            raise VolumeError(f"{path}: truncated: the voxels of frame {index + 1} are missing. Copy it again")
        yield bits.reshape(int(dataset.Rows), int(dataset.Columns))


def _segment(path: Path, item: Any) -> _Segment:
    colour = None
    if (value := item.get("RecommendedDisplayCIELabValue")) is not None and len(value) == 3:
        with needs_extra(path):
            from highdicom.color import CIELabColor
        red, green, blue = CIELabColor.from_dicom_value(tuple(int(v) for v in value)).to_rgb()
        colour = (int(red), int(green), int(blue))
    number = int(item.SegmentNumber)
    return _Segment(number, str(item.get("SegmentLabel") or "").strip() or f"segment {number}", colour)


def _check_space(path: Path, file: DicomFile, frame_of_reference: str | None) -> list[str]:
    if not frame_of_reference or not file.frame_of_reference:
        return ["Whether the segmentation and the scan name the same frame of reference was not checked."]
    if file.frame_of_reference != frame_of_reference:
        raise VolumeError(
            f"{path}: the segmentation lies in the frame of reference {file.frame_of_reference}, but the scan in "
            f"{frame_of_reference}: it was drawn on another scan. Give the scan it belongs to, or register them"
        )
    return []


def _gap_notes(places: Sequence[FramePlace]) -> list[str]:
    """Say if frames skip slices evenly, as they do when they were drawn on thicker slices than the scan's."""
    at = np.unique([place.start[place.axis] for place in places])
    if len(at) < 3 or (least := int(np.diff(at).min())) < 2:
        return []
    return [f"Its frames lie {least} slices apart at least; slices between stay empty."]
