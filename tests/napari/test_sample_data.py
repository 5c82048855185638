"""The plugin in a real viewer: its manifest is found, and its sample data arrives where it belongs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.mark.gui
def test_the_synthetic_thorax_opens_in_millimetres_with_its_labels(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    image, labels = viewer.open_sample("napari-genesis", "thorax_phantom")
    assert type(image).__name__ == "Image"
    assert type(labels).__name__ == "Labels"
    assert "synthetic" in image.name
    assert image.data.shape == labels.data.shape
    assert all(str(unit) in ("mm", "millimeter") for unit in image.units)
    assert image.axis_labels == ("z", "y", "x")
    np.testing.assert_array_equal(image.scale, (2.5, 2.2, 2.2))
    np.testing.assert_array_equal(image.scale, labels.scale)
    np.testing.assert_array_equal(image.translate, labels.translate)
    structures = dict(zip(labels.features["index"], labels.features["structure"], strict=True))
    assert structures[12] == "heart"
    assert labels.colormap.color_dict[12][3] == 1
    assert labels.colormap.color_dict[0][3] == 0
    assert image.data.min() < -900
    assert image.data.max() > 300
