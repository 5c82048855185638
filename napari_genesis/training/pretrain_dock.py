"""The Pretrain dock: set a run up, start it in the background, watch it, stop it, come back to it tomorrow.

It shows one run at a time, or the form of a new one. Jobs live in `jobs.queues`, for the whole application: closing the
dock ends nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, QTimer, QUrl
from qtpy.QtGui import QDesktopServices, QHideEvent, QShowEvent
from qtpy.QtWidgets import QApplication, QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from genesis_core.errors import GenesisError
from napari_genesis.jobs.devices import Device, find_devices
from napari_genesis.jobs.found_runs import FoundRun, find_runs
from napari_genesis.jobs.job import Job
from napari_genesis.jobs.preparing import free_name, prepare_run
from napari_genesis.jobs.queues import application_jobs
from napari_genesis.jobs.scan_check import ScanCheck
from napari_genesis.preferences import on_preferences, read_preferences
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.training import keeping
from napari_genesis.training.draft import command_line
from napari_genesis.training.job_controls import JobControls
from napari_genesis.training.preview_layers import PreviewLayers
from napari_genesis.training.progress_panel import Notice
from napari_genesis.training.run_chooser import RunChooser
from napari_genesis.training.run_page import RunPage
from napari_genesis.training.setup_page import SetupPage

if TYPE_CHECKING:
    from napari.viewer import Viewer

WIDTH = 360
BASELINES = {"return_mean": "returning the mean", "return_input": "returning the input"}
# Milliseconds between two looks at the workspace, and at the devices' free memory.
_LIST_EVERY, _DEVICES_EVERY = 2000, 30_000


class PretrainDock(QWidget):
    """Pre-train on a folder of scans, in a process of its own.

    napari_viewer: the viewer it lives in. state_file, studio_file: where its own and the Studio's state are kept.
    """

    def __init__(self, napari_viewer: Viewer, state_file: Path | None = None, studio_file: Path | None = None) -> None:
        super().__init__()
        from napari_genesis.studio.keeping import default_file as studio_default

        self._state_file = state_file or keeping.default_file()
        self._studio_file = studio_file or studio_default()
        self.jobs = application_jobs()
        self.job: Job | None = None
        self._workspace = read_preferences().workspace
        self._compared: list[Job] = []
        self._runs: list[Path] = []
        self.has_looked = False
        self.chooser = RunChooser()
        self.setup = SetupPage(keeping.read_draft(self._state_file), self._studio_file)
        self.page = RunPage(BASELINES)
        self.trouble = Notice("problem")
        self.controls = JobControls()
        self.previews = PreviewLayers(napari_viewer, self)
        self._listing = LatestOnly("genesis-runs", self)
        self._asking = LatestOnly("genesis-devices", self)
        self._list_timer = _timer(self, _LIST_EVERY, self._list)
        self._device_timer = _timer(self, _DEVICES_EVERY, self._ask_devices)
        self._arrange()
        self._connect()
        self._end_preferences = on_preferences(self._apply_preferences)
        self.show_run(None)
        lanes = (self._listing, self._asking, self.setup.times.lane)
        end = weakref.finalize(self, _end, self.setup.data.checking, self.previews, lanes, self._end_preferences)
        self.destroyed.connect(lambda: end())

    @property
    def runs_folder(self) -> Path:
        """Where new runs are made, and runs are listed from."""
        return self._workspace / "runs"

    # What is shown.

    def show_run(self, path: Path | None) -> None:
        """Show a run; None: the form of a new one."""
        if self.job is not None:
            self.job.changed.disconnect(self._job_changed)
        self.trouble.say([])
        self.previews.remove()
        self.job = None if path is None else self.jobs.look_at(path)
        self.chooser.show_choice(path)
        self.setup.setVisible(self.job is None)
        self.page.setVisible(self.job is not None)
        self._area.verticalScrollBar().setValue(0)  # type: ignore[union-attr]
        if self.job is None:
            self.setup.list_recipes()
        else:
            self.page.previews.setChecked(True)
            self.job.changed.connect(self._job_changed)
            self._offer_runs()
        self._show()

    def _show(self) -> None:
        job = self.job
        if job is None:
            busy = self.jobs.is_busy(self.setup.draft.device)
            self.setup.show_place(free_name(self.runs_folder, "pretrain"), busy=busy)
            self.controls.show_setup(self.setup.can_start, "Start when free" if busy else "Start")
            return
        self.page.show_job(job, [one.run.name for one in self.jobs.ahead_of(job)] if job.waiting else [])
        self.controls.show_state(job.state, can_resume=not job.view.gone, can_kill=job.can_kill)
        preview, facts = job.view.preview, job.view.facts
        if preview is not None and self.page.previews.isChecked() and self.isVisible():
            self.previews.show(job.run.name, preview, facts.spacing if facts else None)

    def _job_changed(self) -> None:
        self._show()

    # What the user does.

    def start(self) -> None:
        """Start the run that was set up, or put it into its device's queue."""
        draft = self.setup.draft
        try:
            recipe = draft.recipe.read(self._studio_file)
            out = self.runs_folder / (draft.name or free_name(self.runs_folder, "pretrain"))
            run = prepare_run(draft.settings(out, recipe))
        except GenesisError as problem:
            self.trouble.say([str(problem)])
            return
        keeping.write_draft(self._state_file, draft)
        self.setup.draft = draft.__class__(**{**draft.__dict__, "name": ""})
        self.jobs.add(run, draft.device)
        self.show_run(run.path)
        self._list()

    def copy_command(self) -> None:
        """Put the same as a command on the clipboard; a recipe of the Studio's is written to a file for it."""
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
            import shlex

            return shlex.join(["napari-genesis", self.job.command, "--resume", "--out", str(self.job.run.path)])
        draft, file = self.setup.draft, None
        if draft.recipe.kind == "studio":
            recipe = draft.recipe.read(self._studio_file)
            folder = self._workspace / "recipes"
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{free_name(folder, recipe.name)}.yaml"
            recipe.write(file)
        out = self.runs_folder / (draft.name or free_name(self.runs_folder, "pretrain"))
        return command_line(draft, out, file)

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
        if on:
            self._show()
        else:
            self.previews.remove()

    def _offer_runs(self) -> None:
        shown = None if self.job is None else self.job.run.path
        self.page.curves.offer([path for path in self._runs if path != shown])

    def _compare(self, paths: Sequence[Path]) -> None:
        for job in self._compared:
            job.changed.disconnect(self._compared_changed)
        self._compared = [self.jobs.look_at(path) for path in paths]
        for job in self._compared:
            job.changed.connect(self._compared_changed)
        self._compared_changed()

    def _compared_changed(self) -> None:
        self.page.curves.show_others([job.view for job in self._compared])

    # What is found out beside.

    def _list(self) -> None:
        folder = self.runs_folder
        self._listing.submit(lambda: find_runs(folder))

    def _listed(self, runs: list[FoundRun]) -> None:
        self._runs = [run.path for run in runs]
        self.chooser.show_runs(runs)
        self.jobs.note_others({run.path: run.device for run in runs if run.is_alive and run.device})
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

    def _ask_devices(self) -> None:
        self._asking.submit(find_devices)

    def _devices_known(self, devices: list[Device]) -> None:
        self.jobs.auto_device = devices[0].key
        self.setup.show_devices(devices)
        if self.job is None:
            self._show()

    def _apply_preferences(self) -> None:
        known = read_preferences()
        if known.workspace != self._workspace:
            self._workspace = known.workspace
            self._list()

    # Putting together.

    def _arrange(self) -> None:
        self.setMinimumWidth(WIDTH)
        pages = QWidget()
        # Not a stack: the page that is hidden shall not ask for room.
        inner = QVBoxLayout(pages)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.setup)
        inner.addWidget(self.page)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(pages)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        layout.addWidget(self.chooser)
        layout.addWidget(self.trouble)
        layout.addWidget(self._area, 1)
        layout.addWidget(self.controls)
        # napari fills the height of a dock that does not ask for it.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def _connect(self) -> None:
        controls = self.controls
        self.chooser.chosen.connect(self.show_run)
        self.setup.edited.connect(self._show)
        self.page.previews_wanted.connect(self._toggle_previews)
        self.previews.gone.connect(lambda: self.page.previews.setChecked(False))
        self.page.curves.compare_wanted.connect(self._compare)
        self.jobs.changed.connect(self._job_changed)
        self._listing.finished.connect(self._listed)
        self._asking.finished.connect(self._devices_known)
        controls.start.connect(self.start)
        controls.new.connect(lambda: self.show_run(None))
        controls.copy_command.connect(self.copy_command)
        controls.open_folder.connect(self._open_folder)
        for name in ("stop", "stop_now", "pause", "resume", "start_now", "cancel"):
            getattr(controls, name).connect(lambda name=name: self._on_job(name))

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for the width it is made for, and no more of the canvas."""
        return QSize(WIDTH, super().sizeHint().height())

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look at the workspace and the devices while it is seen."""
        super().showEvent(event)
        for timer, look in ((self._list_timer, self._list), (self._device_timer, self._ask_devices)):
            timer.start()
            look()
        self._show()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802
        """Keep what was chosen, and look no more."""
        super().hideEvent(event)
        self._list_timer.stop()
        self._device_timer.stop()
        keeping.write_draft(self._state_file, self.setup.draft)


def _timer(parent: QWidget, milliseconds: int, called: Any) -> QTimer:
    timer = QTimer(parent)
    timer.setInterval(milliseconds)
    timer.timeout.connect(called)
    return timer


def _end(check: ScanCheck, previews: PreviewLayers, lanes: Sequence[LatestOnly], preferences: Any) -> None:
    for lane in lanes:
        lane.close()
    previews.close()
    preferences()
    check.stop()
