"""Names, numbers and colours of structures, from the files people keep them in.

Read: our own JSON beside a label map, dataset.json of nnU-Net and the Medical Segmentation Decathlon, a table (.csv,
.tsv), the label descriptions of ITK-SNAP, and colour tables of FreeSurfer and 3D Slicer.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.stored import open_file, read_bytes
from genesis_core.volumes.label_volume import Colour, Structure

# A structure of this name is none: it marks places where the labels say nothing, as nnU-Net has it.
IGNORE = "ignore"
NAME_FILE_ENDINGS = (".json", ".csv", ".tsv", ".txt", ".label", ".ctbl")

# A list of names is text of some kilobytes; what is larger is something else.
_LONGEST = 16 << 20
_VALUE_COLUMNS = ("value", "number", "index", "id", "label_value", "labelvalue", "label", "idx")
_NAME_COLUMNS = ("name", "structure", "label_name", "labelname", "label")
_COLOUR_COLUMNS = (("red", "r"), ("green", "g"), ("blue", "b"))
# IDX R G B opacity visible mesh "name".
_SNAP = re.compile(r'\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+[\d.]+\s+\d+\s+\d+\s+"(.*)"\s*')
# number name R G B opacity.
_TABLE = re.compile(r"\s*(\d+)\s+(\S+)\s+(\d+)\s+(\d+)\s+(\d+)(?:\s+[\d.]+)?\s*")


def read_structure_names(path: str | os.PathLike[str]) -> tuple[Structure, ...]:
    """Return the structures a file of names lists, in its order; 0, the background, is left out.

    path: .json ({"structures": [{"name", "value", "colour"}]}, or a dataset.json), .csv or .tsv with columns value and
    name (and red, green, blue), .txt or .label of ITK-SNAP, .txt or .ctbl colour table. Raises VolumeError if it is
    none of these, names a number twice, or holds values that are no whole numbers from 0 or colours outside 0 to 255.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in NAME_FILE_ENDINGS:
        raise VolumeError(f"{path}: not a known list of names; known endings are {', '.join(NAME_FILE_ENDINGS)}")
    text = _text(path)
    try:
        if ending == ".json":
            found = _from_json(_parsed(path, text))
        elif ending in (".csv", ".tsv"):
            found = _from_table(text)
        else:
            found = _from_lines(text)
        return _without_doubles(found)
    except VolumeError as problem:
        raise VolumeError(f"{path}: {problem}") from None


def sidecar_of(path: Path, ending: str) -> Path:
    """Return where the JSON of names beside a label map of a known ending lies: liver.nii.gz has liver.json."""
    return path.with_name(path.name[: len(path.name) - len(ending)] + ".json")


def read_sidecar(path: Path) -> tuple[Structure, ...]:
    """Return the structures that a JSON beside a label map names; none if it is missing or speaks of other things.

    Raises VolumeError if it has a list "structures" that is damaged.
    """
    if not path.is_file():
        return ()
    content = _parsed(path, _text(path))
    if not isinstance(content, Mapping) or "structures" not in content:
        return ()
    try:
        return _without_doubles(_from_json(content))
    except VolumeError as problem:
        raise VolumeError(f"{path}: {problem}") from None


def is_unnamed(structure: Structure) -> bool:
    """Whether a structure has only the name that reading gives to a number without one, such as "label 3"."""
    return structure.name == f"label {structure.value}"


def structures_from_dataset_json(content: Mapping[str, Any]) -> tuple[Structure, ...]:
    """Return the structures that the "labels" of a dataset.json name, by value; background (0) is left out.

    Both directions are understood: nnU-Net's {"liver": 1} and the Decathlon's {"1": "liver"}. Voxels to leave out of
    training keep nnU-Net's name for them, `IGNORE`. What one number per voxel cannot express (regions that join
    numbers) is left out here and told by `left_out_of_dataset_json`. Raises VolumeError if "labels" is missing, no
    mapping, or gives a number twice.
    """
    named, _ = _dataset_labels(content)
    return _without_doubles(sorted(named, key=lambda structure: structure.value))


def left_out_of_dataset_json(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return sentences on the entries of "labels" that `structures_from_dataset_json` leaves out, to show to a user."""
    return tuple(_dataset_labels(content)[1])


def _dataset_labels(content: Mapping[str, Any]) -> tuple[list[Structure], list[str]]:
    labels = content.get("labels")
    if not isinstance(labels, Mapping):
        raise VolumeError('dataset.json has no "labels" such as {"background": 0, "liver": 1}')
    named: list[Structure] = []
    left_out: list[str] = []
    for key, value in labels.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            numbers = ", ".join(str(number) for number in value)
            left_out.append(
                f"'{key}' joins the numbers {numbers}: regions are not supported here, only the numbers themselves."
            )
        elif _is_number(value) and not (isinstance(value, str) and _is_number(key)):
            named.append(Structure(str(key), _number(value)))
        elif _is_number(key) and isinstance(value, str):
            named.append(Structure(value, _number(key)))
        else:
            raise VolumeError(f"\"labels\" gives '{key}' the value {value!r}; a whole number from 0 is needed")
    return [structure for structure in named if structure.value > 0], left_out


def _text(path: Path) -> str:
    with open_file(path) as file:
        data = read_bytes(file, _LONGEST + 1, path)
    if len(data) > _LONGEST:
        raise VolumeError(f"{path}: larger than any list of names ({_LONGEST >> 20} MiB)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _parsed(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise VolumeError(f"{path}: not valid JSON ({problem}). Mend it, or write it again") from None


def _from_json(content: Any) -> list[Structure]:
    if isinstance(content, Mapping) and "structures" not in content and "labels" in content:
        return list(structures_from_dataset_json(content))
    entries = content.get("structures") if isinstance(content, Mapping) else None
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in entries
    ):
        raise VolumeError('needs a list "structures" of {"name": ..., "value": ...}, or "labels" as in dataset.json')
    return [
        Structure(entry["name"], _number(entry.get("value")), _colour(entry.get("colour", entry.get("color"))))
        for entry in entries
    ]


def _from_table(text: str) -> list[Structure]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    head = lines[0] if lines else ""
    separator = max(",;\t", key=head.count)
    try:
        rows = list(csv.reader(lines, delimiter=separator))
    except csv.Error as problem:
        raise VolumeError(f"not a table that can be read ({problem})") from None
    columns = [cell.strip().lower() for cell in rows[0]] if rows else []
    name = next((column for column in _NAME_COLUMNS if column in columns), None)
    value = next((column for column in _VALUE_COLUMNS if column in columns and column != name), None)
    if name is None or value is None:
        raise VolumeError("the first line must name the columns: value,name and, if wanted, red,green,blue")
    colours = [next((c for c in names if c in columns), None) for names in _COLOUR_COLUMNS]
    structures = []
    for row in rows[1:]:
        cells = dict(zip(columns, (cell.strip() for cell in row), strict=False))
        given = [cells.get(column, "") if column else "" for column in colours]
        structures.append(
            Structure(cells.get(name, ""), _number(cells.get(value)), _colour(given if any(given) else None))
        )
    return structures


def _from_lines(text: str) -> list[Structure]:
    return list(_line_structures(text))


def _line_structures(text: str) -> Iterator[Structure]:
    found = False
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match := _SNAP.fullmatch(line):
            value, *colour, name = match.groups()
        elif match := _TABLE.fullmatch(line):
            value, name, *colour = match.groups()
        else:
            raise VolumeError(
                f"'{line.strip()[:60]}' is no label description of ITK-SNAP (number, red, green, blue, opacity, two "
                "flags, name in quotes) and no line of a colour table (number, name, red, green, blue)"
            )
        found = True
        yield Structure(name, _number(value), _colour(colour))
    if not found:
        raise VolumeError("names no structure")


def _without_doubles(structures: Sequence[Structure]) -> tuple[Structure, ...]:
    seen: dict[int, str] = {}
    kept = []
    for structure in structures:
        if structure.value == 0:
            continue
        if not structure.name.strip():
            raise VolumeError(f"number {structure.value} has an empty name")
        if structure.value in seen:
            raise VolumeError(
                f"number {structure.value} is named twice: '{seen[structure.value]}' and '{structure.name}'"
            )
        seen[structure.value] = structure.name
        kept.append(structure)
    return tuple(kept)


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"\s*\d{1,18}\s*", value) is not None
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: object) -> int:
    if not _is_number(value):
        raise VolumeError(f"{value!r} is no number of a structure; whole numbers from 0 are needed")
    return int(value)  # type: ignore[call-overload, no-any-return]


def _colour(given: object) -> Colour | None:
    if given is None:
        return None
    if (
        not isinstance(given, list)
        or len(given) != 3
        or not all(_is_number(part) and int(part) <= 255 for part in given)
    ):
        raise VolumeError(f"{given!r} is no colour; red, green and blue from 0 to 255 are needed")
    red, green, blue = (int(part) for part in given)
    return red, green, blue
