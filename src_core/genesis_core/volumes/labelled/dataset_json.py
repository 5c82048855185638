"""Reading dataset.json, in which nnU-Net and the Medical Segmentation Decathlon describe a set of cases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.stored import open_file, read_bytes
from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.structure_names import left_out_of_dataset_json, structures_from_dataset_json

_LARGEST = 256 << 20


def read_dataset_json(path: Path) -> dict[str, Any]:
    """Return what a dataset.json holds; raises VolumeError if it is no JSON object."""
    with open_file(path) as file:
        data = read_bytes(file, _LARGEST, path)
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as problem:
        raise VolumeError(f"{path}: not valid JSON ({problem}). Mend it, or move it away: then names decide") from None
    if not isinstance(content, dict):
        raise VolumeError(f"{path}: holds a {type(content).__name__}, not an object in braces {{ }}. Mend it")
    return content


def channel_names(path: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the channels in the order of their numbers, "channel_names" or "modality"; or none.

    Raises VolumeError if they are not numbered from 0 without a gap.
    """
    for key in ("channel_names", "modality"):
        if (given := content.get(key)) is None:
            continue
        if isinstance(given, list):
            given = dict(enumerate(given))
        names = {str(number): str(name) for number, name in given.items()} if isinstance(given, Mapping) else {}
        if not names or set(names) != {str(number) for number in range(len(names))}:
            raise VolumeError(f'{path}: "{key}" must number the channels from "0" without a gap, not {given!r}')
        return tuple(_distinct([names[str(number)] for number in range(len(names))]))
    return ()


def dataset_structures(path: Path, content: Mapping[str, Any]) -> tuple[tuple[Structure, ...], tuple[str, ...]]:
    """Return the structures that "labels" names and what to know of them; none where it is missing.

    Numbers that occur only in regions ({"whole tumour": [1, 2]}) keep their place as "label 1": their voxels are
    something, not background.
    """
    if "labels" not in content:
        return (), ("dataset.json does not name the labels; the numbers in the files decide.",)
    try:
        named = structures_from_dataset_json(content)
        notes = left_out_of_dataset_json(content)
    except VolumeError as problem:
        raise VolumeError(f"{path}: {problem}") from None
    have = {structure.value for structure in named}
    in_regions = {
        number
        for value in content["labels"].values()
        if isinstance(value, list)
        for number in value
        if isinstance(number, int) and number > 0
    }
    single = {
        value[0]: str(name)
        for name, value in content["labels"].items()
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], int)
    }
    more = [Structure(single.get(number, f"label {number}"), number) for number in sorted(in_regions - have)]
    return tuple(sorted((*named, *more), key=lambda structure: structure.value)), notes


def count_notes(content: Mapping[str, Any], key: str, found: int) -> tuple[str, ...]:
    """Return a sentence where dataset.json counts other than what is there."""
    said = content.get(key)
    if isinstance(said, int) and said != found:
        return (f'dataset.json says "{key}": {said}, but {found} are there.',)
    return ()


def _distinct(names: list[str]) -> list[str]:
    return [f"{name} {i}" if names.count(name) > 1 else name for i, name in enumerate(names)]
