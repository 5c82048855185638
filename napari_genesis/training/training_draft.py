"""What the form of any training has been told: budget, device, name, and what was changed under "advanced". No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

from genesis_core.settings import Settings

BudgetKind = Literal["10 minutes", "1 hour", "a night (8 h)", "steps"]
BUDGETS: tuple[BudgetKind, ...] = ("10 minutes", "1 hour", "a night (8 h)", "steps")
HOURS: dict[BudgetKind, float] = {"10 minutes": 1 / 6, "1 hour": 1.0, "a night (8 h)": 8.0}
_BUDGET = ("training.max_hours", "training.max_steps")
# Budgets of a file that differ by less are the same.
_SAME_HOURS = 1e-3


@dataclass(frozen=True)
class TrainingDraft:
    """One state of a dock's form. changed: dotted keys the user set under "advanced" -> their values.

    name: of the run; empty for the next free one. preset: name of the settings it starts from, where there are several.
    device_is_picked: the user picked it here; otherwise it is that of the preferences.
    """

    # Every preset there is -> what it is for, in a sentence; empty where there is one alone.
    presets: ClassVar[Mapping[str, str]] = {}

    budget: BudgetKind = "1 hour"
    steps: int = 2000
    device: str = "auto"
    device_is_picked: bool = False
    preset: str = ""
    name: str = ""
    changed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hours(self) -> float | None:
        """The budget of time; None where it is one of steps."""
        return HOURS.get(self.budget)

    def base(self) -> Settings:
        """Return the preset alone: what "default" means under "advanced"."""
        raise NotImplementedError

    def resolved(self) -> Settings:
        """Return the complete settings but for data and place. Raises SettingsError for what does not fit together."""
        raise NotImplementedError

    def with_change(self, key: str, value: Any) -> Self:
        """Return the draft with a setting changed; raises SettingsError if it does not fit with the others."""
        result = replace(self, changed={**self.changed, key: value})
        result.resolved()
        return result

    def without_change(self, key: str) -> Self:
        """Return the draft with a setting as it is by default."""
        return replace(self, changed={one: value for one, value in self.changed.items() if one != key})

    def with_preset(self, preset: str) -> Self:
        """Return the draft with another preset, and nothing changed about it."""
        return replace(self, preset=preset, changed={})

    def values(self) -> dict[str, Any]:
        """Return what differs from the preset, by nested names, as a config file takes it."""
        result: dict[str, Any] = {}
        if self.hours is None:
            assign(result, "training.max_steps", self.steps)
        else:
            assign(result, "training.max_hours", self.hours)
        for key, value in self.changed.items():
            assign(result, key, value)
        return result

    def with_budget(self, budget: BudgetKind) -> Self:
        """Return the draft with another budget, which wins over one that a file had."""
        changed = {key: value for key, value in self.changed.items() if key not in _BUDGET}
        return replace(self, budget=budget, changed=changed)

    def with_device(self, device: str) -> Self:
        """Return the draft with a device that the user picked."""
        return replace(self, device=device, device_is_picked=True)

    def preferring(self, device: str) -> Self:
        """Return the draft with the device of the preferences, unless the user picked one."""
        return self if self.device_is_picked else replace(self, device=device)

    def budget_words(self) -> list[str]:
        """Return budget and device as the commands take them."""
        hours = self.changed.get("training.max_hours", self.hours)
        budget = ["--max-steps", str(self.steps)] if hours is None else ["--max-hours", f"{hours:.4g}"]
        return budget if self.device == "auto" else [*budget, "--device", self.device]

    def set_words(self) -> list[str]:
        """Return what was changed under "advanced" as the commands take it."""
        return set_words({key: value for key, value in self.changed.items() if key != "training.max_hours"})


def set_words(changed: Mapping[str, Any]) -> list[str]:
    """Return settings as `--set key=value`."""
    return [word for key, value in changed.items() for word in ("--set", f"{key}={as_yaml(value)}")]


def with_budget(
    draft: TrainingDraft, hours: float | None, steps: int | None, *, steps_were_set: bool
) -> dict[str, Any]:
    """Return the draft's fields budget, steps and changed for the budget of a file.

    steps_were_set: `steps` limit a run beside its hours; otherwise they were planned to fit these.
    """
    changed = dict(draft.changed)
    if hours is None:
        return {"budget": "steps", "steps": steps or draft.steps, "changed": changed}
    if steps is not None and steps_were_set:
        changed["training.max_steps"] = steps
    kind = next((kind for kind, known in HOURS.items() if abs(known - hours) < _SAME_HOURS), None)
    if kind is not None:
        return {"budget": kind, "steps": draft.steps, "changed": changed}
    # No other budget of time can be chosen: it stands under "advanced", where it wins.
    return {"budget": "1 hour", "steps": draft.steps, "changed": {**changed, "training.max_hours": hours}}


def differing(values: Mapping[str, Any], base: Mapping[str, Any], leave_out: Sequence[str]) -> dict[str, Any]:
    """Return the dotted keys of settings whose values differ from the base's; what starts with `leave_out` is not."""
    known = dotted(base)
    return {
        key: value
        for key, value in dotted(values).items()
        if value != known.get(key) and not any(key == one or key.startswith(f"{one}.") for one in leave_out)
    }


def assign(values: dict[str, Any], key: str, value: Any) -> None:
    """Put a value at a dotted key, making the groups on the way."""
    *groups, last = key.split(".")
    for group in groups:
        values = values.setdefault(group, {})
    values[last] = value


def dotted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of groups of settings by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": one for inner, one in value.items()}
        else:
            found[key] = value
    return found


def as_yaml(value: Any) -> str:
    """Return a value as `--set` takes it."""
    import yaml

    plain = value.model_dump(mode="json") if isinstance(value, Settings) else value
    plain = list(plain) if isinstance(plain, tuple) else plain
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**6, allow_unicode=True).strip()
    return text.removesuffix("...").strip()
