"""The Pretrain dock: learn from a folder of unlabelled scans, in a process of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import GenesisError, RunError
from genesis_core.training.pretrain_settings import PretrainSettings
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import read_settings
from napari_genesis.jobs.launching import Command
from napari_genesis.jobs.preparing import free_name, prepare_run
from napari_genesis.training import keeping
from napari_genesis.training.draft import PretrainDraft, RecipeChoice, command_line, recipe_names
from napari_genesis.training.run_page import RunPage
from napari_genesis.training.setup_page import SetupPage
from napari_genesis.training.training_dock import WIDTH, TrainingDock

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["BASELINES", "WIDTH", "PretrainDock"]
BASELINES = {"return_mean": "returning the mean", "return_input": "returning the input"}
_PREVIEWS = (
    "show restorations in the viewer",
    "The latest original, corrupted and restored sub-volumes, as three layers.",
)


class PretrainDock(TrainingDock):
    """Pre-train on a folder of scans.

    napari_viewer: the viewer it lives in. state_file, studio_file: where its own and the Studio's state are kept.
    """

    command: ClassVar[Command] = "pretrain"
    task: ClassVar[str] = "restoration"

    def __init__(self, napari_viewer: Viewer, state_file: Path | None = None, studio_file: Path | None = None) -> None:
        from napari_genesis.studio.keeping import default_file as studio_default

        self._state_file = state_file or keeping.default_file()
        self._studio_file = studio_file or studio_default()
        self.setup = SetupPage(keeping.read_draft(self._state_file), self._studio_file)
        self.page = RunPage(BASELINES, _PREVIEWS)
        super().__init__(napari_viewer, self.setup, self.page)

    @property
    def draft(self) -> PretrainDraft:
        return self.setup.draft

    def make_run(self, out: Path) -> RunFolder:
        draft = self.draft
        return prepare_run(draft.settings(out, draft.recipe.read(self._studio_file)))

    def command_of_form(self, out: Path) -> str:
        draft, file = self.draft, None
        if draft.recipe.kind == "studio":
            file = self._written(draft.recipe.read(self._studio_file))
        return command_line(draft, out, file)

    def forget_name(self) -> None:
        self.setup.draft = replace(self.setup.draft, name="")

    def keep(self) -> None:
        keeping.write_draft(self._state_file, self.draft)

    def look_again(self) -> None:
        """List the recipes there are: the Studio may have another one."""
        self.setup.list_recipes()

    def load_settings(self, run: Path) -> None:
        """Fill the form with the settings of a run, so that one like it can be started.

        A recipe that has no name is written into the workspace. What is wrong with the run is said in the dock.
        """
        self.show_run(None)
        try:
            settings = read_settings(RunFolder.open(run))
            if not isinstance(settings, PretrainSettings):
                raise RunError(f"{run} is a fine-tuning: the Fine-tune dock takes its settings")
            self.setup.load(PretrainDraft.of_settings(settings, self._choice_of(settings.recipe)))
        except (GenesisError, OSError) as problem:
            self.trouble.say([str(problem)])

    def _choice_of(self, recipe: Recipe) -> RecipeChoice:
        for name in recipe_names():
            if Recipe.read(name) == recipe:
                return RecipeChoice("preset", name)
        file = self._written(recipe)
        return RecipeChoice("file", file.stem, file)

    def _written(self, recipe: Recipe) -> Path:
        """Return the file of a recipe in the workspace; none that is there is written over: a command may name it."""
        folder = self.workspace / "recipes"
        for known in sorted(folder.glob("*.yaml")):
            if _is(known, recipe):
                return known
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / free_name(folder, recipe.name, ".yaml")
        recipe.write(file)
        return file


def _is(file: Path, recipe: Recipe) -> bool:
    try:
        return Recipe.read(file) == recipe
    except GenesisError:
        # Somebody else's file, or a damaged one: none to go back to.
        return False
