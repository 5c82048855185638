"""Make a command out of a settings model: its options, help, checks and `--dry-run` all come from that one declaration.

Values are taken, later ones winning, from: the model's defaults, the preset, `--config FILE`, `--set key=value`, and
the command's own options.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
import yaml
from pydantic.fields import FieldInfo

from genesis_core.cli.output import Output
from genesis_core.errors import GenesisError
from genesis_core.settings import Settings, dump_yaml, read_yaml, validate

S = TypeVar("S", bound=Settings)


def settings_command(
    name: str,
    model: type[S],
    run: Callable[[S, Output], int | None],
    *,
    text: str,
    example: str,
    arguments: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    prepare: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    flag_values: Mapping[str, str] | None = None,
    extra: Sequence[click.Option] = (),
    paths: Sequence[str] = (),
    plan: Callable[[S, Output], None] | None = None,
) -> click.Command:
    """Return the click command `name` for the settings `model`.

    run: does the work, given the checked settings; returns an exit code or None for 0.
    arguments, options: what the user types ("SCAN", "--max-steps") -> the dotted key it sets ("training.max_steps");
    every other key is reached with `--set`. prepare: may fill in values (a preset) before they are checked; it also
    gets the values of `extra`, options that belong to no setting. flag_values: what an option means when given without
    a value. paths: dotted keys that, in a --config file, are relative to that file's folder. plan: what --dry-run shows
    instead of the settings, for commands that decide some of them from the data.
    """

    def callback(
        config: str | None, assignments: tuple[str, ...], dry_run: bool, as_json: bool, debug: bool, **given: Any
    ) -> int:
        output = Output(as_json=as_json)
        try:
            values = _read_config(Path(config), paths) if config else {}
            for assignment in assignments:
                _assign(values, *_parse_assignment(assignment))
            for spelling, value in given.items():
                if value is not None:
                    _assign(values, keys.get(spelling, spelling), value)
            if prepare:
                values = prepare(values)
            # A wrong value may be the file's or an option's: both are named.
            where = f"napari-genesis {name} --config {config}" if config else f"napari-genesis {name}"
            settings = validate(model, values, where=where)
        except GenesisError as problem:
            raise click.UsageError(_as_typed(str(problem), typed_as)) from problem
        if dry_run and plan is not None:
            plan(settings, output)
            return 0
        if dry_run:
            resolved = settings.model_dump(mode="json")
            output.record({"settings": resolved})
            if not as_json:
                click.echo(dump_yaml(resolved), nl=False)
            return 0
        return run(settings, output) or 0

    keys: dict[str, str] = {}
    params: list[click.Parameter] = []
    for typed, key in (arguments or {}).items():
        keys[typed.lower()] = key
        params.append(click.Argument([typed.lower()], metavar=typed, required=False))
    for typed, key in (options or {}).items():
        variable = typed.lstrip("-").replace("-", "_")
        keys[variable] = key
        params.append(_option(typed, variable, find_field(model, key), (flag_values or {}).get(typed)))
    typed_as = {typed.lstrip("-"): typed for option in extra for typed in option.opts}
    typed_as |= {key: typed for typed, key in {**(arguments or {}), **(options or {})}.items()}
    params += [*extra, *_shared_options()]
    command = click.Command(name, params=params, callback=callback, help=f"{text}\n\n\b\nExample:\n  {example}")
    command.short_help = text.splitlines()[0]
    return command


def _as_typed(message: str, typed_as: Mapping[str, str]) -> str:
    """Name what is missing as it is typed: "--model" rather than the key 'model'."""
    for key, typed in typed_as.items():
        message = message.replace(f"'{key}' is required", f"{typed} is required")
    return message


def _shared_options() -> list[click.Parameter]:
    return [
        click.Option(["--config", "config"], metavar="FILE", help="Read settings from a YAML file."),
        click.Option(
            ["--set", "assignments"], metavar="KEY=VALUE", multiple=True, help="Set any setting, by its dotted key."
        ),
        click.Option(["--dry-run", "dry_run"], is_flag=True, help="Print the resolved settings and stop."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON lines for programs."),
        click.Option(["--debug", "debug"], is_flag=True, help="Show a traceback when something fails."),
    ]


def find_field(model: type[Settings], key: str) -> FieldInfo:
    """Return the declaration of a dotted key, stepping into the groups by the type of their defaults."""
    head, _, rest = key.partition(".")
    field = model.model_fields[head]
    if not rest:
        return field
    group = field.get_default(call_default_factory=True)
    if not isinstance(group, Settings):
        raise TypeError(f"{model.__name__}.{head} has no group of settings as its default, so '{key}' has no option")
    return find_field(type(group), rest)


def _read_config(path: Path, paths: Sequence[str]) -> dict[str, Any]:
    values = read_yaml(path)
    for key in paths:
        *groups, last = key.split(".")
        group: Any = values
        for name in groups:
            group = group.get(name) if isinstance(group, dict) else None
        if isinstance(group, dict) and isinstance(group.get(last), str):
            group[last] = os.path.normpath(path.parent / group[last])
    return values


def _option(typed: str, variable: str, field: FieldInfo, flag_value: str | None) -> click.Option:
    kind = field.annotation
    if kind is bool:
        return click.Option([f"{typed}/--no-{typed.lstrip('-')}", variable], default=None, help=describe(field))
    choices = _choices(kind)
    if choices:
        flag: dict[str, Any] = {"is_flag": False, "flag_value": flag_value} if flag_value else {}
        return click.Option([typed, variable], type=click.Choice(choices), help=describe(field), **flag)
    usual = {"patch_size": "Z,Y,X", "spacing": "X,Y,Z", "older_than": "AGE", "keep_under": "SIZE"}
    metavar = usual.get(variable, _metavar(kind))
    return click.Option([typed, variable], metavar=metavar, help=describe(field))


def _choices(kind: Any) -> list[str]:
    """Return all that may be typed, where that is a few words; nothing where a number, say, does as well."""
    parts = [kind] if get_origin(kind) is Literal else [part for part in get_args(kind) if part is not type(None)]
    if any(get_origin(part) is not Literal for part in parts):
        return []
    return [str(choice) for part in parts for choice in get_args(part)]


def _metavar(kind: Any) -> str:
    kinds = {kind, *get_args(kind)}
    return "N" if int in kinds else "NUMBER" if float in kinds else "PATH" if Path in kinds else "TEXT"


def describe(field: FieldInfo) -> str:
    """Return a field's sentence with its unit, bounds and default, for help texts and forms."""
    facts = []
    extra = field.json_schema_extra
    if isinstance(extra, dict) and extra.get("unit"):
        facts.append(str(extra["unit"]))
    for name, word in (("ge", "at least"), ("gt", "over"), ("le", "at most"), ("lt", "under")):
        facts += [f"{word} {getattr(item, name)}" for item in field.metadata if getattr(item, name, None) is not None]
    if not field.is_required() and field.default not in (None, ()) and not isinstance(field.default, Settings):
        default = field.default
        facts.append("default " + (",".join(map(str, default)) if isinstance(default, tuple) else str(default)))
    text = field.description or ""
    return f"{text} [{'; '.join(facts)}]" if facts else text


def _parse_assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"--set {text}: expected KEY=VALUE, for instance --set training.learning_rate=0.001")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        raise click.UsageError(f"--set {text}: the value is not valid YAML") from None


def _assign(values: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise click.UsageError(f"{key}: '{part}' is a value, not a group of settings")
        values = inner
    values[last] = value
