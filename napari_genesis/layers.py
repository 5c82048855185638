"""Between scans and napari layers: every voxel stays at its place in the patient, in millimetres.

napari slices along its own axes only: a layer whose axes are permuted or oblique is drawn wrong in 2D. So a scan is
shown with its axes in the order (z, y, x), growing toward superior, posterior and left, and an oblique one is turned as
a whole onto them: a rigid motion about the world's origin, the same for all scans of one orientation, which distorts
and interpolates nothing. What was done stands in the layer's metadata, and is undone on the way back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.volume import Geometry, Modality, Volume
from napari_genesis.contrast import REACH_KEY

LayerData = tuple[Any, dict[str, Any], str]
Matrix = NDArray[np.float64]

# Where a layer's metadata holds its `LayerOrigin`.
ORIGIN_KEY = "genesis"
UNITS = ("mm", "mm", "mm")
AXIS_LABELS = ("z", "y", "x")
# Turns below this, in degrees, move nothing by half a voxel.
_TURN_TOLD = 0.05


@dataclass(frozen=True)
class LayerOrigin:
    """Where a layer came from, nothing of the patient.

    geometry: the grid of the file. turn: 3x3 by rows, (z, y, x), from the world as shown to that of the patient.
    modality, notes: as the `Volume` had them.
    """

    geometry: Geometry
    turn: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    modality: Modality | None = None
    notes: tuple[str, ...] = ()

    @property
    def turn_degrees(self) -> float:
        """The angle by which an oblique scan is shown turned."""
        trace = float(np.trace(np.reshape(self.turn, (3, 3))))
        return math.degrees(math.acos(min(1.0, max(-1.0, (trace - 1) / 2))))


def shown(volume: Volume) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return a volume's voxels in the order shown, and the layer's scale, translation, units, axis labels and metadata.

    They lead from (z, y, x) indices to millimetres without a rotation; `LayerOrigin` keeps the one left out. Scale and
    translation, not an affine: napari's other plugins look there for the spacing.
    """
    from genesis_core.volumes.resampling import reorient

    turned = reorient(volume, "LPS")
    turn = np.reshape(turned.direction, (3, 3))[::-1, ::-1]
    origin = LayerOrigin(volume.geometry, tuple(turn.ravel().tolist()), volume.modality, volume.notes)
    return turned.array, {
        "scale": turned.spacing[::-1],
        "translate": tuple(np.linalg.solve(turn, turned.origin[::-1]).tolist()),
        "units": UNITS,
        "axis_labels": AXIS_LABELS,
        "metadata": {ORIGIN_KEY: origin},
    }


def turn_note(origin: LayerOrigin) -> tuple[str, ...]:
    """Return the sentence to tell about an oblique scan; nothing for one that lies straight."""
    if origin.turn_degrees < _TURN_TOLD:
        return ()
    return (
        f"Oblique: shown along its own axes, {origin.turn_degrees:.1f} degrees off the patient's. It is saved where it "
        "lies in the patient.",
    )


def volume_from_layer(layer: Any, *, frame: int | None = None) -> Volume:
    """Return an Image or Labels layer as a `Volume` in the layer's axis order, its voxels not copied.

    frame: which one of a layer with four axes (t, z, y, x). Scale, translation, rotation and affine count, units are
    converted to mm, and the turn of an oblique scan is undone. Raises VolumeError if the layer has no lengths (pixels),
    has sheared axes, colours, or not three axes.
    """
    data, state, _ = layer.as_layer_data_tuple()
    return volume_from_state(data, state, frame=frame)


def volume_from_state(data: Any, state: Mapping[str, Any], *, frame: int | None = None) -> Volume:
    """Return layer data, as napari hands it to a writer, as a `Volume`; as `volume_from_layer`."""
    from genesis_core.volumes.grid import is_sheared, straightened

    name = Path(f"layer '{state.get('name', '')}'")
    array = _three_axes(data, state, name, frame)
    affine = patient_affine(state, _shape_of(data), str(name))
    flipped = affine[:3, :3][::-1, ::-1]
    geometry, moved = straightened(name, (*array.shape[::-1],), flipped, affine[:3, 3][::-1])
    if is_sheared(geometry, moved):
        raise VolumeError(
            f"{name}: its axes are not at right angles (sheared; voxels would be up to {moved:.1f} mm off). Remove the "
            "shear from the layer's transform, or resample it"
        )
    origin = origin_of(state)
    return Volume(array, geometry, origin.modality if origin else None, None, origin.notes if origin else ())


def origin_of(state: Mapping[str, Any]) -> LayerOrigin | None:
    """Return what a layer's metadata says of where it came from; None for layers that are not of our making."""
    origin = (state.get("metadata") or {}).get(ORIGIN_KEY)
    return origin if isinstance(origin, LayerOrigin) else None


def without_units(state: Mapping[str, Any]) -> bool:
    """Whether a layer's last three axes are counted in pixels, as napari has it where nobody gave a unit."""
    return {str(unit) for unit in tuple(state.get("units") or ("pixel",))[-3:]} == {"pixel"}


def patient_affine(state: Mapping[str, Any], shape: Sequence[int], name: str = "layer") -> Matrix:
    """Return the 4x4 matrix from a layer's last three indices to the patient's (z, y, x) millimetres.

    Raises VolumeError if its units are no lengths, or a fourth axis is mixed with them.
    """
    affine = _index_to_world(state, len(shape))
    if np.abs(affine[-4:-1, :-4]).max(initial=0) > 0 or np.abs(affine[:-4, -4:-1]).max(initial=0) > 0:
        raise VolumeError(f"{name}: its transform mixes the frames with the axes of space; reset the transform")
    affine = affine[-4:, -4:]
    affine[:3] *= _millimetres(state, name)[:, None]
    if origin := origin_of(state):
        affine[:3] = np.reshape(origin.turn, (3, 3)) @ affine[:3]
    return affine


def like(
    layer: Any, data: NDArray[Any], name: str, kind: str = "image", *, start: Sequence[int] = (0, 0, 0), **settings: Any
) -> LayerData:
    """Return layer data for `data` (z, y, x) on the grid of a layer: its transform, units, axis labels and origin.

    start: index (z, y, x) in `layer` where `data` begins, for a box cut out of it. kind: "image" or "labels".
    settings: what else the new layer gets; an image takes contrast limits and colours of an image unless given.
    """
    state = layer.as_layer_data_tuple()[1]
    affine = _index_to_world(state, len(_shape_of(layer.data)))[-4:, -4:]
    affine[:3, 3] += affine[:3, :3] @ np.asarray(start, dtype=float)
    meta: dict[str, Any] = {
        "name": name,
        **_transform(affine),
        "units": tuple(state["units"])[-3:],
        "axis_labels": tuple(state["axis_labels"])[-3:],
    }
    kept = [ORIGIN_KEY] if origin_of(state) else []
    if kind == "image":
        meta |= {key: state[key] for key in ("contrast_limits", "colormap", "gamma") if key in state}
        # In a window of its own, its values are not those of the scan.
        kept += [REACH_KEY] if REACH_KEY in state["metadata"] and "contrast_limits" not in settings else []
    if kept:
        meta["metadata"] = {key: state["metadata"][key] for key in kept}
    return data, {**meta, **settings}, kind


def put(viewer: Any, layer_data: LayerData) -> Any:
    """Show layer data: in place in the layer of that name and kind if there is one, else as a new layer; return it.

    In place, the user's contrast limits, colours, opacity and visibility stay.
    """
    from napari.layers import Layer

    data, meta, kind = layer_data
    for layer in viewer.layers:
        if layer.name == meta["name"] and layer.as_layer_data_tuple()[2] == kind and layer.ndim == np.ndim(data):
            layer.data = data
            layer.affine = meta.get("affine", np.eye(layer.ndim + 1))
            layer.scale = meta.get("scale", np.ones(layer.ndim))
            layer.translate = meta.get("translate", np.zeros(layer.ndim))
            layer.rotate, layer.shear = np.eye(layer.ndim), np.zeros(layer.ndim * (layer.ndim - 1) // 2)
            layer.units, layer.axis_labels = meta["units"], meta["axis_labels"]
            layer.metadata = {**layer.metadata, **meta.get("metadata", {})}
            return layer
    return viewer.add_layer(Layer.create(data, meta, kind))


def _transform(affine: Matrix) -> dict[str, Any]:
    """Return an affine as the settings of a layer: scale and translation where that is all it does."""
    scale = np.diag(affine)[:3]
    if np.array_equal(affine[:3, :3], np.diag(scale)) and scale.min() > 0:
        return {"scale": tuple(scale.tolist()), "translate": tuple(affine[:3, 3].tolist())}
    return {"affine": affine}


def _index_to_world(state: Mapping[str, Any], ndim: int) -> Matrix:
    """Return the matrix from all indices to napari's world, in the layer's units."""
    from napari.utils.transforms import Affine

    own = Affine(
        scale=state.get("scale", np.ones(ndim)),
        translate=state.get("translate", np.zeros(ndim)),
        rotate=state.get("rotate"),
        shear=state.get("shear"),
        ndim=ndim,
    )
    outer = state.get("affine")
    outer = np.eye(ndim + 1) if outer is None else np.asarray(getattr(outer, "affine_matrix", outer), dtype=float)
    return np.array(outer @ own.affine_matrix, dtype=float)


def _millimetres(state: Mapping[str, Any], name: str) -> Matrix:
    """Return how many millimetres one unit of the last three axes is."""
    import pint

    registry: Any = pint.application_registry
    lengths = []
    for unit in tuple(state.get("units") or ("pixel",) * 3)[-3:]:
        try:
            lengths.append(float(registry.Quantity(1.0, str(unit)).to("mm").magnitude))
        except (pint.DimensionalityError, pint.UndefinedUnitError):
            raise VolumeError(
                f"{name}: has no millimetres (its unit is '{unit}'), so nobody knows how large a voxel is. Open the "
                "scan with Genesis, or set the layer's scale to the spacing (z, y, x) and its units to mm"
            ) from None
    return np.array(lengths)


def _shape_of(data: Any) -> tuple[int, ...]:
    # Of a multiscale layer, the first level is the scan.
    return tuple((data[0] if _is_multiscale(data) else data).shape)


def _is_multiscale(data: Any) -> bool:
    return isinstance(data, list | tuple) or type(data).__name__ == "MultiScaleData"


def _three_axes(data: Any, state: Mapping[str, Any], name: Path, frame: int | None) -> NDArray[Any]:
    if state.get("rgb"):
        raise VolumeError(f"{name}: holds colours, not one intensity per voxel; split it into its channels")
    array = data[0] if _is_multiscale(data) else data
    if array.ndim == 4:
        if frame is None or not 0 <= frame < array.shape[0]:
            raise VolumeError(
                f"{name}: holds {array.shape[0]} frames; one of them is needed (0 to {array.shape[0] - 1})"
            )
        array = array[frame]
    if array.ndim != 3:
        raise VolumeError(f"{name}: has {array.ndim} axes; a scan has three (z, y, x)")
    return np.asarray(array)
