"""Settings are declared once, as pydantic models; YAML, command line, forms, errors and docs come from that.

This module holds what all of them share: the base class (unknown keys refused, values checked), `setting` to declare a
field with its sentence, unit and bounds, and readers that turn pydantic's complaints into one message naming the key,
the value and what is allowed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from genesis_core.errors import GenesisError, SettingsError

Model = TypeVar("Model", bound=BaseModel)
# The run.yaml of a hundred thousand scans is 4 MB; settings lie a handful of levels deep.
MAX_YAML_BYTES = 16 << 20
MAX_YAML_NESTING = 32
# The same safe subset, ten times as fast, where PyYAML was built with libyaml.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Settings(BaseModel):
    """Base of every settings model: frozen, unknown keys refused, no silent NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


def setting(default: Any, text: str, *, unit: str | None = None, **bounds: Any) -> Any:
    """Declare a field: default (`...` for required), one sentence, unit, and pydantic bounds (ge, le, gt, lt, ...)."""
    extra: dict[str, Any] = {"unit": unit} if unit else {}
    return Field(default, description=text, json_schema_extra=extra or None, **bounds)


def validate(
    model: type[Model], values: Any, where: str = "settings", error: type[GenesisError] = SettingsError
) -> Model:
    """Check `values` against `model`; raise `error` naming every bad key, its value and what is allowed.

    where: what the reader should look at, usually a file's path or a command's name.
    """
    try:
        return model.model_validate(values)
    except ValidationError as problem:
        lines = [_explain(item) for item in problem.errors()]
        raise error(f"{where}: " + "; ".join(lines)) from None


def _explain(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"]) or "(whole)"
    if item["type"] == "extra_forbidden":
        return f"unknown key '{key}' (value {_short(item['input'])})"
    if item["type"] == "missing":
        return f"'{key}' is required and was not given"
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"'{key}' = {_short(item['input'])}: {message}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read_yaml(
    path: str | os.PathLike[str], error: type[GenesisError] = SettingsError, *, max_bytes: int = MAX_YAML_BYTES
) -> dict[str, Any]:
    """Read a YAML file that must hold a mapping; nothing in it is executed.

    Raises `error` if the file is missing, unreadable, not YAML, not a mapping, larger than `max_bytes`, or built to
    fill the memory when it is expanded (aliases, deep nesting).
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror or problem})") from None
    if len(data) > max_bytes:
        raise error(f"{path}: larger than such a file can be ({max_bytes:,} bytes)")
    try:
        text = data.decode("utf-8")
        _refuse_bombs(path, text, error)
        values = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        raise error(f"{path}: not valid YAML ({_first_line(problem)})") from None
    if values is None:
        values = {}
    if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
        raise error(f"{path}: expected 'key: value' lines, found {type(values).__name__}")
    return dict(values)


def _refuse_bombs(path: Path, text: str, error: type[GenesisError]) -> None:
    """Look at the YAML's events, which take no memory: aliases and deep nesting are where small files grow large."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise error(f"{path}: YAML aliases ('*name') are not allowed; write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_YAML_NESTING:
            raise error(f"{path}: nested more than {MAX_YAML_NESTING} levels deep, which no settings are")


class _Dumper(yaml.SafeDumper):
    """Writes a value that occurs twice twice, since what is read back may hold no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump_yaml(values: Mapping[str, Any]) -> str:
    """Return `values` as YAML text, keys in their given order, short lists on one line."""
    text: str = yaml.dump(
        dict(values), Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120
    )
    return text


def _first_line(problem: BaseException) -> str:
    return str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__


def _split_commas(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _one_or_three(what: str) -> BeforeValidator:
    def spread(value: Any) -> Any:
        value = _split_commas(value)
        if isinstance(value, int | float):
            return [value] * 3
        if isinstance(value, list) and len(value) == 1:
            return value * 3
        if isinstance(value, list | tuple) and len(value) != 3:
            raise ValueError(f"expected {what}, or one for all axes; found {len(value)}")
        return value

    return BeforeValidator(spread)


# A size in voxels (z, y, x), given as a list, as "32,64,64", or as one number for all axes.
Size3 = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...],
    Field(min_length=3, max_length=3),
    _one_or_three("three whole numbers Z,Y,X"),
]
# Lengths in mm (x, y, z), given as a list, as "1,1,2.5", or as one number for all axes.
Spacing3 = Annotated[
    tuple[Annotated[float, Field(gt=0)], ...],
    Field(min_length=3, max_length=3),
    _one_or_three("three numbers X,Y,Z"),
]
# Several words, given as a list or as "a,b,c".
Words = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]
