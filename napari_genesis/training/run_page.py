"""One run in a dock: how it is doing, its curves, and what becomes of it when napari closes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.jobs.job import Job
from napari_genesis.jobs.view import RunView
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.training.loss_curves import LossCurves
from napari_genesis.training.progress_panel import ProgressPanel

_PREVIEWS = ("show previews in the viewer", "The latest preview that the run wrote, as layers.")
_STOPS, _GOES_ON = "stop and keep", "let it go on"


class RunPage(QWidget):
    """Shows a job. previews_wanted(on): whether previews shall be shown in the viewer.

    baselines: key in the events of validations -> what it is called. previews: words of the box that shows them, and
    its tip. above, below: what else is drawn of a run, around the curves of its loss.
    """

    previews_wanted = Signal(bool)

    def __init__(
        self,
        baselines: Mapping[str, str],
        previews: tuple[str, str] = _PREVIEWS,
        curves: LossCurves | None = None,
        above: Sequence[QWidget] = (),
        below: Sequence[QWidget] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self.curves = curves or LossCurves(baselines)
        self.progress = ProgressPanel(baselines, (*above, self.curves, *below))
        words, tip = previews
        self.previews = QCheckBox(words)
        self.previews.setToolTip(tip)
        self.previews.setChecked(True)
        self.previews.toggled.connect(self.previews_wanted)
        self.end = QComboBox()
        pass_wheel_on(self.end)
        self.end.setAccessibleName("when napari closes")
        self.end.addItems([_STOPS, _GOES_ON])
        self.end.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.end.setMinimumContentsLength(10)
        self.end.setToolTip(
            "A run that is let go on trains without napari, and is found again by the next napari, or by\n"
            "napari-genesis runs. This holds also if napari crashes."
        )
        self.end.activated.connect(self._choose_end)
        self.end_row = QWidget()
        row = QHBoxLayout(self.end_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("when napari closes"))
        row.addWidget(self.end, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.setSpacing(6)
        for widget in (self.progress, self.previews, self.end_row):
            layout.addWidget(widget)
        layout.addStretch(1)

    @property
    def lanes(self) -> tuple[LatestOnly, ...]:
        """The threads it has work done in; they end with the dock."""
        return ()

    def show_job(self, job: Job, ahead: list[str]) -> None:
        """Show a job as it is now. ahead: names of the runs that come before it in its queue."""
        self._job = job
        view, state = job.view, job.state
        self.progress.show_run(state, view, job.problem, ahead)
        self.show_curves(view)
        self.previews.setVisible(view.preview is not None)
        self.end_row.setVisible(job.is_ours or job.waiting)
        with QSignalBlocker(self.end):
            self.end.setCurrentText(_GOES_ON if job.goes_on else _STOPS)

    def show_curves(self, view: RunView) -> None:
        """Draw what there is to draw of a run."""
        has_curves = len(view.steps) > 0 or len(view.validations) > 0
        self.curves.setVisible(has_curves)
        if has_curves:
            self.curves.show_run(view)

    def _choose_end(self) -> None:
        if self._job is not None:
            self._job.choose_end(self.end.currentText() == _GOES_ON)
