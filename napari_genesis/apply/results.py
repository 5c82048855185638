"""The layers that results become: on the grid of the scan's layer, in place of the last ones, and never over an edit.

A layer of ours carries a `ResultTag` in its metadata, which says what it is the result of. Of a Labels layer it holds a
checksum too: one whose voxels differ was edited, and is the user's from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.volumes.label_volume import Structure
from napari_genesis.apply.layer_work import RestoredLayer, SegmentedLayer, checksum
from napari_genesis.label_layers import look
from napari_genesis.layers import LayerData, like, put
from napari_genesis.view.difference_colours import difference_colours

# Where a layer's metadata holds its `ResultTag`.
TAG_KEY = "genesis_apply"
_LABELS_OPACITY = 0.5
# Okabe and Ito's yellow and green, which stand out from the blue, white and red of the residual below.
_BRIGHTER, _DARKER = (240, 228, 66), (0, 158, 115)


@dataclass(frozen=True)
class ResultTag:
    """model: folder. scan: the layer's own id. frame: of a scan with frames. part: "labels 0", "residual", ...

    checksum: of a label map as it was made. name: the layer's, as it was given.
    """

    model: str
    scan: str
    frame: int | None
    part: str
    checksum: int | None = None
    name: str = ""

    def same_result(self, other: ResultTag) -> bool:
        """Whether both are the same result of the same model and scan, whatever its voxels."""
        return replace(self, checksum=None, name="") == replace(other, checksum=None, name="")


@dataclass(frozen=True, eq=False)
class Target:
    """What results belong to: a viewer, the layer that was looked at (its frame, if it has four axes), a model."""

    viewer: Any
    layer: Any
    frame: int | None
    model: Path
    model_name: str

    def tag(self, part: str, array: NDArray[Any] | None = None) -> ResultTag:
        """Return the tag of one result. array: of a label map, to know it again."""
        known = None if array is None else checksum(array)
        return ResultTag(str(self.model), str(self.layer.unique_id), self.frame, part, known)

    def name(self, what: str) -> str:
        """Return a layer's name; the list shows its beginning, so what it is comes first: "segmentation of"."""
        frame = "" if self.frame is None else f", frame {self.frame}"
        return f"{what} {self.layer.name}{frame} ({self.model_name})"


@cache
def warm_labels() -> None:
    """Let napari load its kernels for labels: the first Labels layer takes most of a second, best not in the window's
    thread. Called in the thread that made the labels; makes a layer of its own, which is thrown away.
    """
    from napari.layers import Labels

    Labels(np.zeros((2, 2, 2), np.uint8), **look({Structure("none", 1): _BRIGHTER}))


def is_result(layer: Any) -> bool:
    """Whether a layer is a result of ours."""
    return isinstance(layer.metadata.get(TAG_KEY), ResultTag)


def show_segmentation(target: Target, result: SegmentedLayer) -> list[Any]:
    """Show the label maps, and the maps of uncertainty if there are; return the Labels layers."""
    labels = result.segmentation.labels
    count, made = len(labels.layers), []
    for number, (array, known) in enumerate(zip(labels.layers, result.checksums, strict=True)):
        mine = {one: one.colour for one in labels.structures if one.layer == number and one.colour is not None}
        name = target.name("segmentation of") + (f" {number + 1} of {count}" if count > 1 else "")
        tag = replace(target.tag(f"labels {number}"), checksum=known)
        made.append(_put_labels(target, array, name, mine, tag))
    for number in range(count, count + len(target.viewer.layers)):
        # Structures that overlap no more need fewer layers than the last time.
        _remove(target, target.tag(f"labels {number}"))
    maps = (("uncertainty", result.segmentation.uncertainty), ("spread", result.segmentation.spread))
    for what, volume in maps:
        if volume is not None:
            settings: dict[str, Any] = {
                "colormap": "inferno",
                "contrast_limits": (0.0, 1.0),
                "gamma": 1.0,
                "blending": "additive",
                # They cover the whole scan: to be looked at when wanted.
                "visible": False,
            }
            _put(target, like(target.layer, volume.array, target.name(f"{what} of"), **settings), what)
    return made


def show_restoration(target: Target, result: RestoredLayer) -> Any:
    """Show the restored scan as the scan is shown, the residual in its own colours; return the residual's layer."""
    restoration = result.restoration
    _put(target, like(target.layer, restoration.restored.array, target.name("restored")), "restored")
    limits = (-result.limit, result.limit)
    settings: dict[str, Any] = {"colormap": difference_colours(), "contrast_limits": limits, "gamma": 1.0}
    name = target.name("restoration residual of")
    layer, new = _put(target, like(target.layer, restoration.residual.array, name, **settings), "residual")
    if new:
        full = max(result.highest, result.limit)
        layer.contrast_limits_range = (-full, full)
    return layer


def show_threshold(target: Target, labels: NDArray[np.uint8], threshold: str) -> Any:
    """Show where the residual lies above a threshold (a number with its unit) as a Labels layer; return it."""
    colours = {
        Structure(f"restored brighter by more than {threshold}", 1): _BRIGHTER,
        Structure(f"restored darker by more than {threshold}", 2): _DARKER,
    }
    name = target.name("residual above threshold,")
    return _put_labels(target, labels, name, colours, target.tag("threshold", labels))


def _put_labels(
    target: Target,
    array: NDArray[Any],
    name: str,
    colours: Mapping[Structure, tuple[int, int, int]],
    tag: ResultTag,
) -> Any:
    drawn = look(colours)
    layer, new = _put(target, like(target.layer, array, name, "labels", opacity=_LABELS_OPACITY, **drawn), tag)
    if not new and list(layer.features.get("structure", ())) != drawn["features"]["structure"]:
        layer.colormap, layer.features = drawn["colormap"], drawn["features"]
    return layer


def _put(target: Target, data: LayerData, part: str | ResultTag) -> tuple[Any, bool]:
    """Show a result in place of the last one, or as a new layer; return the layer and whether it is new."""
    viewer, tag = target.viewer, part if isinstance(part, ResultTag) else target.tag(part)
    array, meta, kind = data
    former = _former(viewer, tag)
    name = _name(viewer, meta["name"], former)
    if former is not None:
        former.name = name
    metadata = {**meta.get("metadata", {}), TAG_KEY: replace(tag, name=name)}
    active = viewer.layers.selection.active
    layer = put(viewer, (array, {**meta, "name": name, "metadata": metadata}, kind))
    if former is None and active is not None:
        # What was chosen stays chosen, with its tool.
        viewer.layers.selection.active = active
    return layer, former is None


def _former(viewer: Any, tag: ResultTag) -> Any:
    """Return the layer of the same result that nobody edited, if there is one."""
    for layer in viewer.layers:
        own = layer.metadata.get(TAG_KEY)
        if isinstance(own, ResultTag) and own.same_result(tag) and layer.ndim == 3 and not _edited(layer, own):
            return layer
    return None


def _edited(layer: Any, tag: ResultTag) -> bool:
    return tag.checksum is not None and checksum(np.asarray(layer.data)) != tag.checksum


def _remove(target: Target, tag: ResultTag) -> None:
    layer = _former(target.viewer, tag)
    if layer is not None:
        target.viewer.layers.remove(layer)


def _name(viewer: Any, wanted: str, former: Any) -> str:
    """Return the name of a result: the one the user gave the last one, else one that no other layer has."""
    if former is not None and former.name != former.metadata[TAG_KEY].name:
        return str(former.name)
    taken, name, number = {layer.name for layer in viewer.layers if layer is not former}, wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted} [{number}]"
    return name
