"""The dock in its real states, as pictures to look at, with a trained model: idle, options, segmented, a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apply_driving import picture, rest, run
from napari.layers import Layer

import genesis_core as gc
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels
from napari_genesis.apply.apply_dock import ApplyDock
from napari_genesis.layers import shown as layer_of

pytestmark = [pytest.mark.gui, pytest.mark.slow]
SHAPE = (48, 56, 56)
STRUCTURES = (
    Structure("lung_right", 1, (86, 180, 233)),
    Structure("lung_left", 2, (0, 114, 178)),
    Structure("heart", 3, (213, 94, 0)),
    Structure("liver", 4, (230, 159, 0)),
)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a run that segments four organs of the synthetic thorax."""
    workspace = tmp_path_factory.mktemp("napari-genesis")
    labelled = workspace / "labelled"
    for part in ("images", "labels"):
        (labelled / part).mkdir(parents=True)
    for seed in range(20, 28):
        phantom = make_phantom(seed, shape=SHAPE)
        array = np.zeros(SHAPE, np.uint8)
        for structure in STRUCTURES:
            array[phantom.labels.array == LABELS[structure.name]] = structure.value
        gc.write_volume(phantom.volume, labelled / "images" / f"thorax_{seed}.nii.gz")
        labels = LabelVolume((array,), phantom.labels.geometry, STRUCTURES)
        write_labels(labels, labelled / "labels" / f"thorax_{seed}.nii.gz")
    few = {"training": {"batch_size": 2, "threads": 1}}
    gc.finetune(labelled, workspace / "runs" / "organs", settings=few, max_steps=400, width=8, folds=1)
    return workspace


@pytest.fixture
def models(trained: Path) -> Path:
    return trained


@pytest.fixture
def viewer(viewer_in_a_window: Any) -> Any:
    return viewer_in_a_window


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_state_has_its_picture(
    viewer: Any, open_dock: Callable[..., ApplyDock], qtbot: Any, tmp_path_factory: pytest.TempPathFactory, theme: str
) -> None:
    viewer.theme = theme
    volume = make_phantom(11, shape=SHAPE).volume
    array, meta = layer_of(volume)
    viewer.add_layer(
        Layer.create(array, {**meta, "name": "synthetic thorax", "contrast_limits": (-1000, 400)}, "image")
    )
    dock = open_dock("organs")
    viewer.reset_view()
    picture(viewer, f"apply_idle_{theme}")
    dock.parts.options_section.fold.click()
    qtbot.wait(100)
    picture(viewer, f"apply_options_{theme}")
    dock.parts.options_section.fold.click()
    run(qtbot, dock)
    picture(viewer, f"apply_segmented_{theme}")
    scans = tmp_path_factory.mktemp("study") / "scans"
    scans.mkdir()
    for seed in (31, 32, 33):
        gc.write_volume(make_phantom(seed, shape=SHAPE).volume, scans / f"thorax_{seed}.nii.gz")
    (scans / "broken.nii.gz").write_bytes(b"no scan")
    dock.parts.target.use_folder.click()
    dock.parts.target.scans.setText(str(scans))
    rest(qtbot, dock)
    run(qtbot, dock)
    picture(viewer, f"apply_folder_{theme}")
    assert "3 of 4 scans segmented" in dock.parts.outcome.text()
