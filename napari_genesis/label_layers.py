"""Between labels and napari's Labels layers: numbers, names and colours, one layer per set that does not overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.label_volume import Colour, LabelVolume, Structure
from genesis_core.volumes.volume import Volume
from napari_genesis.layers import LayerData, shown, volume_from_state

# Numbers that nobody named are drawn too, so that nothing painted or left over is hidden.
_NAMELESS = (0.6, 0.6, 0.6, 1.0)
_CLEAR = (0.0, 0.0, 0.0, 0.0)


def label_layers(labels: LabelVolume, name: str) -> list[LayerData]:
    """Return labels as layer data, one Labels layer for each of their layers, with names (features) and colours."""
    from genesis_core.volumes.structure_colours import default_colours

    defaults = default_colours(len(labels.structures))
    coloured = [(one, one.colour or default) for one, default in zip(labels.structures, defaults, strict=True)]
    made = []
    for index, layer in enumerate(labels.layers):
        array, meta = shown(Volume(layer, labels.geometry, None, labels.source, labels.notes))
        mine = {one: colour for one, colour in coloured if one.layer == index}
        number = f" ({index + 1} of {len(labels.layers)})" if len(labels.layers) > 1 else ""
        made.append((array, {**meta, "name": name + number, "opacity": 0.5, **look(mine)}, "labels"))
    return made


def look(colours: Mapping[Structure, Colour]) -> dict[str, Any]:
    """Return the settings of a Labels layer that name and colour structures: napari shows the name at the cursor."""
    from napari.utils.colormaps import DirectLabelColormap

    table: dict[int | None, Any] = {None: _NAMELESS, 0: _CLEAR}
    table |= {one.value: (*(part / 255 for part in colour), 1.0) for one, colour in colours.items()}
    return {
        "colormap": DirectLabelColormap(color_dict=table),
        "features": {"index": [one.value for one in colours], "structure": [one.name for one in colours]},
    }


def labels_from_layer(layer: Any) -> LabelVolume:
    """Return a Labels layer as a `LabelVolume` in the layer's axis order; raises as `label_volume`."""
    data, state, _ = layer.as_layer_data_tuple()
    return label_volume([(volume_from_state(data, state), state)])


def label_volume(parts: Sequence[tuple[Volume, Mapping[str, Any]]]) -> LabelVolume:
    """Return label maps, each with the state of its Labels layer, as one `LabelVolume`: each a layer of it.

    Names are those of the features' columns "index" and "structure"; a number without is "label N". Colours are those
    shown. Raises VolumeError if one holds negative numbers or fractions, or lies on another grid than the first.
    """
    from genesis_core.volumes.grid import describe_grid_difference, same_grid
    from genesis_core.volumes.label_values import whole_numbers

    arrays, structures = [], []
    geometry = parts[0][0].geometry
    for index, (volume, state) in enumerate(parts):
        name = f"layer '{state.get('name', '')}'"
        if not same_grid(geometry, volume.geometry):
            raise VolumeError(
                f"{name}: lies on another grid than the first layer "
                f"({describe_grid_difference(geometry, volume.geometry)}); save it into a file of its own"
            )
        array = whole_numbers(volume.array, name)
        arrays.append(array)
        structures += _structures(array, state, index)
    return LabelVolume(tuple(arrays), geometry, tuple(structures))


def _structures(array: NDArray[Any], state: Mapping[str, Any], layer: int) -> list[Structure]:
    from genesis_core.volumes.label_values import count_values

    names = _names(state)
    for value in count_values(array, f"layer '{state.get('name', '')}'"):
        if value > 0:
            names.setdefault(value, f"label {value}")
    return [Structure(name, value, _colour(state.get("colormap"), value), layer) for value, name in names.items()]


def _names(state: Mapping[str, Any]) -> dict[int, str]:
    features = state.get("features")
    if features is None or "index" not in features or "structure" not in features:
        return {}
    pairs = zip(features["index"], features["structure"], strict=True)
    return {int(value): str(name) for value, name in pairs if int(value) > 0 and str(name).strip()}


def _colour(colormap: Any, value: int) -> Colour | None:
    """Return the colour a number is shown in; None where it has none of its own."""
    table = getattr(colormap, "color_dict", None)
    if table is not None and value not in table:
        return None
    if colormap is None or not hasattr(colormap, "map"):
        return None
    red, green, blue = (round(float(part) * 255) for part in np.ravel(colormap.map(np.array([value])))[:3])
    return red, green, blue
