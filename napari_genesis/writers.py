"""The writers napari calls to save Image and Labels layers, with every bit of geometry, names and colours.

A scan goes back onto the grid of its file: axes in its order, an oblique one where it lies in the patient. napari's
save dialogue asks before it names an existing file, so that answer counts; where it did not ask about this very name
(a script or plugin saves, or the ending was added afterwards), an existing file is refused.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from genesis_core.volumes.volume import Volume
from napari_genesis.layers import ORIGIN_KEY, LayerOrigin, origin_of, patient_affine, volume_from_state

# Without names: formats that have no place for them.
_NAMELESS_ENDINGS = (".mha", ".mhd")


def write_image(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write an Image layer as .nii.gz, .nii, .nrrd, .mha or .mhd, and return the path.

    A name without one of these endings gets .nii.gz. Of a layer with frames, the one shown is written. Raises
    VolumeError if the layer has no millimetres, is sheared, is no 3D scan, or the file cannot be written;
    OutputExistsError if it exists and nobody was asked.
    """
    from napari.utils.notifications import show_info

    from genesis_core.volumes.writing import WRITABLE_ENDINGS, write_volume

    target, overwrite = _target(path, WRITABLE_ENDINGS)
    frame = _frame_shown(data, meta) if np.ndim(data) == 4 else None
    volume = on_own_grid(data, meta, frame)
    written = write_volume(volume, target, overwrite=overwrite)
    if frame is not None:
        show_info(f"{target.name}: the frame shown was saved, {frame} of 0 to {len(data) - 1}.")
    return [str(written)]


def write_labels(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer as .nii.gz, .nii, .seg.nrrd, .nrrd, .mha or .mhd, and return the path.

    Names and colours go into the .nrrd, as 3D Slicer has them, and into a JSON beside a .nii or .nii.gz; MetaImage has
    no place for them, which is told. Numbers are written in the smallest unsigned type. Raises as `write_image`, and
    VolumeError for negative numbers.
    """
    return write_label_layers(path, [(data, meta, "labels")])


def write_label_layers(path: str, layer_data: Sequence[tuple[Any, dict[str, Any], str]]) -> list[str]:
    """Write Labels layers on one grid, which may overlap, into one .seg.nrrd (several) or any format, and return it."""
    from napari.utils.notifications import show_info

    from genesis_core.volumes.label_writing import LABEL_ENDINGS
    from genesis_core.volumes.label_writing import write_labels as write_label_volume
    from genesis_core.volumes.writing import write_volume
    from napari_genesis.label_layers import label_volume

    several = len(layer_data) > 1
    endings = (".seg.nrrd", ".nrrd") if several else (*LABEL_ENDINGS, *_NAMELESS_ENDINGS)
    target, overwrite = _target(path, endings)
    labels = label_volume([(on_own_grid(data, meta), meta) for data, meta, _ in layer_data])
    if target.name.lower().endswith(_NAMELESS_ENDINGS):
        written = write_volume(Volume(labels.as_map(), labels.geometry), target, overwrite=overwrite)
        show_info(f"{target.name}: MetaImage has no place for names and colours; .seg.nrrd and .nii.gz keep them.")
    else:
        written = write_label_volume(labels, target, overwrite=overwrite)
    return [str(written)]


def _target(path: str, endings: Sequence[str]) -> tuple[Path, bool]:
    """Return where to write, and whether napari's dialogue has asked about a file that is already there."""
    named = any(path.lower().endswith(ending) for ending in endings)
    target = Path(path if named else path + endings[0])
    return target, _dialogue_named(target)


def _dialogue_named(target: Path) -> bool:
    """Whether napari's save dialogue is what saves now, and its user chose this very name."""
    # Writers are told nothing of who calls them. Should napari rename these two, files are refused, never lost.
    dialogues = [frame for frame, _ in traceback.walk_stack(None) if frame.f_code.co_name == "_save_layers_dialog"]
    return any(Path(frame.f_locals.get("filename") or "") == target for frame in dialogues)


def on_own_grid(data: Any, meta: Mapping[str, Any], frame: int | None = None) -> Volume:
    """Return layer data as a volume in the axis order of its file, on exactly its grid if it still lies there."""
    from genesis_core.volumes.grid import same_grid
    from genesis_core.volumes.resampling import reorient

    origin = origin_of(meta) or _origin_of_twin(data, meta)
    if origin is None:
        return volume_from_state(data, meta, frame=frame)
    volume = volume_from_state(data, {**meta, "metadata": {ORIGIN_KEY: origin}}, frame=frame)
    volume = reorient(volume, origin.geometry.axis_codes)
    return replace(volume, geometry=origin.geometry) if same_grid(volume.geometry, origin.geometry) else volume


def _frame_shown(data: Any, meta: Mapping[str, Any]) -> int | None:
    """Return which frame of a layer with four axes the viewer shows; None without a viewer."""
    import napari

    viewer = napari.current_viewer()
    if viewer is None:
        return None
    point = (viewer.dims.point[-4] - meta["translate"][0]) / meta["scale"][0]
    return int(np.clip(round(point), 0, len(data) - 1))


def _origin_of_twin(data: Any, meta: Mapping[str, Any]) -> LayerOrigin | None:
    """Return the origin of an open scan on whose grid a layer without one lies, as napari's "new labels" makes them."""
    import napari

    viewer = napari.current_viewer()
    for layer in viewer.layers if viewer else ():
        other, state, _ = layer.as_layer_data_tuple()
        origin = origin_of(state)
        if origin and np.shape(other)[-3:] == np.shape(data)[-3:] and _same_place(state, meta):
            return origin
    return None


def _same_place(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two layers have one transform and one unit along their last three axes."""
    ours, theirs = (patient_affine({**one, "metadata": {}}, (1,) * len(one["scale"])) for one in (first, second))
    return bool(np.allclose(ours, theirs, rtol=0, atol=1e-6))
