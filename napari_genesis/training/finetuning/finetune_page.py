"""One fine-tuning in a dock: Dice per structure over time, its folds, its loss, and what it reached in the end."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from napari_genesis.jobs.job import Job
from napari_genesis.jobs.view import RunView
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.training.choices import choice_box
from napari_genesis.training.finetuning.dice_curves import DiceCurves
from napari_genesis.training.finetuning.held_out_panel import HeldOutPanel
from napari_genesis.training.loss_curves import LossCurves
from napari_genesis.training.run_page import RunPage

_LOSS_HEIGHT = 110
_FOLLOWS = "the one that trains"
_PREVIEWS = (
    "show a held-out case in the viewer",
    "A case as a layer, what the network draws in it after each validation, and the reference as an outline.",
)


class FinetunePage(RunPage):
    """Shows a job. apply_wanted(), review_wanted(): the model it made shall be applied, its proposals corrected."""

    apply_wanted = Signal()
    review_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        self.fold = choice_box("fold", "Whose curves are shown: the fold that trains now, or another one.")
        self.fold_row = QWidget()
        row = QHBoxLayout(self.fold_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("fold"))
        row.addWidget(self.fold, 1)
        self.dice = DiceCurves()
        self.held_out = HeldOutPanel()
        super().__init__(
            {},
            _PREVIEWS,
            LossCurves({}, _LOSS_HEIGHT),
            above=(self.held_out, self.fold_row, self.dice),
            parent=parent,
        )
        self.dice.share_steps(self.curves.plot)
        self.apply = QPushButton("Apply this model…")
        self.apply.setToolTip("Segment the open scan, or a folder, with what was learnt, in the Apply dock.")
        self.apply.clicked.connect(self.apply_wanted)
        self.review = QPushButton("Review new scans…")
        self.review.setToolTip(
            "Correct what it draws on scans nobody has labelled, and train on with them, in the Review dock."
        )
        self.review.clicked.connect(self.review_wanted)
        self.next_steps = QWidget()
        ways = QHBoxLayout(self.next_steps)
        ways.setContentsMargins(0, 0, 0, 0)
        ways.setSpacing(4)
        for button in (self.apply, self.review):
            ways.addWidget(button, 1)
        self.progress.add_under_head(self.next_steps)
        self._whole: RunView | None = None
        self.fold.activated.connect(lambda _: self._choose_fold())

    @property
    def lanes(self) -> tuple[LatestOnly, ...]:
        """The threads it has work done in; they end with the dock."""
        return (self.held_out.lane,)

    def show_job(self, job: Job, ahead: list[str]) -> None:
        """Show a job as it is now. ahead: names of the runs that come before it in its queue."""
        if self._whole is not None and self._whole.path != job.view.path:
            # Another run: its latest fold is of interest.
            with QSignalBlocker(self.fold):
                self.fold.setCurrentIndex(0)
        super().show_job(job, ahead)
        stopped_with_model = job.state == "stopped" and (job.view.path / "model" / "model.yaml").is_file()
        self.next_steps.setVisible(job.state == "finished" or stopped_with_model)
        self.previews.setText(_words_of_preview(job.view.training_now))

    def show_curves(self, view: RunView) -> None:
        """Draw the fold that is chosen, and what was reached on held-out cases."""
        self._whole = view
        self._list_folds(view)
        shown = self._shown(view)
        self.dice.setVisible(bool(shown.validations))
        if shown.validations:
            self.dice.show_run(shown, view)
        self.held_out.show_run(view)
        super().show_curves(shown)

    @property
    def shown(self) -> RunView | None:
        """The training whose curves are drawn: a fold, or the run itself; None before the first."""
        return None if self._whole is None else self._shown(self._whole)

    def _list_folds(self, view: RunView) -> None:
        self.fold_row.setVisible(view.of_folds > 1 and bool(view.folds))
        texts = [f"{number} of {view.of_folds}{_reached(fold)}" for number, fold in enumerate(view.folds, 1)]
        wanted = [_FOLLOWS, *texts]
        if [self.fold.itemText(row) for row in range(self.fold.count())] == wanted:
            return
        with QSignalBlocker(self.fold):
            row = max(self.fold.currentIndex(), 0)
            self.fold.clear()
            self.fold.addItems(wanted)
            self.fold.setCurrentIndex(row if row < len(wanted) else 0)

    def _shown(self, view: RunView) -> RunView:
        row = self.fold.currentIndex()
        return view.folds[row - 1] if 0 < row <= len(view.folds) else view.training_now

    def _choose_fold(self) -> None:
        if self._whole is not None:
            self.show_curves(self._whole)


def _reached(fold: RunView) -> str:
    dice = fold.scores.get("mean_dice")
    return "" if dice is None else f": held-out Dice {dice:.3f}"


def _words_of_preview(view: RunView) -> str:
    held_out = "loss" in view.figures or not view.figures
    return f"show a {'held-out' if held_out else 'training'} case in the viewer"
