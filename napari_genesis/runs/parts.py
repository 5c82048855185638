"""The parts of the Runs dock and where they stand: filter, table, details, work, and the actions at the bottom."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_genesis.runs.actions import RunActions
from napari_genesis.runs.curves_plot import CurvesPlot
from napari_genesis.runs.facts_panel import FactsPanel
from napari_genesis.runs.settings_table import SettingsTable
from napari_genesis.runs.table_view import RunsView
from napari_genesis.training.progress_panel import Notice
from napari_genesis.training.scrolled import Scrolled

_SPLIT = (300, 330)


class RunsParts(QWidget):
    """Holds the widgets; what they do is wired by the dock."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("filter: words of any column")
        self.filter.setClearButtonEnabled(True)
        self.filter.setAccessibleName("filter")
        self.count = QLabel()
        self.count.setAccessibleName("how many runs there are")
        self.refresh = QToolButton()
        self.refresh.setText("↻")
        self.refresh.setToolTip("Look at the workspace again (F5).")
        self.refresh.setAccessibleName("look again")
        self.unreadable = Notice("why runs cannot be listed")
        self.trouble = Notice("problem")
        self.done = _Done()
        self.runs = RunsView()
        self.head = QLabel()
        self.head.setWordWrap(True)
        self.head.setTextFormat(Qt.TextFormat.PlainText)
        self.head.setAccessibleName("selected runs")
        self.result = QLabel()
        self.result.setWordWrap(True)
        self.result.setTextFormat(Qt.TextFormat.PlainText)
        self.result.setAccessibleName("result")
        self.facts = FactsPanel()
        self.curves = CurvesPlot()
        self.settings = SettingsTable()
        self.work = _Work()
        self.run_actions = RunActions(self)
        self._arrange()
        self.show_nothing("")

    def show_nothing(self, words: str) -> None:
        """Show no run. words: what to do."""
        self.say_head(words, bold=False)
        for widget in (self.result, self.facts, self.curves, self.settings):
            widget.hide()

    def say_head(self, words: str, *, bold: bool) -> None:
        """Show what is above the details. bold: for names of runs."""
        self.head.setText(words)
        font = self.head.font()
        font.setBold(bold)
        self.head.setFont(font)

    def _arrange(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.filter, 1)
        top.addWidget(self.count)
        top.addWidget(self.refresh)
        inside = QWidget()
        inner = QVBoxLayout(inside)
        inner.setContentsMargins(0, 2, 4, 0)
        inner.setSpacing(5)
        for widget in (self.head, self.result, self.curves, self.facts, self.settings):
            inner.addWidget(widget)
        inner.addStretch(1)
        self.area = Scrolled(inside)
        self.area.setAccessibleName("details")
        self.split = QSplitter(Qt.Orientation.Vertical)
        self.split.addWidget(self.runs)
        self.split.addWidget(self.area)
        self.split.setCollapsible(0, False)
        self.split.setSizes(list(_SPLIT))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        layout.addLayout(top)
        layout.addWidget(self.unreadable)
        layout.addWidget(self.trouble)
        layout.addWidget(self.done)
        layout.addWidget(self.split, 1)
        layout.addWidget(self.work)
        layout.addWidget(self.run_actions.bar)

    def unfold_details(self) -> None:
        """Give the details room, if they have none."""
        table, details = self.split.sizes()
        if not details:
            whole = table + details
            self.split.setSizes([whole // 2, whole - whole // 2])


class _Done(QWidget):
    """A sentence on what was done, with a button that undoes it, or one that goes there."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setAccessibleName("what was done")
        self.button = QPushButton()
        self.close_button = QToolButton()
        self.close_button.setText("×")
        self.close_button.setToolTip("Hide this.")
        self.close_button.setAccessibleName("hide")
        self.close_button.clicked.connect(self.hide)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.button)
        layout.addWidget(self.close_button)
        self.hide()

    def say(self, text: str, button: str = "") -> None:
        """Say what was done. button: what can be done about it."""
        self.text.setText(text)
        self.button.setText(button)
        self.button.setVisible(bool(button))
        self.show()


class _Work(QWidget):
    """What is being done in the background, how far it is, and a button that ends it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setAccessibleName("what is being done")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.cancel = QPushButton("Cancel")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        row = QHBoxLayout()
        row.addWidget(self.text, 1)
        row.addWidget(self.cancel)
        layout.addLayout(row)
        layout.addWidget(self.bar)
        self.hide()

    def show_progress(self, text: str, done: int = 0, total: int = 0) -> None:
        """Show how far it is; total 0: nobody knows."""
        self.text.setText(text)
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.show()
