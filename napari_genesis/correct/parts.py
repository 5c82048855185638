"""Where the parts of the Review dock stand: which review above, one page, what there is to say, actions below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QApplication,
    QButtonGroup,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_genesis.correct.actions import Actions
from napari_genesis.correct.case_page import CasePage
from napari_genesis.correct.continue_page import ContinuePage
from napari_genesis.correct.queue_page import QueuePage
from napari_genesis.correct.setup_page import SetupPage
from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.training.progress_panel import Notice

WIDTH = 360
_NEW, _OTHER = "new review", "open a review's folder…"
PageName = Literal["setup", "queue", "case", "continue"]
_TABS: dict[PageName, tuple[str, str]] = {
    "queue": ("Queue", "All cases, in the order you choose; Return opens one."),
    "case": ("Case", "The case that is open: structures, places and tools."),
    "continue": ("Continue", "Train on what was accepted, and the Dice of all rounds."),
}


class ReviewParts(QWidget):
    """The widgets of the dock, laid out. review_chosen(path or None). page_chosen(name)."""

    review_chosen = Signal(object)
    page_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumWidth(WIDTH)
        self.page: PageName = "setup"
        self._review: Path | None = None
        self._listed: list[Path] = []
        self.reviews = QComboBox()
        pass_wheel_on(self.reviews)
        self.reviews.setAccessibleName("review")
        self.reviews.setToolTip("A new review, or one of the workspace's: also those of the command line.")
        self.reviews.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.reviews.setMinimumContentsLength(12)
        self.reviews.activated.connect(self._activated)
        self.facts = SmallLabel()
        self.facts.setAccessibleName("about the review")
        self.tabs = {name: QPushButton(words) for name, (words, _) in _TABS.items()}
        self._group = QButtonGroup(self)
        for name, button in self.tabs.items():
            button.setCheckable(True)
            button.setToolTip(_TABS[name][1])
            self._group.addButton(button)
            button.clicked.connect(lambda _=False, name=name: self.page_chosen.emit(name))
        self.setup, self.queue, self.case, self.continuing = SetupPage(), QueuePage(), CasePage(), ContinuePage()
        self.pages: dict[PageName, QWidget] = {
            "setup": self.setup,
            "queue": self.queue,
            "case": self.case,
            "continue": self.continuing,
        }
        self.trouble = Notice("problem")
        self.said = SmallLabel()
        self.said.setAccessibleName("what happened")
        self.buttons = Actions()
        self._arrange()
        self.show_reviews((), None)
        self.show_page("setup")

    def show_page(self, name: PageName) -> None:
        """Show one page; the tabs are there for a review alone. The keyboard goes along, if it was on another page."""
        goes_along = name != self.page and self._has_keyboard()
        self.page = name
        for page, widget in self.pages.items():
            widget.setVisible(page == name)
        self._tab_row.setVisible(name != "setup")
        if name in self.tabs:
            self.tabs[name].setChecked(True)
        if goes_along:
            first: dict[PageName, QWidget] = {
                "setup": self.setup.scans,
                "queue": self.queue.list,
                "case": self.case.structures,
                "continue": self.continuing.budget,
            }
            first[name].setFocus()

    def _has_keyboard(self) -> bool:
        focus = QApplication.focusWidget()
        above = (self.reviews, *self.tabs.values())
        return focus is not None and focus not in above and self.isAncestorOf(focus)

    def show_reviews(self, reviews: Sequence[Path], chosen: Path | None) -> None:
        """List the reviews of the workspace, and the one chosen, wherever it lies."""
        listed = list(reviews)
        if chosen is not None and chosen not in listed:
            listed.append(chosen)
        view = self.reviews.view()
        if (listed, chosen) == (self._listed, self._review) and self.reviews.count():
            return
        if view is not None and view.isVisible():
            # The list is open under the user's mouse; the next listing comes soon.
            return
        self._listed, self._review = listed, chosen
        with QSignalBlocker(self.reviews):
            self.reviews.clear()
            self.reviews.addItem(_NEW)
            for path in listed:
                self.reviews.addItem(path.name, path)
                self.reviews.setItemData(self.reviews.count() - 1, str(path), Qt.ItemDataRole.ToolTipRole)
            self.reviews.addItem(_OTHER)
            self.reviews.setCurrentIndex(0 if chosen is None else 1 + listed.index(chosen))

    def say(self, text: str) -> None:
        """Say what happened; a problem shown before goes."""
        self.trouble.say([])
        self.said.show_text(text)

    def show_trouble(self, reason: str) -> None:
        """Show a problem in words; an empty one takes it away."""
        self.trouble.say([_sentence(reason)] if reason else [])
        if reason:
            self.said.show_text("")

    def _activated(self, row: int) -> None:
        path = self.reviews.itemData(row)
        if path is None and row:
            folder = QFileDialog.getExistingDirectory(self, "Folder of a review")
            path = Path(folder) if folder else self._review
        chosen, self._listed = self._listed, []
        self.show_reviews(chosen, path)
        self.review_chosen.emit(path)

    def _arrange(self) -> None:
        top = QHBoxLayout()
        top.addWidget(QLabel("review"))
        top.addWidget(self.reviews, 1)
        self._tab_row = QWidget()
        tabs = QHBoxLayout(self._tab_row)
        tabs.setContentsMargins(0, 0, 0, 0)
        tabs.setSpacing(2)
        for button in self.tabs.values():
            tabs.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        layout.addLayout(top)
        layout.addWidget(self.facts)
        layout.addWidget(self._tab_row)
        for page in self.pages.values():
            layout.addWidget(page, 1)
        layout.addWidget(self.trouble)
        layout.addWidget(self.said)
        layout.addWidget(self.buttons)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
