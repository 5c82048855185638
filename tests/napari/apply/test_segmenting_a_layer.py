"""Segmenting the open layer: what the core finds, on the layer's own grid, named and coloured, replaced in place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apply_driving import core_segments, run, write_model
from napari.layers import Labels, Layer

from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.resampling import reorient
from napari_genesis.apply.apply_dock import ApplyDock
from napari_genesis.layers import shown as layer_of
from napari_genesis.layers import volume_from_layer
from napari_genesis.writers import on_own_grid

pytestmark = pytest.mark.gui
Open = Callable[..., ApplyDock]
NAME = "segmentation of thorax (segmenter)"


@pytest.fixture(scope="module")
def segmenter(models: Path) -> Path:
    return models / "models" / "segmenter"


def labels_of(viewer: Any, name: str = NAME) -> Labels:
    layer = viewer.layers[name]
    assert isinstance(layer, Labels)
    return layer


def row_of(dock: ApplyDock, structure: str) -> int:
    table = dock.parts.table
    return next(row for row in range(table.rowCount()) if table.item(row, 0).text() == structure)


def test_it_finds_what_the_core_finds(open_dock: Open, viewer: Any, scan: Layer, segmenter: Path, qtbot: Any) -> None:
    dock = open_dock("segmenter")
    run(qtbot, dock)
    expected = core_segments(segmenter, volume_from_layer(scan))
    layer = labels_of(viewer)
    assert np.array_equal(layer.data, expected.labels.layers[0])
    assert np.allclose(layer.data_to_world((3, 4, 5)), scan.data_to_world((3, 4, 5)))
    assert layer.units == scan.units
    assert list(layer.features["structure"]) == ["lung", "heart"]
    assert np.allclose(layer.colormap.map(np.array([2]))[0, :3] * 255, (10, 200, 30), atol=1)
    assert viewer.layers.selection.active is scan
    assert len(viewer.layers) == 2
    for name, ml in expected.volumes_ml.items():
        told = dock.parts.table.item(row_of(dock, name), 1).text()
        assert told == (f"{ml:,.4g}" if ml else "not found")
    assert "8 windows" in dock.parts.outcome.text()
    assert not dock.parts.residual.isVisible()


def test_a_second_result_takes_the_place_of_the_first(
    open_dock: Open, viewer: Any, scan: Layer, qtbot: Any, segmenter: Path
) -> None:
    dock = open_dock("segmenter")
    run(qtbot, dock)
    layer = labels_of(viewer)
    layer.name, layer.opacity = "mine by name", 0.9
    dock.parts.options.overlap.editor.moved.emit(0.1, True)
    dock.parts.options.uncertainty.editor.click()
    run(qtbot, dock)
    expected = core_segments(segmenter, volume_from_layer(scan), overlap=0.1, uncertainty=True)
    assert np.array_equal(layer.data, expected.labels.layers[0])
    assert (layer.name, layer.opacity) == ("mine by name", 0.9)
    assert expected.uncertainty is not None
    uncertainty = viewer.layers["uncertainty of thorax (segmenter)"]
    assert np.array_equal(uncertainty.data, expected.uncertainty.array)
    assert uncertainty.contrast_limits == [0, 1]
    assert len(viewer.layers) == 4
    run(qtbot, dock)
    assert len(viewer.layers) == 4


def test_a_layer_the_user_edited_is_never_touched(open_dock: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    dock = open_dock("segmenter")
    run(qtbot, dock)
    mine = labels_of(viewer)
    made = mine.data.copy()
    mine.selected_label = 7
    mine.paint((10, 20, 20), 7)
    edited = mine.data.copy()
    assert not np.array_equal(made, edited)
    run(qtbot, dock)
    assert np.array_equal(mine.data, edited)
    assert np.array_equal(labels_of(viewer, f"{NAME} [2]").data, made)
    # The second one is ours still, and is replaced.
    run(qtbot, dock)
    assert len(viewer.layers) == 3
    assert np.array_equal(mine.data, edited)


def test_a_layer_of_that_name_that_is_not_ours_is_left_alone(
    open_dock: Open, viewer: Any, scan: Layer, qtbot: Any
) -> None:
    other = viewer.add_labels(np.ones(scan.data.shape, "u1"), name=NAME, scale=scan.scale, translate=scan.translate)
    dock = open_dock("segmenter")
    run(qtbot, dock)
    assert (other.data == 1).all()
    assert f"{NAME} [2]" in viewer.layers


def test_an_oblique_mr_is_segmented_where_it_lies(
    open_dock: Open, viewer: Any, qtbot: Any, real_data: Path, tmp_path: Path
) -> None:
    preprocessing = {"modality": "mr", "axis_codes": "RAS", "spacing": (6.0, 6.0, 6.0)}
    folder = write_model(tmp_path / "brain", "segmentation", preprocessing=preprocessing)
    volume = read_volume(real_data / "awkward" / "oblique_flair.nrrd")
    array, meta = layer_of(volume)
    layer = viewer.add_layer(Layer.create(array, {**meta, "name": "flair"}, "image"))
    dock = open_dock()
    dock.choice.add_folder(folder)
    run(qtbot, dock)
    made = labels_of(viewer, "segmentation of flair (brain)")
    assert np.allclose(made.data_to_world((1, 2, 3)), layer.data_to_world((1, 2, 3)))
    expected = core_segments(folder, volume)
    data, state, _ = made.as_layer_data_tuple()
    back = on_own_grid(data, state)
    assert back.geometry == volume.geometry
    # Two orientations of one scan may differ where two structures are equally likely.
    assert np.mean(back.array != expected.labels.layers[0]) < 1e-3
    same = core_segments(folder, reorient(volume, "LPS"))
    assert np.array_equal(made.data, same.labels.layers[0])


def test_of_frames_the_displayed_one_is_segmented(open_dock: Open, viewer: Any, segmenter: Path, qtbot: Any) -> None:
    one = make_phantom(1, shape=(24, 48, 48)).volume
    frames = np.stack([one.array, one.array[::-1], one.array[:, ::-1]])
    _, meta = layer_of(one)
    layer = viewer.add_image(
        frames,
        name="series",
        scale=(1, *meta["scale"]),
        translate=(0, *meta["translate"]),
        units=("s", "mm", "mm", "mm"),
    )
    dock = open_dock("segmenter")
    viewer.dims.set_current_step(0, 2)
    assert dock.parts.target.note.shown == "Frame 2 of 0 to 2, as displayed."
    run(qtbot, dock)
    made = labels_of(viewer, "segmentation of series, frame 2 (segmenter)")
    expected = core_segments(segmenter, volume_from_layer(layer, frame=2))
    assert np.array_equal(made.data, expected.labels.layers[0])
    assert np.allclose(made.data_to_world((3, 4, 5)), layer.data_to_world((2, 3, 4, 5))[1:])
    viewer.dims.set_current_step(0, 1)
    run(qtbot, dock)
    assert np.array_equal(made.data, expected.labels.layers[0])
    assert "segmentation of series, frame 1 (segmenter)" in viewer.layers
    found = next(name for name in ("lung", "heart") if expected.volumes_ml.get(name))
    dock.showing.go_to(found)
    assert viewer.dims.current_step[0] == 1


def test_overlapping_structures_come_as_several_layers_and_go_again(
    open_dock: Open, viewer: Any, scan: Layer, qtbot: Any, tmp_path: Path
) -> None:
    from genesis_core.model.folder import load_model, save_model

    folder = write_model(tmp_path / "regions", "segmentation")
    card = load_model(folder).card
    network = card.network.model_copy(update={"out_channels": 2})
    from genesis_core.networks.registry import create_network

    def save(bias: tuple[float, float]) -> None:
        import torch

        made = create_network(network)
        # The last layer alone decides: everywhere, or nowhere.
        *_, (name, _weight), (bias_name, _bias) = list(made.named_parameters())
        state = made.state_dict()
        state[name] = torch.zeros_like(state[name])
        state[bias_name] = torch.tensor(bias)
        made.load_state_dict(state)
        save_model(folder, made, card.model_copy(update={"network": network, "activation": "sigmoid"}))

    save((9.0, 9.0))
    dock = open_dock()
    dock.choice.add_folder(folder)
    run(qtbot, dock)
    assert {layer.name for layer in viewer.layers} == {
        "thorax",
        "segmentation of thorax (regions) 1 of 2",
        "segmentation of thorax (regions) 2 of 2",
    }
    save((9.0, -9.0))
    run(qtbot, dock)
    assert [layer.name for layer in viewer.layers] == ["thorax", "segmentation of thorax (regions)"]


def test_two_channels_are_two_layers_or_the_frames_of_one(
    open_dock: Open, viewer: Any, scan: Layer, qtbot: Any, tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "pair", "segmentation", channels=("t1", "flair"))
    dock = open_dock()
    dock.choice.add_folder(folder)
    assert not dock.parts.start.isEnabled()
    assert "2 channels" in dock.parts.status.text()
    other = viewer.add_image(
        np.asarray(scan.data)[::-1], name="flair", scale=scan.scale, translate=scan.translate, units=scan.units
    )
    assert dock.parts.target.layers == (scan, other)
    run(qtbot, dock)
    expected = core_segments(folder, [volume_from_layer(scan), volume_from_layer(other)])
    assert np.array_equal(labels_of(viewer, "segmentation of thorax (pair)").data, expected.labels.layers[0])
    viewer.layers.clear()
    viewer.add_image(
        np.stack([scan.data, other.data]),
        name="both",
        scale=(1, *scan.scale),
        translate=(0, *scan.translate),
        units=("pixel", "mm", "mm", "mm"),
    )
    run(qtbot, dock)
    assert np.array_equal(labels_of(viewer, "segmentation of both (pair)").data, expected.labels.layers[0])
