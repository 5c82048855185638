"""How a run is doing, in figures: progress, time left, losses beside their baselines, and what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QGridLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.drawing import paint_frame
from napari_genesis.jobs.job import State
from napari_genesis.jobs.view import RunView
from napari_genesis.training.wording import about, headline, loss_text, result_text, time_left, why

_WARNINGS_SHOWN = 3


class ProgressPanel(QWidget):
    """Shows one run. baselines: key in the events of validations -> what it is called. curves: stand in the middle."""

    def __init__(self, baselines: Mapping[str, str], curves: Sequence[QWidget], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._baselines = dict(baselines)
        self.head = QLabel()
        font = self.head.font()
        font.setBold(True)
        self.head.setFont(font)
        self.head.setWordWrap(True)
        self.head.setAccessibleName("state of the run")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.bar.setAccessibleName("progress")
        self.left = _line("time left")
        self.note = _line("what there is to say")
        self.figures = _Figures()
        self.trouble = Notice("problem")
        self.warnings = Notice("warnings")
        self.about = SmallLabel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        above = (self.head, self.bar, self.left, self.note, self.trouble)
        for widget in (*above, *curves, self.figures, self.warnings, self.about):
            layout.addWidget(widget)

    def add_under_head(self, widget: QWidget) -> None:
        """Put a widget under what is said of the run's state."""
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.insertWidget(layout.indexOf(self.trouble), widget)

    def show_run(self, state: State, view: RunView, problem: str, ahead: list[str]) -> None:
        """Show a run. problem: what went wrong in watching it. ahead: names of the runs that come before it."""
        self.head.setText(headline(state, view))
        total = view.total_steps
        self.bar.setRange(0, total or 1)
        if state in ("starting", "preparing") and view.preparing is None:
            # Moves by itself while nothing can be counted.
            self.bar.setRange(0, 0)
        elif view.preparing is not None:
            self.bar.setRange(0, max(view.preparing[1], 1))
            self.bar.setValue(view.preparing[0])
        else:
            self.bar.setValue(min(view.step, total or 0))
        self.bar.setVisible(state not in ("gone", "damaged", "queued"))
        self.left.say(time_left(view) if state == "running" and not view.training_now.trained else "")
        self.note.say(f"Waits for {', '.join(ahead)}." if ahead else result_text(state, view))
        self.trouble.say(why(state, view, problem))
        self.warnings.say(list(view.warnings[-_WARNINGS_SHOWN:]))
        self.figures.show_figures(self._rows(view))
        self.about.show_text(about(view))

    def _rows(self, view: RunView) -> list[tuple[str, str, str]]:
        figures, pace = view.training_now.figures, view.pace
        rows = []
        if "loss" in figures or "train_loss" in figures:
            held_out = "loss" in figures
            name = "validation loss" if held_out else "loss, training scans"
            tip = "Of the held-out scans." if held_out else "No scans are held out: measured on those it trains on."
            rows.append((name, loss_text(figures.get("loss", figures.get("train_loss"))), tip))
        for key, name in self._baselines.items():
            if key in figures:
                rows.append((name, loss_text(figures[key]), "What an answer that needs no network would score."))
        if isinstance(figures.get("predicted"), int | float):
            tip = "Voxels that are predicted to be of a structure, over those that are drawn, in the validations."
            rows.append(("predicted over drawn", f"{figures['predicted']:.2f}", tip))
        if isinstance(figures.get("spread"), int | float):
            tip = "How much restorations vary within a sub-volume, against the originals. Near 0: it has collapsed."
            rows.append(("spread", f"{figures['spread']:.2f}", tip))
        if pace is not None:
            rows.append(("sub-volumes a second", f"{pace.volumes_per_second:.3g}", "Trained on, without validations."))
            rows.append(("waits for data", f"{pace.waited:.0%}", "Part of the time the network waits for sub-volumes."))
        return rows


class _Figures(QWidget):
    """Names and values in two columns of pairs; labels are made once and changed in place."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cells: list[tuple[QLabel, QLabel]] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 2, 0, 2)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(2, 1)

    def show_figures(self, rows: list[tuple[str, str, str]]) -> None:
        """Show (name, value, tip) of each figure."""
        while len(self.cells) < len(rows):
            name, value = QLabel(), QLabel()
            value.setAlignment(Qt.AlignmentFlag.AlignRight)
            row = len(self.cells)
            self._grid.addWidget(name, row, 0)
            self._grid.addWidget(value, row, 1)
            self.cells.append((name, value))
        for index, (name, value) in enumerate(self.cells):
            shown = index < len(rows)
            name.setVisible(shown)
            value.setVisible(shown)
            if shown:
                name.setText(rows[index][0])
                value.setText(rows[index][1])
                name.setToolTip(rows[index][2])
                value.setToolTip(rows[index][2])
                value.setAccessibleName(rows[index][0])


class Notice(QLabel):
    """Framed sentences that are there only while there is something to say; they can be selected and copied."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setContentsMargins(6, 4, 6, 4)
        self.setAccessibleName(name)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setForegroundRole(QPalette.ColorRole.WindowText)
        self.hide()

    def say(self, lines: list[str]) -> None:
        """Show lines; none hides the notice."""
        text = "\n".join(_breakable(line) for line in lines)
        if text != self.text():
            self.setText(text)
        self.setVisible(bool(lines))

    def paintEvent(self, event: object) -> None:  # noqa: N802
        super().paintEvent(event)  # type: ignore[arg-type]
        paint_frame(self, 0.5)


def _breakable(line: str) -> str:
    """Let long paths break at their slashes, where a label would else be wider than the dock."""
    return line.replace("/", "/\N{ZERO WIDTH SPACE}").replace("\\", "\\\N{ZERO WIDTH SPACE}")


class _Line(QLabel):
    def say(self, text: str) -> None:
        self.setText(text)
        self.setVisible(bool(text))


def _line(name: str) -> _Line:
    label = _Line()
    label.setWordWrap(True)
    label.setAccessibleName(name)
    label.hide()
    return label
