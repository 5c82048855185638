"""The histogram of changed voxels: what it counts and marks while it fills, its words, and the colours of the theme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyqtgraph as pg
import pytest
from napari.qt import get_stylesheet
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QPalette, QWheelEvent
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from genesis_core.corruptions.statistics import DrawStatistics, Throughput
from napari_genesis.studio.statistics_plot import StatisticsPlot, speed_in_words

pytestmark = pytest.mark.gui


def draw(changed: float) -> DrawStatistics:
    return DrawStatistics(0, (), changed, 0.0, 0.1, 0.05)


@pytest.fixture
def plot(qtbot: Any) -> StatisticsPlot:
    made = StatisticsPlot()
    qtbot.addWidget(made)
    made.setFixedWidth(340)
    made.show()
    return made


def heights(plot: StatisticsPlot) -> list[int]:
    return [int(height) for height in plot.bars.opts["height"]]


def test_every_draw_is_counted_in_its_bar_while_they_arrive(qtbot: Any, plot: StatisticsPlot) -> None:
    plot.start(40)
    values = [0.0, 0.049, 0.05, 0.5, 0.999, 1.0]
    for value in values:
        plot.add(draw(value))
    qtbot.waitUntil(lambda: sum(heights(plot)) == 6)
    expected = [0] * 20
    for bar, count in ((0, 2), (1, 1), (10, 1), (19, 2)):
        expected[bar] = count
    assert heights(plot) == expected
    assert "6 of 40 draws" in plot.caption.text()
    for _ in range(34):
        plot.add(draw(0.5))
    qtbot.waitUntil(lambda: sum(heights(plot)) == 40)
    assert "of" not in plot.caption.text()
    assert "40 draws" in plot.caption.text()


def test_median_and_current_draw_are_marked_where_they_are(qtbot: Any, plot: StatisticsPlot) -> None:
    assert not plot.median_line.isVisible()
    assert not plot.current_line.isVisible()
    plot.start(3)
    for value in (0.9, 0.2, 0.4):
        plot.add(draw(value))
    plot.show_current(0.75)
    qtbot.waitUntil(plot.median_line.isVisible)
    assert plot.median_line.value() == pytest.approx(40)
    assert plot.current_line.value() == pytest.approx(75)
    assert "median 40%" in plot.caption.text()
    assert "this draw 75%" in plot.caption.text()
    plot.show_current(None)
    qtbot.waitUntil(lambda: not plot.current_line.isVisible())
    assert "this draw" not in plot.caption.text()


def test_starting_again_empties_it(qtbot: Any, plot: StatisticsPlot) -> None:
    plot.start(1)
    plot.add(draw(0.3))
    qtbot.waitUntil(lambda: sum(heights(plot)) == 1)
    assert "1 draw" in plot.caption.text()
    plot.start(5)
    qtbot.waitUntil(lambda: sum(heights(plot)) == 0)
    assert "0 of 5 draws" in plot.caption.text()
    assert not plot.median_line.isVisible()


def test_many_draws_make_few_pictures(qtbot: Any, plot: StatisticsPlot, monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[Any] = []
    original: Callable[..., None] = plot.bars.setOpts
    monkeypatch.setattr(plot.bars, "setOpts", lambda **options: (painted.append(options), original(**options)))
    plot.start(2000)
    for value in np.linspace(0, 1, 2000):
        plot.add(draw(float(value)))
    qtbot.waitUntil(lambda: sum(heights(plot)) == 2000)
    assert len(painted) < 5


@pytest.mark.parametrize(
    ("speed", "words"),
    [
        (
            Throughput(1352.3, 2418.9, 2),
            "This machine: 1,350 sub-volumes a second on one core, 2,420 on 2",
        ),
        (Throughput(99.7, 99.7, 1), "This machine: 100 sub-volumes a second on one core"),
        (Throughput(0.4567, 1.234, 4), "This machine: 0.46 sub-volumes a second on one core, 1.2 on 4"),
    ],
)
def test_the_speed_is_said_with_as_many_digits_as_repeat(plot: StatisticsPlot, speed: Throughput, words: str) -> None:
    assert speed_in_words(speed) == words
    assert not plot.speed.isVisible()
    plot.show_speed(speed)
    assert plot.speed.isVisible()
    assert plot.speed.text() == words
    plot.show_speed(None)
    assert not plot.speed.isVisible()


def colours(plot: StatisticsPlot) -> list[QColor]:
    return [
        plot.plot.getAxis("bottom").textPen().color(),
        plot.plot.getAxis("left").textPen().color(),
        plot.median_line.pen.color(),
        plot.current_line.pen.color(),
    ]


def test_its_colours_follow_the_theme_while_it_is_shown(qtbot: Any) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    plot = StatisticsPlot()
    QVBoxLayout(window).addWidget(plot)
    window.setStyleSheet(get_stylesheet("dark"))
    window.show()
    plot.start(1)
    plot.add(draw(0.3))
    qtbot.waitUntil(lambda: sum(heights(plot)) == 1)
    seen = []
    for theme in ("dark", "light", "dark"):
        window.setStyleSheet(get_stylesheet(theme))
        qtbot.waitUntil(lambda: colours(plot)[0] == plot.palette().color(QPalette.ColorRole.WindowText))
        assert len({colour.name() for colour in colours(plot)}) == 1
        QApplication.processEvents()
        image = plot.grab().toImage()
        # A corner of the plot, where nothing is drawn, has the window's colour and not one of pyqtgraph's.
        ground = image.pixelColor(image.width() - 4, image.height() // 2)
        seen.append((colours(plot)[0].lightness(), ground.lightness()))
    for (text, ground), dark in zip(seen, (True, False, True), strict=True):
        assert (text > 200 and ground < 60) if dark else (text < 60 and ground > 200)


def test_what_others_set_in_pyqtgraph_neither_shows_nor_changes(qtbot: Any) -> None:
    before = {name: pg.getConfigOption(name) for name in ("background", "foreground", "antialias")}
    pg.setConfigOptions(background="#ff0000", foreground="#00ff00")
    try:
        plot = StatisticsPlot()
        qtbot.addWidget(plot)
        plot.start(1)
        plot.add(draw(0.3))
        plot.show()
        qtbot.waitUntil(lambda: sum(heights(plot)) == 1)
        image = plot.grab().toImage()
        found = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
        assert not {"#ff0000", "#00ff00"} & found
        assert (pg.getConfigOption("background"), pg.getConfigOption("foreground")) == ("#ff0000", "#00ff00")
    finally:
        pg.setConfigOptions(**before)


def test_the_wheel_over_the_plot_is_left_to_the_dock(plot: StatisticsPlot) -> None:
    axis = plot.plot.getAxis("bottom").range
    event = QWheelEvent(
        QPointF(100, 50),
        QPointF(100, 50),
        QPoint(0, 120),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    event.accept()
    QApplication.sendEvent(plot.plot.viewport(), event)
    assert not event.isAccepted()
    assert plot.plot.getAxis("bottom").range == axis


def test_it_fits_a_dock_of_340_pixels(qtbot: Any, plot: StatisticsPlot) -> None:
    plot.start(200)
    for value in np.linspace(0, 1, 150):
        plot.add(draw(float(value)))
    plot.show_current(1.0)
    plot.show_speed(Throughput(12345, 123456, 64))
    qtbot.waitUntil(lambda: "this draw 100%" in plot.caption.text())
    assert plot.caption.sizeHint().width() <= 340
    assert plot.minimumSizeHint().width() <= 340
    assert 100 <= plot.plot.height() <= 120
