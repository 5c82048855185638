"""What differs between the settings of runs: dotted keys, and the value each run has. Read from run.yaml as it is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis_core.errors import RunError
from genesis_core.settings import read_yaml

NOT_SET = "–"
# Where things are, relative to the run: the same folder is written otherwise from another place.
_PATHS = (
    "data.scans", "data.series", "data.labelled", "data.subjects", "data.cache", "source", "rounds.previous",
    "rounds.corrected",
)  # fmt: skip
# Words on the settings, not settings.
_LEFT_OUT = ("schema", "plan")
# Longer lists are told by their length.
_CHARACTERS = 40


@dataclass(frozen=True)
class Difference:
    """One setting. values: what each run has, in the order of the runs; `NOT_SET` where it has no such setting."""

    key: str
    values: tuple[str, ...]


def flat_settings(run: Path) -> dict[str, str]:
    """Return the settings of a run: dotted key -> value as text, in the order of its run.yaml.

    Steps of a recipe are told apart by their kind. Raises RunError if run.yaml is missing or damaged.
    """
    values = read_yaml(run / "run.yaml", RunError)
    for key in _LEFT_OUT:
        values.pop(key, None)
    found = dict(_flat(values, ""))
    for key in _PATHS:
        if key in found and found[key] not in ("none", ""):
            found[key] = os.path.normpath(run.absolute() / found[key])
    return found


def differences(settings: Sequence[Mapping[str, str]]) -> list[Difference]:
    """Return the settings that are not the same in all runs, in the order of the first that has each."""
    keys = dict.fromkeys(key for one in settings for key in one)
    rows = [Difference(key, tuple(one.get(key, NOT_SET) for one in settings)) for key in keys]
    return [row for row in rows if len(set(row.values)) > 1]


def as_text(names: Sequence[str], rows: Sequence[Difference]) -> str:
    """Return the table as lines of tab-separated cells, names first: a spreadsheet takes it as it is."""
    lines = [("setting", *names), *((row.key, *row.values) for row in rows)]
    return "\n".join("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in line) for line in lines) + "\n"


def _flat(value: Any, key: str) -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [pair for name, inner in value.items() for pair in _flat(inner, f"{key}.{name}" if key else str(name))]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [
            pair
            for name, item in zip(_names(value), value, strict=True)
            for pair in _flat(_plain(item), f"{key}.{name}")
        ]
    return [(key, _text(value))]


def _names(items: list[Any]) -> list[str]:
    """Return what the items are called: by their kind where each has another, else by their number."""
    kinds = [str(item.get("kind", next(iter(item), ""))) if isinstance(item, dict) else "" for item in items]
    return kinds if len(set(kinds)) == len(kinds) and all(kinds) else [str(number) for number in range(len(items))]


def _plain(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    if len(item) == 1 and isinstance(next(iter(item.values())), dict):
        # "one_of: {...}" stands under its own name already.
        return next(iter(item.values()))
    rest = {name: value for name, value in item.items() if name != "kind"}
    return rest or "there"


def _text(value: Any) -> str:
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        listed = ", ".join(map(_text, value))
        if len(listed) <= _CHARACTERS:
            return listed
        digest = hashlib.blake2b("\n".join(map(str, value)).encode(), digest_size=2).hexdigest()
        return f"{len(value)} of them (#{digest})"
    return f"{value:g}" if isinstance(value, float) else str(value)
