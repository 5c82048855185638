"""Where the parts of the Studio stand in the dock: what is always seen above, one scrolled part, actions below."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_genesis.studio.cards import RecipeCards
from napari_genesis.studio.curve_plot import CurvePlot
from napari_genesis.studio.figures_panel import FiguresPanel
from napari_genesis.studio.model_panel import ModelPanel
from napari_genesis.studio.recipe_bar import RecipeBar
from napari_genesis.studio.sample_panel import SamplePanel
from napari_genesis.studio.scan_panel import ScanPanel
from napari_genesis.studio.statistics_section import StatisticsSection
from napari_genesis.studio.thumbnails import Thumbnails

WIDTH = 360


class StudioParts(QWidget):
    """The widgets of the Studio, laid out, not yet connected to anything."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumWidth(WIDTH)
        self.scan = ScanPanel()
        self.recipe = RecipeBar()
        self.thumbnails = Thumbnails()
        self.sample = SamplePanel()
        self.figures = FiguresPanel()
        self.model = ModelPanel()
        self.curve = CurvePlot()
        self.cards = RecipeCards()
        self.trouble = QLabel()
        self.trouble.setWordWrap(True)
        self.trouble.setAccessibleName("problem")
        self.trouble.hide()
        self.sheet = QPushButton("Contact sheet…")
        self.sheet.setToolTip("The twelve combinations, or random samples, of this place side by side (C).")
        self.measure = QPushButton("Statistics")
        self.measure.setCheckable(True)
        self.measure.setToolTip("How much many samples change, and how fast this machine makes them (T).")
        self.statistics = StatisticsSection()
        self.statistics.hide()
        self.measure.toggled.connect(self.statistics.setVisible)
        self.update_now = QPushButton("Update")
        self.update_now.setToolTip("Live updates are off in the preferences: compute what is shown now.")
        self.update_now.hide()
        self._arrange()

    def show_trouble(self, text: str) -> None:
        """Show a problem in words; an empty one takes it away."""
        self.trouble.setText(text)
        self.trouble.setVisible(bool(text))

    def _arrange(self) -> None:
        scrolled = QWidget()
        inner = QVBoxLayout(scrolled)
        inner.setContentsMargins(0, 0, 6, 0)
        inner.setSpacing(6)
        for widget in (self.statistics, self.figures, self.model, self.curve, self.cards):
            inner.addWidget(widget)
        inner.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(scrolled)
        actions = QHBoxLayout()
        for button in (self.sheet, self.measure, self.update_now):
            actions.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        for row in (self.scan, self.recipe, self.thumbnails, self.sample, self.trouble):
            layout.addWidget(row)
        layout.addWidget(area, 1)
        layout.addLayout(actions)
