"""The contact sheet in a window: every combination of the recipe's steps or random samples, to look at and to keep.

The window knows no scan and no layer: what it shows comes from the function it is given, which runs in a thread of its
own and is stopped when the window closes or something else is asked for.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QImage
from qtpy.QtWidgets import (
    QButtonGroup,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from genesis_core.errors import GenesisError
from genesis_core.inference.contact_sheet import ContactSheet
from genesis_core.inference.sheet_examples import MOST_SAMPLES, montage
from genesis_core.pictures.encoding import write_png
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.studio.sheet_picture import SheetPicture, screen_image

Make = Callable[[int | None, Callable[[], bool], Callable[[int, int], None]], ContactSheet | None]

_WIDTH, _HEIGHT = 1000, 740
# Four rows of four, the twelve combinations in the order of the sheet.
_SAMPLES, _COLUMNS, _GAP = 16, 4, 4
_PNG = ".png"


class SheetDialogue(QDialog):
    """The window of one contact sheet; closing it (also by Escape) stops its work and deletes it.

    layer_wanted(Montage): the sub-volumes of the sheet side by side, to be added as a layer.
    """

    layer_wanted = Signal(object)
    _progressed = Signal(int, int, int)

    def __init__(self, make: Make, parent: QWidget | None = None) -> None:
        """Build the window; it begins with the combinations at once.

        make(samples, should_stop, progress): the sheet of every combination (samples None) or of so many random
        samples; called in a thread. It asks should_stop between examples and then returns None, tells progress(done,
        all), and raises GenesisError, shown as a sentence, for what cannot be made.
        """
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Contact sheet")
        self.resize(_WIDTH, _HEIGHT)
        self._make = make
        self._sheet: ContactSheet | None = None
        self._stop = _Stop()
        self._number = 0
        self._then: Callable[[Any], None] = self._show
        self._build()
        # Without a parent: the thread holds on to it until its last piece of work ends, which may be after this window.
        self._lane = lane = LatestOnly("contact sheet")
        lane.finished.connect(self._finished)
        lane.failed.connect(self._failed)
        self._progressed.connect(self._advance)
        stop = self._stop

        def end() -> None:
            stop.now()
            lane.close()

        # Also where the parent takes this window with it; nothing of the window itself may be touched by then.
        self.destroyed.connect(end)
        self._remake()

    def _build(self) -> None:
        self.combinations = QRadioButton("Every combination of the steps")
        self.combinations.setToolTip("Each combination once, all with the same seed: a step looks the same in each.")
        self.combinations.setChecked(True)
        self.random = QRadioButton("Random samples:")
        self.random.setToolTip("As training draws them, with consecutive seeds at the same place.")
        choice = QButtonGroup(self)
        choice.addButton(self.combinations)
        choice.addButton(self.random)
        self.count = QSpinBox()
        self.count.setRange(1, MOST_SAMPLES)
        self.count.setValue(_SAMPLES)
        self.count.setKeyboardTracking(False)
        self.count.setAccessibleName("number of random samples")
        self.combinations.toggled.connect(self._remake)
        self.count.valueChanged.connect(self._count_changed)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("progress of the contact sheet")
        # Its place is kept, so that nothing moves when it goes.
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(policy)
        top = QHBoxLayout()
        top.addWidget(self.combinations)
        top.addSpacing(12)
        top.addWidget(self.random)
        top.addWidget(self.count)
        top.addSpacing(16)
        top.addWidget(self.bar, 1)

        self.picture = SheetPicture()
        self.problem = QLabel()
        self.problem.setWordWrap(True)
        self.problem.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.problem.setTextFormat(Qt.TextFormat.PlainText)
        self.problem.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._pages = QStackedLayout()
        self._pages.addWidget(self.picture)
        self._pages.addWidget(self.problem)

        self.status = QLabel()
        self.status.setTextFormat(Qt.TextFormat.PlainText)
        self.status.setWordWrap(True)
        self.add_button = QPushButton("Add as layer")
        self.add_button.setToolTip("The sub-volumes side by side in the viewer, to be scrolled through in z.")
        self.save_button = QPushButton("Save PNG…")
        self.close_button = QPushButton("Close")
        self.add_button.clicked.connect(self._add)
        self.save_button.clicked.connect(self._ask_where)
        self.close_button.clicked.connect(self.reject)
        bottom = QHBoxLayout()
        bottom.addWidget(self.status, 1)
        for button in (self.add_button, self.save_button, self.close_button):
            # Enter belongs to the number of samples, not to a button.
            button.setAutoDefault(False)
            bottom.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addLayout(self._pages, 1)
        layout.addLayout(bottom)

    def done(self, result: int) -> None:
        """Stop the work and close."""
        self._stop.now()
        # A picture that is to be saved still is.
        self._lane.close(finish=self._then == self._saved)
        super().done(result)

    def _count_changed(self) -> None:
        if self.random.isChecked():
            self._remake()
        else:
            self.random.setChecked(True)

    def _remake(self) -> None:
        """Ask for the sheet that is chosen; what is under way stops at its next example."""
        samples = self.count.value() if self.random.isChecked() else None
        make, number = self._make, self._number + 1
        should_stop = self._stop.renew()

        def progress(done: int, total: int) -> None:
            if not should_stop():
                self._progressed.emit(number, done, total)

        self._sheet = None
        self._say("")
        self._run(lambda: _with_image(make(samples, should_stop, progress)), self._show)

    def _run(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do `work` in the thread and `then` here with its result, unless something else is asked for meanwhile."""
        self._number += 1
        self._then = then
        self.bar.setRange(0, 0)
        self.bar.show()
        self._enable(False)
        self._lane.discard()
        self._lane.submit(work)

    def _finished(self, result: Any) -> None:
        self.bar.hide()
        self._enable(self._sheet is not None)
        self._then(result)

    def _failed(self, problem: Exception) -> None:
        self.bar.hide()
        self._enable(self._sheet is not None)
        if not isinstance(problem, GenesisError | OSError):
            # A defect of ours: whoever listens, napari's notifications for one, gets the traceback.
            sys.excepthook(type(problem), problem, problem.__traceback__)
        text = str(problem) or type(problem).__name__
        if self._sheet is None:
            self.problem.setText(text)
            self._pages.setCurrentWidget(self.problem)
        else:
            self._say(text)

    def _advance(self, number: int, done: int, total: int) -> None:
        if number != self._number:
            return
        # After the last example the picture is drawn, which has no steps to count.
        self.bar.setRange(0, total if done < total else 0)
        self.bar.setValue(done)

    def _enable(self, on: bool) -> None:
        self.add_button.setEnabled(on)
        self.save_button.setEnabled(on)

    def _show(self, made: tuple[ContactSheet, QImage] | None) -> None:
        if made is None:
            return
        self._sheet, image = made
        sheet = self._sheet
        self._enable(True)
        self.picture.show_image(image)
        self._pages.setCurrentWidget(self.picture)
        first, last = sheet.examples[0].seed, sheet.examples[-1].seed
        if sheet.samples is None:
            self._say(f"{len(sheet.examples)} combinations, seed {first}")
        else:
            seeds = f"seed {first}" if first == last else f"seeds {first} to {last}"
            noun = "sample" if sheet.samples == 1 else "samples"
            self._say(f"{sheet.samples} {noun}, {seeds}")

    def _say(self, text: str, more: str = "") -> None:
        self.status.setText(text)
        self.status.setToolTip(more)

    def _add(self) -> None:
        if (sheet := self._sheet) is not None:
            self._run(lambda: montage(sheet.examples, _COLUMNS, _GAP), self.layer_wanted.emit)

    def _ask_where(self) -> None:
        if (sheet := self._sheet) is None:
            return
        asking = QFileDialog(self, "Save the contact sheet", "", f"PNG pictures (*{_PNG})")
        asking.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        asking.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        asking.setDefaultSuffix(_PNG[1:])
        asking.selectFile(sheet.file_name)
        asking.fileSelected.connect(lambda name: self._save(sheet, Path(name)))
        asking.open()

    def _save(self, sheet: ContactSheet, path: Path) -> None:
        if path.suffix.lower() != _PNG:
            # Not every system's dialogue adds the ending; what was asked about was then another file.
            path = path.with_name(path.name + _PNG)
            question = f"{path.name} exists already. Replace it?"
            if path.exists() and QMessageBox.question(self, self.windowTitle(), question) != _YES:
                return
        self._say(f"Saving {path.name}…")
        self._run(lambda: write_png(sheet.image, path), self._saved)

    def _saved(self, path: Path) -> None:
        self._say(f"Saved {path.name}", str(path))


_YES = QMessageBox.StandardButton.Yes


def _with_image(sheet: ContactSheet | None) -> tuple[ContactSheet, QImage] | None:
    return None if sheet is None else (sheet, screen_image(sheet.image))


class _Stop:
    """Tells the piece of work that runs that it is no longer wanted."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def now(self) -> None:
        self._event.set()

    def renew(self) -> Callable[[], bool]:
        """Stop what runs; return the question that the next piece of work asks."""
        self.now()
        self._event = threading.Event()
        return self._event.is_set
