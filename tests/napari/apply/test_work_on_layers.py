"""The work itself, without a window: what is computed beside the core's result, progress, and stopping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apply_driving import core_segments
from napari.layers import Image

from genesis_core.errors import ModelError, VolumeError
from genesis_core.inference.sliding_window import Stopped
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.volume import Geometry
from napari_genesis.apply.layer_work import (
    Input,
    LayerRequest,
    above,
    centres,
    checksum,
    restore_layer,
    segment_layer,
    threshold_labels,
)
from napari_genesis.apply.progress import Reporting
from napari_genesis.layers import shown, volume_from_layer


@pytest.fixture(scope="module")
def layer() -> Image:
    array, meta = shown(make_phantom(1, shape=(24, 48, 48)).volume)
    return Image(array, **meta, name="thorax")


def request(model: Path, layer: Image, **options: Any) -> LayerRequest:
    data, state, _ = layer.as_layer_data_tuple()
    return LayerRequest(model, (Input(data, state),), {"device": "cpu", **options})


def test_options_reach_the_core(models: Path, layer: Image) -> None:
    options = {"overlap": 0.25, "flips": ("x", "z"), "largest_component": ("all",), "uncertainty": True}
    found = segment_layer(request(models / "models" / "segmenter", layer, **options), Reporting())
    volume = volume_from_layer(layer)
    expected = core_segments(models / "models" / "segmenter", volume, **options)
    assert np.array_equal(found.segmentation.labels.layers[0], expected.labels.layers[0])
    assert found.segmentation.uncertainty is not None
    assert expected.uncertainty is not None
    assert np.array_equal(found.segmentation.uncertainty.array, expected.uncertainty.array)
    assert found.segmentation.predictions == 4
    assert found.checksums == (checksum(expected.labels.layers[0]),)


def test_it_stops_at_the_next_window(models: Path, layer: Image) -> None:
    class StopAtThree(Reporting):
        done = 0

        def windows(self, done: int, total: int) -> None:
            super().windows(done, total)
            self.done = done
            if done == 3:
                self.ask_to_stop()

    for work, model in (
        (segment_layer, models / "models" / "segmenter"),
        (restore_layer, models / "runs" / "restorer"),
    ):
        report = StopAtThree()
        with pytest.raises(Stopped):
            work(request(model, layer), report)
        assert report.done == 3
        assert report.latest.words.startswith(f"{report.latest.phase}, window 3 of 8")


def test_a_stop_before_the_first_window_or_after_the_last_one_counts(models: Path, layer: Image) -> None:
    report = Reporting()
    report.ask_to_stop()
    with pytest.raises(Stopped):
        restore_layer(request(models / "runs" / "restorer", layer), report)
    late = Reporting()
    late.also_stops_when(lambda: late.latest.phase == "finishing")
    with pytest.raises(Stopped):
        segment_layer(request(models / "models" / "segmenter", layer), late)


def test_a_model_of_the_other_task_is_refused_in_words(models: Path, layer: Image) -> None:
    with pytest.raises(ModelError, match="trained for segmentation, not for restoration"):
        restore_layer(request(models / "models" / "segmenter", layer), Reporting())
    with pytest.raises(ModelError, match="trained for restoration, not for segmentation"):
        segment_layer(request(models / "runs" / "restorer", layer), Reporting())


def test_another_number_of_channels_is_refused_in_words(models: Path, layer: Image) -> None:
    data, state, _ = layer.as_layer_data_tuple()
    two = (Input(data, state), Input(data, state))
    with pytest.raises(VolumeError, match=r"looks at 1 channel\(s\), and 2 were given"):
        segment_layer(LayerRequest(models / "models" / "segmenter", two, {}), Reporting())
    with pytest.raises(VolumeError, match="2 channels were given"):
        restore_layer(LayerRequest(models / "runs" / "restorer", two, {}), Reporting())


def test_what_is_not_finite_counts_as_the_least_value_and_the_layer_stays(models: Path, layer: Image) -> None:
    array = np.asarray(layer.data, np.float32).copy()
    array[3, 4, 5:7] = np.nan, np.inf
    _, state, _ = layer.as_layer_data_tuple()
    restorer = models / "runs" / "restorer"
    found = restore_layer(LayerRequest(restorer, (Input(array, state),), {"device": "cpu"}), Reporting())
    assert np.isfinite(found.restoration.residual.array).all()
    assert any(note.startswith("2 voxels are not finite") for note in found.restoration.notes)
    assert np.isnan(array[3, 4, 5])
    nothing = Input(np.full_like(array, np.nan), state)
    with pytest.raises(VolumeError, match="no finite number"):
        restore_layer(LayerRequest(restorer, (nothing,), {}), Reporting())


def test_the_middle_of_a_structure_lies_in_slices_that_show_it() -> None:
    first, second = np.zeros((9, 10, 11), "u1"), np.zeros((9, 10, 11), "u1")
    first[2:7, 3, 4:9] = 1
    # Two pieces: a mean would fall between them.
    second[0, 0, 0] = second[8, 9, 8:11] = 1
    structures = (Structure("plate", 1), Structure("pieces", 1, layer=1), Structure("missing", 7, layer=1))
    found = centres(LabelVolume((first, second), Geometry((9, 10, 11)), structures))
    assert found == {"plate": (0, (4, 3, 6)), "pieces": (1, (8, 9, 8))}


def test_voxels_above_a_threshold_are_counted_and_drawn_by_their_sign() -> None:
    residual = np.array([[[-5.0, -2.0, 0.0]], [[2.0, 2.5, 9.0]]], np.float32)
    assert above(residual, 2.0) == (2, 1)
    assert threshold_labels(residual, 2.0).tolist() == [[[2, 0, 0]], [[0, 1, 1]]]


def test_colours_are_symmetric_and_the_first_threshold_leaves_about_a_hundredth(models: Path, layer: Image) -> None:
    found = restore_layer(request(models / "runs" / "restorer", layer), Reporting())
    residual = found.restoration.residual.array
    share = sum(above(residual, found.threshold)) / residual.size
    assert 0.002 < share < 0.02
    assert 0 < found.threshold <= found.limit <= found.highest
    assert found.highest == np.abs(residual).max()
    assert found.unit == "HU"


def test_the_time_left_follows_from_the_windows_done() -> None:
    now = [0.0]
    report = Reporting(lambda: now[0])
    report.begin("segmenting")
    assert report.latest.words == "segmenting"
    now[0] = 10.0
    report.windows(2, 8)
    assert report.latest.seconds_left == 30.0
    assert report.latest.words == "segmenting, window 2 of 8, 30 s left"


def test_a_scan_that_is_no_ct_has_no_hu(models: Path, layer: Image) -> None:
    restorer = models / "runs" / "restorer"
    assert restore_layer(request(restorer, layer), Reporting()).unit == "HU"
    bright = Image(np.random.default_rng(0).integers(1, 900, (24, 48, 48), dtype=np.int16), units=("mm",) * 3)
    assert restore_layer(request(restorer, bright), Reporting()).unit == ""
