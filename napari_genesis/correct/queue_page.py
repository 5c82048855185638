"""The page of the queue: what the review is, order and filter above, the list of cases, progress of ranking below."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from napari_genesis.correct.kept import By, Shown
from napari_genesis.correct.queue_rows import ORDER_WORDS, SHOWN_WORDS, Row
from napari_genesis.correct.queue_view import QueueView
from napari_genesis.correct.ranking import RankProgress
from napari_genesis.forms.wheel import pass_wheel_on

_STEPS = 1000


class QueuePage(QWidget):
    """chosen(): another order or filter. opened(case)."""

    chosen = Signal()
    opened = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.by, self.shown = QComboBox(), QComboBox()
        for box, name, tip in (
            (self.by, "order", "In which order cases are looked at."),
            (self.shown, "show", "Which cases the list shows."),
        ):
            pass_wheel_on(box)
            box.setAccessibleName(name)
            box.setToolTip(tip)
            box.activated.connect(lambda _: self.chosen.emit())
        for row, (by, (words, tip)) in enumerate(ORDER_WORDS.items()):
            self.by.addItem(words, by)
            self.by.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)
        for shown, words in SHOWN_WORDS.items():
            self.shown.addItem(words, shown)
        self.list = QueueView()
        self.list.opened.connect(self.opened)
        self.empty = QLabel()
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.empty.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.empty.setAccessibleName("about the list")
        self.ranking = QLabel()
        self.ranking.setWordWrap(True)
        self.ranking.setAccessibleName("progress of the ranking")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.setAccessibleName("progress of the ranking")
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.by, 1)
        top.addWidget(QLabel("show"))
        top.addWidget(self.shown)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(top)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.empty, 1)
        layout.addWidget(self.ranking)
        layout.addWidget(self.bar)
        self.show_rows((), None, "")
        self.show_ranking(None)

    @property
    def order(self) -> By:
        """The order that is chosen."""
        return self.by.currentData()  # type: ignore[no-any-return]

    @property
    def filter(self) -> Shown:
        """The filter that is chosen."""
        return self.shown.currentData()  # type: ignore[no-any-return]

    def choose(self, by: By, shown: Shown) -> None:
        """Show what is chosen, without a signal."""
        for box, value in ((self.by, by), (self.shown, shown)):
            with QSignalBlocker(box):
                box.setCurrentIndex(box.findData(value))

    def show_rows(self, rows: tuple[Row, ...], current: str | None, otherwise: str) -> None:
        """Show the cases. otherwise: what to say where there is none."""
        self.list.show_rows(rows, current)
        self.list.setVisible(bool(rows))
        self.empty.setVisible(not rows)
        self.empty.setText(otherwise)

    def show_ranking(self, progress: RankProgress | None, stopping: bool = False) -> None:
        """Show how far the ranking is; None while there is none."""
        self.ranking.setVisible(progress is not None)
        self.bar.setVisible(progress is not None)
        if progress is None:
            return
        self.ranking.setText("Stopping after this window" if stopping else progress.words)
        self.bar.setRange(0, _STEPS if progress.total else 0)
        self.bar.setValue(round(progress.share * _STEPS))
