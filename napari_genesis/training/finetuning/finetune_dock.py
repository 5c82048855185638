"""The Fine-tune dock: learn to segment what is drawn in a labelled folder, in a process of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from genesis_core.errors import GenesisError, RunError
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import read_settings
from napari_genesis.docking import viewer_itself
from napari_genesis.jobs.launching import Command
from napari_genesis.jobs.preparing import prepare_run
from napari_genesis.preferences import PLUGIN, read_preferences
from napari_genesis.training.finetuning import keeping
from napari_genesis.training.finetuning.finetune_draft import FinetuneDraft, command_line
from napari_genesis.training.finetuning.finetune_page import FinetunePage
from napari_genesis.training.finetuning.setup_page import FinetuneSetup
from napari_genesis.training.training_dock import TrainingDock

if TYPE_CHECKING:
    from napari.viewer import Viewer


class FinetuneDock(TrainingDock):
    """Fine-tune on a labelled folder, from a source or from scratch.

    napari_viewer: the viewer it lives in. state_file: where its state is kept from one day to the next.
    """

    command: ClassVar[Command] = "finetune"
    task: ClassVar[str] = "segmentation"

    def __init__(self, napari_viewer: Viewer, state_file: Path | None = None) -> None:
        self._viewer = viewer_itself(napari_viewer)
        self._state_file = state_file or keeping.default_file()
        self.setup = FinetuneSetup(keeping.read_draft(self._state_file), read_preferences().workspace)
        self.page = FinetunePage()
        super().__init__(napari_viewer, self.setup, self.page)
        self.page.apply_wanted.connect(self.apply_model)
        self.page.review_wanted.connect(self.review_model)

    @property
    def draft(self) -> FinetuneDraft:
        return self.setup.draft

    def make_run(self, out: Path) -> RunFolder:
        return prepare_run(self.draft.settings(out))

    def command_of_form(self, out: Path) -> str:
        return command_line(self.draft, out)

    def forget_name(self) -> None:
        self.setup.draft = replace(self.setup.draft, name="")

    def keep(self) -> None:
        keeping.write_draft(self._state_file, self.draft)

    def look_again(self) -> None:
        """List the sources there are: a run may have ended meanwhile."""
        self.setup.source.look(self.workspace)

    def load_settings(self, run: Path) -> None:
        """Fill the form with the settings of a run, so that one like it can be started.

        What is wrong with the run is said in the dock.
        """
        self.show_run(None)
        try:
            settings = read_settings(RunFolder.open(run))
            if not isinstance(settings, FinetuneSettings):
                raise RunError(f"{run} is a pre-training: the Pretrain dock takes its settings")
            self.setup.load(FinetuneDraft.of_settings(settings))
        except (GenesisError, OSError) as problem:
            self.trouble.say([str(problem)])

    def apply_model(self) -> None:
        """Open the Apply dock with the model of the run that is shown."""
        if self.job is None:
            return
        self._leave_preview()
        _, dock = self._viewer.window.add_plugin_dock_widget(PLUGIN, "Apply", tabify=True)
        dock.choice.add_folder(self.job.run.path)

    def _leave_preview(self) -> None:
        """Take the preview out of the viewer: whoever goes on to scans has done with it."""
        self._page.previews.setChecked(False)

    def review_model(self) -> None:
        """Open the Review dock with the form of a new review of the model of the run that is shown."""
        if self.job is None:
            return
        self._leave_preview()
        _, dock = self._viewer.window.add_plugin_dock_widget(PLUGIN, "Review", tabify=True)
        dock.review_model(self.job.run.path)
