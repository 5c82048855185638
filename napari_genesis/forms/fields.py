"""What a form needs to know of a settings model's field: its kind of control, words, bounds and default. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from genesis_core.errors import SettingsError
from napari_genesis.forms.quantity import Quantity

Kind = Literal["number", "switch", "choice", "text"]
# Stands for "there is none", where None could be a value.
MISSING: Any = PydanticUndefined


@dataclass(frozen=True)
class FormField:
    """A field of a settings model. default: MISSING if it is required. unit: in words, may be empty."""

    name: str
    label: str
    description: str
    unit: str
    annotation: Any
    constraints: tuple[Any, ...]
    default: Any

    @classmethod
    def of(cls, name: str, info: FieldInfo) -> FormField:
        """Return what a form needs to know of pydantic's field."""
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        return cls(
            name=name,
            label=info.title or name.replace("_", " "),
            description=info.description or "",
            unit=str(extra.get("unit", "")),
            annotation=info.annotation,
            constraints=tuple(info.metadata),
            default=info.get_default(call_default_factory=True),
        )

    @property
    def kind(self) -> Kind:
        """Which control suits the field; "text" if none other does."""
        if self.annotation is bool:
            return "switch"
        if self.annotation in (int, float):
            return "number"
        return "choice" if get_origin(self.annotation) is Literal else "text"

    @property
    def options(self) -> tuple[Any, ...]:
        """What a choice chooses from."""
        return get_args(self.annotation)

    @cached_property
    def quantity(self) -> Quantity:
        """How a number of this field is read and written."""
        bounds = {
            name: value
            for constraint in self.constraints
            for name in ("ge", "gt", "le", "lt")
            if (value := getattr(constraint, name, None)) is not None
        }
        return Quantity(
            whole=self.annotation is int,
            low=bounds.get("gt", bounds.get("ge")),
            high=bounds.get("lt", bounds.get("le")),
            low_open="gt" in bounds,
            high_open="lt" in bounds,
            unit=self.unit,
            # "windows: 10,000 windows" says it twice.
            shows_unit=not set(self.unit.split()) & set(self.label.split()),
        )

    def text(self, value: Any) -> str:
        """Return a value as a form shows it."""
        if self.kind == "number":
            return self.quantity.text(value)
        if self.kind == "switch":
            return "on" if value else "off"
        if self.kind == "choice" or self.annotation is str:
            return str(value)
        plain = self._adapter.dump_python(value, mode="json")
        written = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10**6)
        return written.rstrip("\n").removesuffix("\n...")

    def parse(self, text: str) -> Any:
        """Return the value of a text: YAML, or the text itself for a field that holds text.

        Raises SettingsError, saying what is wrong.
        """
        try:
            return self._adapter.validate_python(text if self.annotation is str else yaml.safe_load(text))
        except ValidationError as problem:
            raise SettingsError(reasons(problem)) from None
        except (yaml.YAMLError, ValueError, RecursionError) as problem:
            where = getattr(problem, "problem", None) or str(problem)
            raise SettingsError(f"not valid YAML ({where})") from None

    def explain(self, default_name: str) -> list[str]:
        """Return what there is to say about the field, line by line. default_name: "default", "published default"."""
        lines = [self.description] if self.description else []
        if self.kind == "number" and self.quantity.allowed:
            unit = f" {self.unit}" if self.unit.startswith("of the ") else ""
            lines.append(f"Allowed: {self.quantity.allowed}{unit}.")
        if self.kind == "choice":
            lines.append(f"Allowed: {', '.join(str(option) for option in self.options)}.")
        if self.default is not MISSING:
            lines.append(f"{default_name.capitalize()}: {self.text(self.default)}. A double click returns to it.")
        return [*lines, f"In files: {self.name}"]

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        bare: Any = Annotated
        return TypeAdapter(bare[(self.annotation, *self.constraints)] if self.constraints else self.annotation)


def form_fields(model: type[BaseModel]) -> tuple[FormField, ...]:
    """Return the fields of a model that a user can change; a Literal with one option is not one of them."""
    fields = (FormField.of(name, info) for name, info in model.model_fields.items())
    return tuple(field for field in fields if field.kind != "choice" or len(field.options) > 1)


def reasons(problem: ValidationError) -> str:
    """Return pydantic's complaints as one line for people."""
    found = []
    for item in problem.errors():
        message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
        place = ".".join(str(part) for part in item["loc"])
        found.append(f"{place}: {message}" if place else message)
    return "; ".join(found)
