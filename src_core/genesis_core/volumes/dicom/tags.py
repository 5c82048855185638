"""The few facts of a DICOM file that decide what it is and where its slice lies; patient tags are not read at all.

Voxels are decoded elsewhere. Source: DICOM PS3.3 (tags, objects), PS3.5 section 10 (transfer syntaxes).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.elements import DamagedError, ElementReader
from genesis_core.volumes.formats.stored import open_file, read_bytes

Values = tuple[float, ...]

# What tells images at one place apart: time points, echoes, diffusion weightings, reconstructions.
_TELLING = {
    0x00080008: "image type", 0x00180081: "echo time", 0x00180086: "echo number", 0x00181060: "trigger time",
    0x00189087: "b-value", 0x00200012: "acquisition number", 0x00200100: "temporal position", 0x00181210: "kernel",
}  # fmt: skip
_WANTED = {
    0x00020002: "sop_class", 0x00080005: "characters", 0x00080060: "modality", 0x0008103E: "description",
    0x00180050: "thickness", 0x0020000D: "study", 0x0020000E: "series", 0x00200032: "position",
    0x00200037: "orientation", 0x00200052: "frame_of_reference",
    0x00280002: "samples", 0x00280004: "photometric", 0x00280008: "frames",
    0x00280010: "rows", 0x00280011: "columns", 0x00280030: "spacing", 0x00280100: "bits", 0x00280103: "signed",
    0x00280120: "padding", 0x00280121: "padding_limit", 0x00281052: "intercept", 0x00281053: "slope",
    0x00282110: "lossy", 0x00283000: "lut", 0x52009230: "groups", **_TELLING,
}  # fmt: skip
# How descriptions are coded, where it is not Latin 1 (PS3.3, C.12.1.1.2).
_CHARACTERS = {
    "ISO_IR 192": "utf-8", "ISO_IR 101": "iso8859_2", "ISO_IR 144": "iso8859_5", "ISO_IR 126": "iso8859_7",
    "ISO_IR 13": "shift_jis", "GB18030": "gb18030", "GBK": "gbk",
}  # fmt: skip
# JPEG baseline and extended, JPEG-LS near-lossless: lossy by nature, whatever the tag says.
_LOSSY = tuple(f"1.2.840.10008.1.2.4.{tail}" for tail in ("50", "51", "81"))
# Objects that may share a folder with the slices but are no scan, by the start of their SOP class.
_OBJECTS = {
    "1.2.840.10008.5.1.4.1.1.481.3": "RT structure set", "1.2.840.10008.5.1.4.1.1.481.2": "RT dose",
    "1.2.840.10008.5.1.4.1.1.481.": "RT object", "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66": "registration or other object", "1.2.840.10008.5.1.4.1.1.88.": "structured report",
    "1.2.840.10008.5.1.4.1.1.11.": "presentation state", "1.2.840.10008.5.1.4.1.1.104.": "document",
    "1.2.840.10008.1.3.10": "DICOMDIR",
}  # fmt: skip


@dataclass(frozen=True)
class DicomFile:
    """One DICOM file, or one frame of a file that holds several.

    problem: why its image cannot be used, or None. kind: what it is, if it is no image ("RT structure set").
    position, orientation, spacing (row, column): as in the file, mm, or empty. series, study, frame_of_reference: UIDs,
    or "" where unknown. between: mm from slice to slice, where a frame's header says it. padding: lowest and highest
    stored number that marks no tissue. telling: what tells this image from another at its place ("echo time").
    grouped: its frames have headers of their own. frame: its number in the file, from 0, once taken apart.
    """

    path: Path
    series: str = ""
    study: str = ""
    frame_of_reference: str = ""
    modality: str = ""
    description: str = ""
    kind: str | None = None
    problem: str | None = None
    sop_class: str = ""
    syntax: str = ""
    rows: int = 0
    columns: int = 0
    samples: int = 1
    bits: int = 0
    signed: bool = False
    photometric: str = ""
    frames: int = 1
    position: Values = ()
    orientation: Values = ()
    spacing: Values = ()
    thickness: float | None = None
    between: float | None = None
    slope: float = 1.0
    intercept: float = 0.0
    has_lookup_table: bool = False
    padding: tuple[float, float] | None = None
    lossy: bool = False
    telling: tuple[tuple[str, str], ...] = ()
    grouped: bool = False
    frame: int | None = None

    @property
    def name(self) -> str:
        """The file's name, with the frame's number."""
        return self.path.name if self.frame is None else f"{self.path.name} frame {self.frame + 1}"


def is_dicom(path: Path) -> bool:
    """Whether the file carries DICOM's mark; unreadable files and folders do not."""
    try:
        with open_file(path) as file:
            return read_bytes(file, 132, path)[128:] == b"DICM"
    except VolumeError:
        return False


def read_dicom_tags(path: Path) -> DicomFile:
    """Read one file's tags up to its voxels, which are checked for their length but not decoded.

    Damage does not raise but is told in `problem`; raises VolumeError only if the file cannot be opened or is not
    DICOM.
    """
    with open_file(path) as file:
        if read_bytes(file, 132, path)[128:] != b"DICM":
            raise VolumeError(
                f"{path}: not a DICOM file (its mark 'DICM' is missing). Export it again as DICOM Part 10"
            )
        reader = ElementReader(file, os.fstat(file.fileno()).st_size, _WANTED)
        problem = None
        try:
            reader.read()
        except (DamagedError, struct.error) as damage:
            problem = str(damage) or "it ends in the middle of a tag"
        except OSError as failure:
            problem = f"reading stopped ({failure.strerror or failure})"
        return _summary(path, reader, problem)


def _summary(path: Path, reader: ElementReader, problem: str | None) -> DicomFile:
    found, order = reader.found, reader.order
    texts = {key: _text(value) for key, value in found.items()}
    sop_class = texts.get("sop_class", "")
    characters = _CHARACTERS.get(texts.get("characters", "").split("\\")[-1], "latin-1")
    kind = next((name for start, name in _OBJECTS.items() if sop_class.startswith(start)), None)
    if kind is None and problem is None and not reader.has_pixels:
        kind = "object without an image"
    numbers = {key: _short(found.get(key, b""), order) for key in ("rows", "columns", "samples", "bits", "signed")}
    frames = _numbers(texts.get("frames", ""))
    count = int(frames[0]) if frames and 0 < frames[0] < 1 << 24 else 1
    slope, intercept = _one_number(texts.get("slope", ""), 1.0), _one_number(texts.get("intercept", ""), 0.0)
    if kind is None and problem is None:
        needed = numbers["rows"] * numbers["columns"] * (numbers["samples"] or 1) * numbers["bits"] * count // 8
        if not needed:
            problem = "its image has no rows, columns or bits"
        elif reader.pixel_length is not None and reader.pixel_length < needed:
            problem = f"truncated: {needed - reader.pixel_length:,} of {needed:,} bytes of voxels are missing"
        elif reader.pixel_length is not None and reader.pixel_length >= needed + -(-needed // count):
            problem = f"it holds {reader.pixel_length:,} bytes of voxels, where its tags name {needed:,}"
        elif slope is None or intercept is None or slope == 0:
            problem = (
                f"its rescale slope '{texts.get('slope', '')}' and intercept '{texts.get('intercept', '')}' are not "
                "usable numbers"
            )
    return DicomFile(
        path=path,
        series=texts.get("series", ""),
        study=texts.get("study", ""),
        frame_of_reference=texts.get("frame_of_reference", ""),
        modality=texts.get("modality", "").upper(),
        description=found.get("description", b"").decode(characters, "replace").strip(" \0"),
        kind=kind,
        problem=problem,
        sop_class=sop_class,
        syntax=reader.syntax,
        rows=numbers["rows"],
        columns=numbers["columns"],
        samples=numbers["samples"] or 1,
        bits=numbers["bits"],
        signed=numbers["signed"] == 1,
        photometric=texts.get("photometric", ""),
        frames=count,
        position=_numbers(texts.get("position", "")),
        orientation=_numbers(texts.get("orientation", "")),
        spacing=_numbers(texts.get("spacing", "")),
        thickness=next(iter(_numbers(texts.get("thickness", ""))), None),
        slope=slope if slope is not None else 1.0,
        intercept=intercept if intercept is not None else 0.0,
        has_lookup_table="lut" in found,
        padding=_padding(found, order, numbers["signed"] == 1),
        lossy=texts.get("lossy", "") == "01" or reader.syntax in _LOSSY,
        telling=tuple((key, texts[key]) for key in _TELLING.values() if texts.get(key)),
        grouped="groups" in found,
    )


def _padding(found: dict[str, bytes], order: str, signed: bool) -> tuple[float, float] | None:
    """Return the lowest and highest stored number that means "no tissue here" (PS3.3, C.7.5.1.1.2)."""
    ends = [
        float(struct.unpack_from(order + ("h" if signed else "H"), found[key])[0])
        for key in ("padding", "padding_limit")
        if len(found.get(key, b"")) >= 2
    ]
    return (min(ends), max(ends)) if "padding" in found and ends else None


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip(" \0")


def _numbers(text: str) -> Values:
    try:
        return tuple(float(part) for part in text.split("\\")) if text else ()
    except ValueError:
        return ()


def _one_number(text: str, default: float) -> float | None:
    """Return a single finite number, the default where there is none, or None for anything else."""
    values = _numbers(text)
    if not text:
        return default
    return values[0] if len(values) == 1 and abs(values[0]) < float("inf") else None


def _short(value: bytes, order: str) -> int:
    return int(struct.unpack_from(order + "H", value)[0]) if len(value) >= 2 else 0
