"""What was drawn, in words, and how hard it is: a table of doing nothing, of one constant, and of the model."""

from __future__ import annotations

import math

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_genesis.studio.restoring import Figures

_ROWS = ("return the input", "return its mean", "the model")
_TIPS = (
    "Hand the corrupted sub-volume back: the loss of a network that does nothing.",
    "Hand back one constant, the mean: what a collapsed network does. A model must be better than this.",
    "The chosen model's restoration.",
)


class FiguresPanel(QWidget):
    """Words above, table below; figures that are still to come stand as a dash."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.words.setAccessibleName("what was drawn")
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.hide()
        table = QGridLayout()
        table.setContentsMargins(0, 0, 0, 0)
        table.setVerticalSpacing(1)
        for column, (text, tip) in enumerate(
            (("MSE", "Mean squared error in [0, 1]"), ("PSNR", "In dB, higher is better"), ("SSIM", "1 is equal")), 1
        ):
            head = QLabel(text)
            head.setToolTip(tip)
            head.setAlignment(Qt.AlignmentFlag.AlignRight)
            table.addWidget(head, 0, column)
        self.cells: list[list[QLabel]] = []
        for row, (text, tip) in enumerate(zip(_ROWS, _TIPS, strict=True), 1):
            label = QLabel(text)
            label.setToolTip(tip)
            table.addWidget(label, row, 0)
            cells = [QLabel("-") for _ in range(3)]
            for column, cell in enumerate(cells, 1):
                cell.setAlignment(Qt.AlignmentFlag.AlignRight)
                table.addWidget(cell, row, column)
            self.cells.append(cells)
        table.setColumnStretch(0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.words)
        layout.addLayout(table)
        layout.addWidget(self.note)

    def show_words(self, words: str) -> None:
        """Show what was drawn. The room for it never shrinks: what lies below must not jump under the mouse."""
        self.words.setText(words)
        self.words.setMinimumHeight(max(self.words.minimumHeight(), self.words.heightForWidth(self.words.width())))

    def show_errors(self, return_input: float, return_mean: float) -> None:
        """Show the two baselines' mean squared errors, which are known at once; the rest is still to come."""
        for row, value in zip(self.cells, (return_input, return_mean, None), strict=True):
            row[0].setText("-" if value is None else f"{value:.4f}")
            for cell in row[1:]:
                cell.setText("-")

    def show_figures(self, return_input: Figures, return_mean: Figures, model: Figures | None) -> None:
        """Show all figures; without a model its row keeps dashes."""
        for row, figures in zip(self.cells, (return_input, return_mean, model), strict=True):
            if figures is None:
                continue
            psnr = "∞" if math.isinf(figures.psnr) else f"{figures.psnr:.1f}"
            for cell, text in zip(row, (f"{figures.mse:.4f}", psnr, f"{figures.ssim:.3f}"), strict=True):
                cell.setText(text)

    def show_note(self, note: str) -> None:
        """Show a sentence under the table; an empty one takes it away."""
        self.note.setText(note)
        self.note.setVisible(bool(note))
