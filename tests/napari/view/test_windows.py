"""Windows by name, and what is offered for which image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Image

from genesis_core.volumes.volume import Geometry
from napari_genesis.contrast import CT_REACH, CT_WINDOW, REACH_KEY, first_contrast
from napari_genesis.layers import ORIGIN_KEY, LayerOrigin
from napari_genesis.view.windows import CT_WINDOWS, PERCENTILES, Window, percentile_window, windows_for

SHAPE = (6, 7, 8)


def image(modality: Any = None, *, ours: bool = True, **metadata: Any) -> Image:
    values = np.random.default_rng(0).gamma(2.0, 200.0, SHAPE).astype(np.float32)
    if ours:
        metadata[ORIGIN_KEY] = LayerOrigin(Geometry(SHAPE, (1.0, 1.0, 1.0)), modality=modality)
    return Image(values, metadata=metadata)


def test_level_and_width_are_what_radiologists_mean() -> None:
    assert CT_WINDOWS["Lung"].limits == (-1350, 150)
    assert CT_WINDOWS["Soft tissue"].limits == CT_WINDOW
    assert Window.between((0, 80)) == CT_WINDOWS["Brain"]


@given(
    st.floats(-2000, 2000),
    st.floats(0.01, 4000),
    st.floats(-3000, 3000),
    st.floats(-3000, 3000),
    st.floats(0.001, 10),
)
def test_dragging_never_turns_a_window_inside_out(
    level: float, width: float, right: float, up: float, step: float
) -> None:
    low, high = Window(level, width).dragged(right, up, step).limits
    assert low < high


def test_dragging_right_widens_and_up_raises_the_level() -> None:
    assert Window(40, 400).dragged(10, 0, 2) == Window(40, 420)
    assert Window(40, 400).dragged(0, 10, 2) == Window(60, 400)
    assert Window(40, 400).dragged(-10_000, 0, 2) == Window(40, 2)


def test_a_ct_is_offered_windows_in_hounsfield_units() -> None:
    assert list(windows_for(image("ct"))) == list(CT_WINDOWS)
    # A file that does not say what it is was first shown as what it looks like.
    assert list(windows_for(image(None, **{REACH_KEY: CT_REACH}))) == list(CT_WINDOWS)


def test_an_mr_is_offered_the_window_it_was_first_shown_in() -> None:
    for layer in (image("mr"), image(None, **{REACH_KEY: (0.0, 900.0)})):
        [(name, window)] = windows_for(layer).items()
        assert name == PERCENTILES
        assert window.limits == pytest.approx(first_contrast(layer.data, "mr")[0])


def test_other_images_are_offered_everything() -> None:
    assert list(windows_for(image(ours=False))) == [*CT_WINDOWS, PERCENTILES]


def test_percentiles_are_of_finite_values_only() -> None:
    layer = image("mr")
    layer.data[0, 0] = np.nan
    layer.data[1, 1] = np.inf
    found = percentile_window(layer)
    assert found is not None
    assert np.isfinite(found.limits).all()
    assert percentile_window(Image(np.full(SHAPE, np.nan), contrast_limits=(0, 1))) is None


def test_percentiles_of_a_large_scan_come_from_a_sample_close_to_the_whole() -> None:
    values = np.random.default_rng(1).gamma(2.0, 200.0, (160, 180, 190)).astype(np.float32)
    layer = Image(values)
    found = percentile_window(layer)
    assert found is not None
    low, high = first_contrast(values, "mr")[0]
    assert found.is_near(Window.between((low, high)))


def test_a_constant_image_has_a_window_too() -> None:
    found = percentile_window(Image(np.full(SHAPE, 5.0), contrast_limits=(0, 10)))
    assert found is not None
    assert found.width > 0


def test_a_mask_has_a_window_too() -> None:
    mask = np.zeros(SHAPE, np.bool_)
    assert first_contrast(mask, "mr") == ((0.0, 1.0), (0.0, 1.0))
    mask[2:] = True
    assert first_contrast(mask, "mr") == ((0.0, 1.0), (0.0, 1.0))
