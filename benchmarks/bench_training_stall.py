"""How long napari's window is at nobody's service while a network trains on all cores, in the background and in it.

    xvfb-run -a -s "-screen 0 1280x800x24 +extension GLX" python benchmarks/bench_training_stall.py

A timer of 5 ms beats in a real window while its slices are scrolled, once every 100 ms; a stall is the time between two
beats. Measured: at rest; while a job trains in a process of its own, watched by the Pretrain dock, its curves and its
restorations on show; and, beside it, while the same network is trained in a thread of napari, as most plugins do: the
same steps on sub-volumes of the same size, without the job's validations, pictures and checkpoints, which favours it.
Both are measured once two steps are done; how long the first import of torch holds the window up is bench_importing's.
Beside the worst stands what is left of it without Python's own collections of garbage. Frames are drawn by the
processor here, which takes its part of every stall.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

SECONDS = 30.0
SCANS = 3
WIDTH = 16
# The settings of every training here; what they leave open (precision, layout, threads) is the job's default.
TRAINING = {"batch_size": 2, "max_steps": 100_000}
# Steps before anything is measured: the first ones load kernels and choose algorithms.
UNTIMED = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--only", choices=list(CASES), help="measure one case in this process, and print it as JSON")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measured(arguments)))
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f} (5 min); 32x64x64, batch 2, width {arguments.width}")
    print(f"{'':28}{'median':>9}{'99 %':>9}{'worst':>9}{'no garbage':>11}   ms")
    for case in CASES:
        words = [sys.executable, __file__, "--only", case, "--seconds", arguments.seconds, "--width", arguments.width]
        # A window of its own for each: what one case loads must not hold up the next.
        done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            print(f"{case:28}   ended with exit code {done.returncode}")
            continue
        found, without, note = json.loads(done.stdout.splitlines()[-1])
        ordered = sorted(found)
        high = ordered[int(0.99 * (len(ordered) - 1))]
        print(f"{case:28}{statistics.median(found):9.1f}{high:9.1f}{ordered[-1]:9.1f}{without:11.1f}   {note}")


def measured(arguments: argparse.Namespace) -> tuple[list[float], float, str]:
    """Open a window with a scan and measure one case in it."""
    import napari
    from napari.layers import Layer

    from genesis_core.phantom.thorax import make_phantom
    from napari_genesis.layers import shown

    os.environ.pop("OMP_NUM_THREADS", None)
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1280, 800)
    data, meta = shown(make_phantom(0).volume)
    viewer.add_layer(Layer.create(data, {**meta, "name": "thorax", "contrast_limits": (-1000, 400)}, "image"))
    # The first pictures are of a window that is still being made.
    stalls(viewer, 2.0)
    collecting = Collecting()
    beats, note = CASES[arguments.only](viewer, arguments)
    found = [1000 * (b - a) for a, b in itertools.pairwise(beats)]
    without = [1000 * (b - a - collecting.between(a, b)) for a, b in itertools.pairwise(beats)]
    result = found, max(without), note
    viewer.close()
    return result


class Collecting:
    """Times Python's own collections of garbage, which hold up every thread: they are part of what napari costs."""

    def __init__(self) -> None:
        self._times: list[tuple[float, float]] = []
        self._began = 0.0
        gc.callbacks.append(self._note)

    def _note(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._times.append((self._began, time.perf_counter()))

    def between(self, begin: float, end: float) -> float:
        """Return for how long, of the time between two moments, garbage was collected."""
        return sum(max(0.0, min(b, end) - max(a, begin)) for a, b in self._times)


def stalls(viewer: Any, seconds: float) -> list[float]:
    """Scroll through the slices and return the moments of the beats, in seconds."""
    from qtpy.QtCore import QEventLoop, QTimer
    from qtpy.QtWidgets import QApplication

    beats: list[float] = []
    beat = QTimer()
    beat.setInterval(5)
    beat.timeout.connect(lambda: beats.append(time.perf_counter()))
    count = itertools.count()

    def scroll() -> None:
        axis = viewer.dims.ndim - 3
        viewer.dims.set_current_step(axis, 20 + next(count) % 60)

    mover = QTimer()
    mover.setInterval(100)
    mover.timeout.connect(scroll)
    for timer in (beat, mover):
        timer.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    for timer in (beat, mover):
        timer.stop()
    return beats


def at_rest(viewer: Any, arguments: argparse.Namespace) -> tuple[list[float], str]:
    """Measure with nothing beside it."""
    return stalls(viewer, arguments.seconds), ""


def in_process(viewer: Any, arguments: argparse.Namespace) -> tuple[list[float], str]:
    """Measure beside a job of the Pretrain dock, from its first steps on."""
    from qtpy.QtWidgets import QApplication

    from genesis_core.phantom.thorax import make_phantom
    from genesis_core.settings import validate
    from genesis_core.training.pretrain_settings import PretrainSettings
    from genesis_core.volumes.writing import write_volume
    from napari_genesis.jobs.preparing import prepare_run
    from napari_genesis.training.pretrain_dock import PretrainDock

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("scans", "runs"):
            (place / name).mkdir()
        for seed in range(SCANS):
            write_volume(make_phantom(seed, shape=(64, 112, 112)).volume, place / "scans" / f"{seed}.nii.gz")
        dock = PretrainDock(viewer, place / "pretrain.yaml", place / "studio.yaml")
        viewer.window.add_dock_widget(dock, name="Pretrain", area="right")
        values = {
            "data": {"scans": place / "scans", "cache": place / "cache"},
            "network": {"width": arguments.width},
            "training": {**TRAINING, "validate_every": 5, "checkpoint_every": 10},
            "validation_samples": 4,
            "out": place / "runs" / "one",
        }
        job = dock.jobs.add(prepare_run(validate(PretrainSettings, values)), "auto")
        dock.show_run(job.run.path)
        while job.view.step < UNTIMED:
            QApplication.processEvents()
            time.sleep(0.01)
            assert job.is_alive, job.view
        first, began = job.view.step, time.monotonic()
        found = stalls(viewer, arguments.seconds)
        pace = (job.view.step - first) / (time.monotonic() - began)
        layers = len(viewer.layers) - 1
        job.stop_now()
        while job.is_alive:
            QApplication.processEvents()
    return found, f"{pace:.2f} steps/s, {len(job.view.validations)} validations, {layers} layers of restorations"


def in_thread(viewer: Any, arguments: argparse.Namespace) -> tuple[list[float], str]:
    """Measure beside a thread of napari that corrupts sub-volumes and does the job's steps on them."""
    import numpy as np
    import torch
    from bench_gpu import NoiseTask
    from qtpy.QtWidgets import QApplication

    from genesis_core.corruptions.recipe import Recipe
    from genesis_core.networks import UNet3DSettings, create_network
    from genesis_core.task import Batch
    from genesis_core.training.settings import TrainingSettings
    from genesis_core.training.stepping import Stepper

    network = create_network(UNet3DSettings(width=arguments.width, norm="batch"), seed=0)
    stepper = Stepper(NoiseTask(), network, TrainingSettings(**TRAINING), torch.device("cpu"))
    recipe, clean = Recipe.genesis(), np.random.default_rng(0).random((2, 1, 32, 64, 64), np.float32)
    stop, done = threading.Event(), 0

    def train() -> None:
        nonlocal done
        while not stop.is_set():
            bad = torch.from_numpy(recipe(clean, seed=[2 * done, 2 * done + 1]))
            stepper.step([Batch(bad, torch.from_numpy(clean), ("noise",) * 2)], done, TRAINING["max_steps"])
            done += 1

    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    while done < UNTIMED:
        QApplication.processEvents()
        time.sleep(0.01)
        assert thread.is_alive()
    first, began = done, time.monotonic()
    found = stalls(viewer, arguments.seconds)
    pace = (done - first) / (time.monotonic() - began)
    stop.set()
    thread.join()
    return found, f"{pace:.2f} steps/s"


CASES = {
    "at rest": at_rest,
    "job in a process of its own": in_process,
    "thread of napari": in_thread,
}


if __name__ == "__main__":
    main()
