"""What every dock of a training does: set a run up, start it in the background, watch it, stop it, come back to it.

It shows one run at a time, or the form of a new one. Jobs live in `jobs.queues`, for the whole application: closing the
dock ends nothing. What is trained, and what its form and its page look like, is said by those that derive from it.
"""

from __future__ import annotations

import shlex
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices, QHideEvent, QShowEvent
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from genesis_core.errors import GenesisError
from genesis_core.training.run_folder import RunFolder
from napari_genesis.docking import delete_when_closed, viewer_itself
from napari_genesis.jobs.devices import Device
from napari_genesis.jobs.found_runs import FoundRun
from napari_genesis.jobs.job import Job
from napari_genesis.jobs.launching import Command
from napari_genesis.jobs.preparing import free_name
from napari_genesis.jobs.queues import application_jobs
from napari_genesis.preferences import on_preferences, read_preferences
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.training.comparing import Comparing
from napari_genesis.training.job_controls import JobControls
from napari_genesis.training.looking import Surroundings
from napari_genesis.training.narrow_dock import WIDTH as WIDTH
from napari_genesis.training.narrow_dock import NarrowDock
from napari_genesis.training.preview_layers import PreviewLayers
from napari_genesis.training.progress_panel import Notice
from napari_genesis.training.run_chooser import RunChooser
from napari_genesis.training.run_page import RunPage
from napari_genesis.training.scrolled import Scrolled
from napari_genesis.training.training_draft import TrainingDraft
from napari_genesis.training.training_setup import TrainingSetup

if TYPE_CHECKING:
    from napari.viewer import Viewer


class TrainingDock(NarrowDock):
    """Train in a process of its own.

    napari_viewer: the viewer it lives in. setup: the form of a new run. page: what is shown of a run.
    """

    command: ClassVar[Command]
    # Of its runs, in run.yaml.
    task: ClassVar[str]

    def __init__(self, napari_viewer: Viewer, setup: TrainingSetup, page: RunPage) -> None:
        super().__init__()
        self.jobs = application_jobs()
        self.job: Job | None = None
        self.workspace = read_preferences().workspace
        self._runs: list[Path] = []
        self.has_looked = False
        self.chooser = RunChooser()
        self._setup = setup
        self._page = page
        self.trouble = Notice("problem")
        self.controls = JobControls()
        self.previews = PreviewLayers(viewer_itself(napari_viewer), self)
        self._comparing = Comparing(self.jobs, page.curves, self)
        self._around = Surroundings(lambda: self.runs_folder, self)
        self._arrange()
        self._connect()
        delete_when_closed(self)
        lanes = (*self._around.lanes, *setup.lanes, *page.lanes)
        end = weakref.finalize(self, _end, setup.stop, self.previews, lanes, on_preferences(self._apply_preferences))
        self.destroyed.connect(lambda: end())
        self.show_run(None)

    # What those that derive from it say.

    @property
    def draft(self) -> TrainingDraft:
        """What the form holds."""
        raise NotImplementedError

    def make_run(self, out: Path) -> RunFolder:
        """Make the folder of the run that was set up. Raises GenesisError."""
        raise NotImplementedError

    def command_of_form(self, out: Path) -> str:
        """Return the run that was set up as a command. Raises GenesisError, or OSError if a file has to be written."""
        raise NotImplementedError

    def forget_name(self) -> None:
        """Take away the name of the run that was started: the next one has another."""
        raise NotImplementedError

    def keep(self) -> None:
        """Write what was chosen, for the next day."""
        raise NotImplementedError

    def look_again(self) -> None:
        """Look at what may have changed while another page or dock was shown."""

    def load_settings(self, run: Path) -> None:
        """Fill the form with the settings of a run, so that one like it can be started."""
        raise NotImplementedError

    @property
    def runs_folder(self) -> Path:
        """Where new runs are made, and runs are listed from."""
        return self.workspace / "runs"

    # What is shown.

    def show_run(self, path: Path | None) -> None:
        """Show a run; None: the form of a new one."""
        before = self.job
        self.trouble.say([])
        self.previews.remove()
        self.job = None if path is None else self.jobs.look_at(path)
        if before is not None:
            before.changed.disconnect(self._show)
            self.jobs.look_away(before)
        self.chooser.show_choice(path)
        self._setup.setVisible(self.job is None)
        self._page.setVisible(self.job is not None)
        self._area.to_top()
        if self.job is None:
            self.look_again()
        else:
            self._page.previews.setChecked(True)
            self.job.changed.connect(self._show)
            self._offer_runs()
        self._show()

    def _show(self) -> None:
        job = self.job
        # Of a run that is shown nobody chooses the device, and it may need all of the memory there is.
        self._around.look_at_devices(job is None and self.has_looked and self.isVisible())
        if job is None:
            busy = self.jobs.is_busy(self.draft.device)
            self._setup.show_place(free_name(self.runs_folder, self.command), busy=busy)
            setup, words = self._setup, "Start when free" if busy else "Start"
            self.controls.show_setup(setup.can_start, words, setup.why_not)
            return
        self._page.show_job(job, [one.run.name for one in self.jobs.ahead_of(job)] if job.waiting else [])
        self.controls.show_state(job.state, can_resume=not job.view.gone, can_kill=job.can_kill)
        preview, facts = job.view.preview, job.view.facts
        if preview is not None and self._page.previews.isChecked() and self.isVisible():
            self.previews.show(job.run.name, preview, facts.spacing if facts else None)

    # What the user does.

    def start(self) -> None:
        """Start the run that was set up, or put it into its device's queue."""
        self._setup.times.stop()
        try:
            run = self.make_run(self._place())
        except GenesisError as problem:
            self.trouble.say([str(problem)])
            return
        self.keep()
        self.forget_name()
        self.jobs.add(run, self.draft.device, self.command)
        self.show_run(run.path)
        self._around.list_runs()

    def copy_command(self) -> None:
        """Put the same as a command on the clipboard; what it needs a file for is written."""
        clipboard = QApplication.clipboard()
        if clipboard is None:
            return
        try:
            clipboard.setText(self._command())
        except (GenesisError, OSError) as problem:
            self.trouble.say([str(problem)])
            return
        from napari.utils.notifications import show_info

        show_info("Copied to the clipboard.")

    def _command(self) -> str:
        if self.job is not None:
            return shlex.join(["napari-genesis", self.job.command, "--resume", "--out", str(self.job.run.path)])
        return self.command_of_form(self._place())

    def _place(self) -> Path:
        return self.runs_folder / (self.draft.name or free_name(self.runs_folder, self.command))

    def _on_job(self, what: str) -> None:
        job = self.job
        if job is None:
            return
        if what in ("stop", "stop_now"):
            getattr(job, what)()
        else:
            getattr(self.jobs, what)(job)
        self._show()

    def _open_folder(self) -> None:
        folder = self.runs_folder if self.job is None else self.job.run.path
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

    def _toggle_previews(self, on: bool) -> None:
        (self._show if on else self.previews.remove)()

    def _offer_runs(self) -> None:
        self._comparing.offer(self._runs, None if self.job is None else self.job.run.path)

    # What is found out beside.

    def _listed(self, runs: list[FoundRun]) -> None:
        self.jobs.note_others({run.path: run.device for run in runs if run.is_alive and run.device})
        # A run that cannot be read may be of this kind.
        runs = [run for run in runs if run.task in ("", self.task)]
        self._runs = [run.path for run in runs]
        self.chooser.show_runs(runs)
        self._offer_runs()
        alive = [run for run in runs if run.is_alive]
        if not self.has_looked and self.job is None and alive:
            # Whoever opens the dock while something trains wants to see that.
            self.show_run(alive[0].path)
        elif self.job is not None and not self.job.is_alive and self.job.run.path in [run.path for run in alive]:
            # Somebody went on with it elsewhere.
            self.job.watch()
        self.has_looked = True
        if self.job is None:
            self._show()

    def _not_listed(self, problem: Exception) -> None:
        self.has_looked = True
        self.trouble.say([f"The runs cannot be listed ({problem})"])

    def _devices_known(self, devices: list[Device]) -> None:
        self.jobs.auto_device = devices[0].key
        self._setup.show_devices(devices)
        if self.job is None:
            self._show()

    def _apply_preferences(self) -> None:
        known = read_preferences()
        self._setup.prefer_device(known.device)
        if known.workspace != self.workspace:
            self.workspace = known.workspace
            self._around.list_runs()
            self.look_again()

    # Putting together.

    def _arrange(self) -> None:
        pages = QWidget()
        # Not a stack: the page that is hidden shall not ask for room.
        inner = QVBoxLayout(pages)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self._setup)
        inner.addWidget(self._page)
        self._area = Scrolled(pages)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        for widget in (self.chooser, self.trouble, self._area, self.controls):
            layout.addWidget(widget, 1 if widget is self._area else 0)

    def _connect(self) -> None:
        controls, page = self.controls, self._page
        self.chooser.chosen.connect(self.show_run)
        self._setup.edited.connect(self._show)
        page.previews_wanted.connect(self._toggle_previews)
        self.previews.gone.connect(lambda: page.previews.setChecked(False))
        self.jobs.changed.connect(self._show)
        self._around.runs_found.connect(self._listed)
        self._around.runs_failed.connect(self._not_listed)
        self._around.devices_found.connect(self._devices_known)
        self._around.devices_failed.connect(lambda problem: self._setup.device.show_problem(str(problem)))
        controls.start.connect(self.start)
        controls.new.connect(lambda: self.show_run(None))
        controls.copy_command.connect(self.copy_command)
        controls.open_folder.connect(self._open_folder)
        for name in ("stop", "stop_now", "pause", "resume", "start_now", "cancel"):
            getattr(controls, name).connect(lambda name=name: self._on_job(name))

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look at the workspace and the devices while it is seen."""
        super().showEvent(event)
        self._around.start()
        if self.job is None:
            self.look_again()
        self._show()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802
        """Keep what was chosen, and look no more."""
        super().hideEvent(event)
        self._around.stop()
        self.keep()


def _end(stop: Any, previews: PreviewLayers, lanes: Sequence[LatestOnly], preferences: Any) -> None:
    for lane in lanes:
        lane.close()
    previews.close()
    preferences()
    stop()
