"""Pictures of the Studio, to be looked at: synthetic and real scans, dark and light, small and large windows.

The real scans are shown under their terms: chest CT LIDC-IDRI-0314 (CC BY 3.0, TCIA LIDC-IDRI), head MR FLAIR of the
University of Ljubljana's multiple sclerosis set (CC BY).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studio_driving import picture, rest

from napari_genesis.studio.studio import Studio

pytestmark = pytest.mark.gui
LARGE = (1920, 1080)


@pytest.fixture
def viewer(viewer_in_a_window: Any) -> Any:
    return viewer_in_a_window


def test_the_synthetic_thorax(open_studio: Callable[[], Studio], viewer: Any, qtbot: Any) -> None:
    viewer.open_sample("napari-genesis", "thorax_phantom")
    viewer.layers[1].visible = False
    viewer.layers.selection.active = viewer.layers[0]
    studio = open_studio()
    studio.parts.sample.seed.setValue(3)
    rest(qtbot, studio)
    picture(viewer, "studio_synthetic")
    assert "outer cut-out" in studio.parts.figures.words.text().lower()
    studio.parts.sample.swipe.setValue(50)
    rest(qtbot, studio)
    picture(viewer, "studio_swipe")


@pytest.mark.parametrize(
    ("name", "shown_as", "theme", "size", "plane"),
    [
        ("ct/chest_lidc0314_2mm.nii.gz", "studio_ct_dark", "dark", LARGE, (0, 1, 2)),
        ("ct/chest_lidc0314_2mm.nii.gz", "studio_ct_coronal_light", "light", (1280, 800), (1, 0, 2)),
        ("mri/ms_long_patient01_study1_FLAIR.nii.gz", "studio_mr_light", "light", LARGE, (0, 1, 2)),
        ("mri/ms_long_patient01_study1_FLAIR.nii.gz", "studio_mr_dark", "dark", (1280, 800), (0, 1, 2)),
    ],
)
def test_real_scans(
    name: str,
    shown_as: str,
    theme: str,
    size: tuple[int, int],
    plane: tuple[int, int, int],
    open_studio: Callable[[], Studio],
    viewer: Any,
    qtbot: Any,
    real_data: Path,
) -> None:
    viewer.theme = theme
    viewer.window._qt_window.resize(*size)
    [layer] = viewer.open(real_data / name, plugin="napari-genesis")
    viewer.dims.order = plane
    studio = open_studio()
    studio.parts.sample.seed.setValue(6)
    studio.parts.sample.slab.setChecked(shown_as == "studio_mr_light")
    rest(qtbot, studio)
    if shown_as == "studio_ct_coronal_light":
        studio.session.choose_look(replace(studio.session.look, view="difference"))
        rest(qtbot, studio)
    picture(viewer, shown_as)
    preview = viewer.layers["Genesis preview"]
    assert preview.units == layer.units
    corner = layer.data_to_world(studio.session.frame.preview.place.start)  # type: ignore[union-attr]
    assert np.allclose(preview.data_to_world((0, 0, 0)), corner)
