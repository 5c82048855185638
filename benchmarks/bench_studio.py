"""How long after a slider moved the voxels in the canvas are the new ones, in a real napari window.

    xvfb-run -a -s "-screen 0 1920x1080x24 +extension GLX" python benchmarks/bench_studio.py

The clock starts when a card's slider is moved and stops when the preview layer holds the new voxels and has been told
to redraw; drawing itself (OpenGL, here by the processor) is timed beside it. A timer of 5 ms measures how long the
window was at nobody's service meanwhile. The scan of 512x512x300 voxels is the phantom with its voxels repeated.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

MOVES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=MOVES)
    moves = parser.parse_args().moves
    import napari
    from napari.layers import Layer
    from qtpy.QtWidgets import QApplication

    from genesis_core.corruptions import warm
    from genesis_core.phantom.thorax import make_phantom
    from genesis_core.volumes.volume import Volume
    from napari_genesis.layers import shown
    from napari_genesis.studio.studio import Studio

    warm()
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1280, 800)
    phantom = make_phantom(0).volume
    large = np.kron(phantom.array, np.ones((3, 4, 4), np.int16))[:300, :512, :512]
    spacing = (phantom.spacing[0] / 4, phantom.spacing[1] / 4, phantom.spacing[2] / 3)
    data, meta = shown(Volume.from_array(np.ascontiguousarray(large), spacing))
    viewer.add_layer(Layer.create(data, {**meta, "name": "512x512x300", "contrast_limits": (-1000, 400)}, "image"))
    viewer.dims.set_current_step(0, 150)
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(viewer, Path(folder) / "studio.yaml")
        viewer.window.add_dock_widget(studio, name="Corruption Studio", area="right")
        settle(studio)
        rows = []
        for name, size in (("box 32x64x64", (32, 64, 64)), ("box 96^3", (96, 96, 96)), ("box 160^3", (160, 160, 160))):
            studio.session.choose_size(size)
            settle(studio)
            rows.append((name, *moved(studio, viewer, moves)))
        studio.session.choose_size((32, 64, 64))
        studio.parts.sample.slab.click()
        settle(studio)
        rows.append(("slab 32x512x512", *moved(studio, viewer, max(moves // 4, 5))))
        studio.parts.sample.slab.click()
        settle(studio)
        print("| | slider to voxels, median | worst | drawing, median | longest stall of the window |")
        print("|---|---|---|---|---|")
        for name, times, draws, stall in rows:
            print(
                f"| {name} | {1e3 * statistics.median(times):.1f} ms | {1e3 * max(times):.1f} ms | "
                f"{1e3 * statistics.median(draws):.1f} ms | {1e3 * stall:.0f} ms |"
            )
        for label, follow in (("following box", True), ("box that stays", False)):
            studio.parts.sample.follow.setChecked(follow)
            steps = scrolled(viewer, moves)
            print(
                f"scrolling 512x512x300 with the Studio open, {label}: median {1e3 * statistics.median(steps):.1f} ms, "
                f"worst {1e3 * max(steps):.1f} ms a slice, drawing included"
            )
        studio.hide()
        steps = scrolled(viewer, moves)
        print(f"scrolling without it: median {1e3 * statistics.median(steps):.1f} ms, worst {1e3 * max(steps):.1f} ms")
        viewer.window.remove_dock_widget(studio)
        QApplication.processEvents()
    viewer.close()


def settle(studio: Any) -> None:
    from qtpy.QtWidgets import QApplication

    until = time.perf_counter() + 60
    while time.perf_counter() < until:
        QApplication.processEvents()
        if not studio.session.busy:
            break
        time.sleep(0.002)
    QApplication.processEvents()


def moved(studio: Any, viewer: Any, moves: int) -> tuple[list[float], list[float], float]:
    """Move the first card's slider; return seconds to the voxels, seconds of drawing, the longest stall."""
    from qtpy.QtCore import QEventLoop, QTimer
    from qtpy.QtWidgets import QApplication

    slider = studio.parts.cards.cards[0].form.controls["windows"].editor.slider
    shown: list[float] = []
    studio.session.frame_ready.connect(lambda frame: shown.append(time.perf_counter()))
    beats: list[float] = []
    timer = QTimer()
    timer.setInterval(5)
    timer.timeout.connect(lambda: beats.append(time.perf_counter()))
    timer.start()
    times, draws, stall = [], [], 0.0
    low, high = slider.minimum(), slider.maximum()
    for n in range(moves):
        shown.clear()
        beats.clear()
        beats.append(time.perf_counter())
        start = time.perf_counter()
        slider.setSliderDown(True)
        slider.setValue(low + (high - low) * (n % 17 + 1) // 20)
        while not shown:
            # Without waiting for the screen: events that are there, then the next ones.
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        times.append(shown[0] - start)
        begin = time.perf_counter()
        viewer.window._qt_viewer.canvas._scene_canvas.update()
        QApplication.processEvents()
        draws.append(time.perf_counter() - begin)
        beats.append(time.perf_counter())
        stall = max(stall, max(b - a for a, b in itertools.pairwise(beats)))
    slider.setSliderDown(False)
    timer.stop()
    settle(studio)
    return times, draws, stall


def scrolled(viewer: Any, moves: int) -> list[float]:
    from qtpy.QtWidgets import QApplication

    times = []
    for n in range(moves):
        start = time.perf_counter()
        viewer.dims.set_current_step(0, 60 + n % 180)
        QApplication.processEvents()
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
