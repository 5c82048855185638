"""What the Pretrain dock has been told so far, and the complete settings that follow from it. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from genesis_core.corruptions.presets import PRESETS as RECIPES
from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import GenesisError, SettingsError
from genesis_core.settings import Settings, validate
from genesis_core.training.pretrain_settings import PRESETS, PretrainSettings, with_preset

QUICK_LOOK = "quick look"
# A network that shows on a processor, within minutes, whether restorations come at all.
_QUICK = {
    "network": {"width": 8},
    "training": {"batch_size": 2, "validate_every": 25, "checkpoint_every": 50},
    "validation_samples": 16,
}
# Those of the command line, behind one that is only worth having where one looks on.
PRESET_NAMES = (QUICK_LOOK, *PRESETS)
PRESET_WORDS = {
    QUICK_LOOK: "A small network that is looked at often: does it learn at all? No source for a real task.",
    "standard": "Sensible for most.",
    "published": "Optimiser, norm and flips of the published code. It often collapses; the run warns when it does.",
    "lung_ct": "Sub-volumes of air-filled lung only, by the published filter.",
}
BudgetKind = Literal["10 minutes", "1 hour", "a night (8 h)", "steps"]
BUDGETS: tuple[BudgetKind, ...] = ("10 minutes", "1 hour", "a night (8 h)", "steps")
HOURS: dict[BudgetKind, float] = {"10 minutes": 1 / 6, "1 hour": 1.0, "a night (8 h)": 8.0}


@dataclass(frozen=True)
class RecipeChoice:
    """A preset's name, the recipe that is tuned in the Studio, or a file."""

    kind: Literal["preset", "studio", "file"] = "preset"
    name: str = "genesis"
    path: Path | None = None

    def read(self, studio_file: Path) -> Recipe:
        """Return the recipe as it is now. Raises RecipeError for a damaged one, SettingsError if there is none."""
        if self.kind == "preset":
            return Recipe.read(self.name)
        if self.kind == "file":
            assert self.path is not None
            return Recipe.read(self.path)
        found = studio_recipe(studio_file)
        if found is None:
            raise SettingsError("the Studio holds no recipe of its own yet; tune one there, or choose another")
        return found


def studio_recipe(studio_file: Path) -> Recipe | None:
    """Return the recipe that the Studio kept; None if it kept none, or a damaged one."""
    from napari_genesis.studio.keeping import read_kept

    try:
        draft = read_kept(studio_file).draft()
        return None if draft is None else draft.recipe()
    except GenesisError:
        # The Studio itself sets a damaged file aside and says so.
        return None


@dataclass(frozen=True)
class PretrainDraft:
    """One state of the dock's form. changed: dotted keys the user set under "advanced" -> their values.

    name: of the run; empty for the next free one.
    """

    scans: Path | None = None
    recipe: RecipeChoice = RecipeChoice()
    budget: BudgetKind = "1 hour"
    steps: int = 2000
    device: str = "auto"
    preset: str = "standard"
    name: str = ""
    changed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hours(self) -> float | None:
        """The budget of time; None where it is one of steps."""
        return HOURS.get(self.budget)

    def with_change(self, key: str, value: Any) -> PretrainDraft:
        """Return the draft with a setting changed; raises SettingsError if it does not fit with the others."""
        result = replace(self, changed={**self.changed, key: value})
        result.settings(None, None)
        return result

    def with_preset(self, preset: str) -> PretrainDraft:
        """Return the draft with another preset, and nothing changed about it."""
        return replace(self, preset=preset, changed={})

    def values(self) -> dict[str, Any]:
        """Return what differs from the preset, by nested names, as `with_preset` and a config file take it."""
        result: dict[str, Any] = {}
        for key, value in self.changed.items():
            _assign(result, key, value)
        if self.hours is None:
            _assign(result, "training.max_steps", self.steps)
        else:
            _assign(result, "training.max_hours", self.hours)
        return result

    def settings(self, out: Path | None, recipe: Recipe | None) -> PretrainSettings:
        """Return the complete settings. Raises SettingsError for what does not fit together."""
        values = self.values()
        _assign(values, "data.scans", self.scans)
        values |= {"device": self.device, "out": out}
        if recipe is not None:
            values["recipe"] = recipe
        return validate(PretrainSettings, _over_preset(self.preset, values), where="this run")

    def base(self) -> PretrainSettings:
        """Return the preset alone: what "default" means under "advanced"."""
        return validate(PretrainSettings, _over_preset(self.preset, {}))


def command_line(draft: PretrainDraft, out: Path, recipe_file: Path | None) -> str:
    """Return the same run as a command. recipe_file: where a recipe of the Studio's was written."""
    import shlex

    words = ["napari-genesis", "pretrain", str(draft.scans or "SCANS"), "--out", str(out)]
    if draft.preset in PRESETS and draft.preset != "standard":
        words += ["--preset", draft.preset]
    recipe = recipe_file or (draft.recipe.path if draft.recipe.kind == "file" else draft.recipe.name)
    if str(recipe) != "genesis":
        words += ["--recipe", str(recipe)]
    if draft.hours is None:
        words += ["--max-steps", str(draft.steps)]
    else:
        words += ["--max-hours", f"{draft.hours:.4g}"]
    if draft.device != "auto":
        words += ["--device", draft.device]
    changed = dict(draft.changed)
    if draft.preset == QUICK_LOOK:
        changed = {**_dotted(_QUICK), **changed}
    for key, value in changed.items():
        words += ["--set", f"{key}={_as_yaml(value)}"]
    return shlex.join(words)


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes there are without a file."""
    return tuple(RECIPES)


def _over_preset(preset: str, values: dict[str, Any]) -> dict[str, Any]:
    if preset != QUICK_LOOK:
        return with_preset(preset, values)
    merged = {key: dict(group) if isinstance(group, dict) else group for key, group in _QUICK.items()}
    for key, value in values.items():
        known = merged.get(key)
        merged[key] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _assign(values: dict[str, Any], key: str, value: Any) -> None:
    *groups, last = key.split(".")
    for group in groups:
        values = values.setdefault(group, {})
    values[last] = value


def _dotted(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": one for inner, one in value.items()}
        else:
            found[key] = value
    return found


def _as_yaml(value: Any) -> str:
    import yaml

    plain = value.model_dump(mode="json") if isinstance(value, Settings) else value
    plain = list(plain) if isinstance(plain, tuple) else plain
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**6).strip()
    return text.removesuffix("...").strip()
