"""What the Pretrain dock has been told so far, and the complete settings that follow from it. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from genesis_core.corruptions.presets import PRESETS as RECIPES
from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import GenesisError, SettingsError
from genesis_core.settings import validate
from genesis_core.training.pretrain_settings import PRESETS, PretrainSettings, with_preset
from napari_genesis.training.training_draft import HOURS as HOURS
from napari_genesis.training.training_draft import TrainingDraft, assign, differing, dotted, set_words, with_budget

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
# What of a run's settings is decided when it starts, or belongs to one folder.
_NOT_TAKEN = (
    "schema_version", "task", "cases", "out", "resume", "device", "recipe", "data.scans", "network.in_channels",
    "network.out_channels", "network.dims", "training.max_steps", "training.max_hours",
)  # fmt: skip


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
class PretrainDraft(TrainingDraft):
    """One state of the Pretrain dock's form."""

    presets: ClassVar[Mapping[str, str]] = {name: PRESET_WORDS.get(name, "") for name in PRESET_NAMES}

    preset: str = "standard"
    scans: Path | None = None
    recipe: RecipeChoice = RecipeChoice()

    def with_preset(self, preset: str) -> PretrainDraft:
        """Return the draft with another preset, the recipe that belongs to it, and nothing changed about it."""
        own = PRESETS.get(preset, {}).get("recipe")
        left = PRESETS.get(self.preset, {}).get("recipe")
        changed = super().with_preset(preset)
        if own is not None:
            return replace(changed, recipe=RecipeChoice(name=own))
        # A preset's own recipe goes with it; one that the user chose stays.
        return replace(changed, recipe=RecipeChoice()) if self.recipe == RecipeChoice(name=left or "") else changed

    @classmethod
    def of_settings(cls, settings: PretrainSettings, recipe: RecipeChoice) -> PretrainDraft:
        """Return the draft of a run like one that there is; what its form has no place for stands in `changed`.

        recipe: where its recipe lies. The preset is the one of which least was changed.
        """
        values = settings.model_dump(mode="json", exclude={"recipe"})
        training = settings.training
        left_out = [*_NOT_TAKEN, *_of_this_machine(training.threads)]
        drafts = []
        for preset in PRESET_NAMES:
            draft = cls(scans=settings.data.scans, recipe=recipe, device=settings.device, preset=preset)
            base = draft.base().model_dump(mode="json", exclude={"recipe"})
            drafts.append(replace(draft, changed=differing(values, base, left_out)))
        nearest = min(drafts, key=lambda draft: (len(draft.changed), draft.preset != "standard"))
        return replace(nearest, **with_budget(nearest, training.max_hours, training.max_steps, steps_were_set=False))

    def settings(self, out: Path | None, recipe: Recipe | None) -> PretrainSettings:
        """Return the complete settings. Raises SettingsError for what does not fit together."""
        values = self.values()
        assign(values, "data.scans", self.scans)
        values |= {"device": self.device, "out": out}
        if recipe is not None:
            values["recipe"] = recipe
        return validate(PretrainSettings, _over_preset(self.preset, values), where="this run")

    def base(self) -> PretrainSettings:
        return validate(PretrainSettings, _over_preset(self.preset, {}))

    def resolved(self) -> PretrainSettings:
        return self.settings(None, None)


def command_line(draft: PretrainDraft, out: Path, recipe_file: Path | None) -> str:
    """Return the same run as a command. recipe_file: where a recipe of the Studio's was written."""
    import shlex

    words = ["napari-genesis", "pretrain", str(draft.scans or "SCANS"), "--out", str(out)]
    if draft.preset in PRESETS and draft.preset != "standard":
        words += ["--preset", draft.preset]
    recipe = recipe_file or (draft.recipe.path if draft.recipe.kind == "file" else draft.recipe.name)
    if str(recipe) != PRESETS.get(draft.preset, {}).get("recipe", "genesis"):
        words += ["--recipe", str(recipe)]
    quick = {key: value for key, value in dotted(_QUICK).items() if key not in draft.changed}
    preset = set_words(quick) if draft.preset == QUICK_LOOK else []
    return shlex.join([*words, *draft.budget_words(), *preset, *draft.set_words()])


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes there are without a file."""
    return tuple(RECIPES)


def _of_this_machine(threads: int | None) -> tuple[str, ...]:
    """Return the settings that a run fills in from the machine, if they are this one's."""
    from genesis_core.parallel import available_cores

    return ("training.threads",) if threads in (None, available_cores()) else ()


def _over_preset(preset: str, values: dict[str, Any]) -> dict[str, Any]:
    if preset != QUICK_LOOK:
        return with_preset(preset, values)
    merged = {key: dict(group) if isinstance(group, dict) else group for key, group in _QUICK.items()}
    for key, value in values.items():
        known = merged.get(key)
        merged[key] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return merged
