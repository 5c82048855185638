"""What is told of one run in words: pairs of a small heading and a text that can be selected and copied."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_genesis.forms.control import SmallLabel
from napari_genesis.runs.details import RunDetails
from napari_genesis.training.progress_panel import Notice

_HEADING_WIDTH = 62


class FactsPanel(QWidget):
    """Labels are made once and changed in place."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.trouble = Notice("why it ended")
        self.warnings = Notice("warnings")
        self.rows: list[tuple[SmallLabel, QLabel]] = []
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnMinimumWidth(0, _HEADING_WIDTH)
        self._grid.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.trouble)
        layout.addLayout(self._grid)
        layout.addWidget(self.warnings)

    def show_details(self, details: RunDetails) -> None:
        """Show one run."""
        self.trouble.say(list(details.trouble))
        self.warnings.say(list(details.warnings))
        while len(self.rows) < len(details.lines):
            heading, text = SmallLabel(), QLabel()
            heading.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
            heading.setContentsMargins(0, 2, 0, 0)
            text.setTextFormat(Qt.TextFormat.PlainText)
            text.setWordWrap(True)
            text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._grid.addWidget(heading, len(self.rows), 0)
            self._grid.addWidget(text, len(self.rows), 1)
            self.rows.append((heading, text))
        for number, (heading, text) in enumerate(self.rows):
            what, words = details.lines[number] if number < len(details.lines) else ("", "")
            heading.show_text(what)
            # A label would be as wide as its longest word: paths may break at their slashes.
            text.setText(words.replace("/", "/\N{ZERO WIDTH SPACE}").replace("_", "_\N{ZERO WIDTH SPACE}"))
            text.setToolTip(words)
            text.setAccessibleName(what)
            text.setVisible(bool(words))
