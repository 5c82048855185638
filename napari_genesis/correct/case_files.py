"""Reading a case and keeping its corrections: between files and what layers are made of. For a thread. No Qt.

The voxels of a layer are copied while they may be painted on; what a stroke changes meanwhile is in the next draft.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.structure_colours import default_colours
from napari_genesis.label_layers import label_layers
from napari_genesis.layers import LayerData

if TYPE_CHECKING:
    from genesis_core.studies.review import Proposal, Review

# Where a layer's metadata holds the review and the case it belongs to.
MARK = "genesis_review"
# What of a layer's state says where it lies.
_STATE = ("name", "scale", "translate", "rotate", "shear", "affine", "units", "axis_labels", "metadata")


Origin = Literal["proposal", "draft", "accepted"]


@dataclass(frozen=True, eq=False)
class CaseRead:
    """A case as napari's layers, in no viewer yet. structures: with colours. origin: where the labels are from.

    checksums: of each label map as it was read, to know whether it was edited since.
    """

    proposal: Proposal
    images: tuple[Any, ...]
    labels: tuple[Any, ...]
    structures: tuple[Structure, ...]
    checksums: tuple[int, ...]
    origin: Origin


@dataclass(frozen=True, eq=False)
class LayerState:
    """A Labels layer at one moment: its voxels, still shared with the viewer, and where they lie."""

    data: NDArray[Any]
    state: Mapping[str, Any]


def read_case(review: Review, proposal: Proposal) -> CaseRead:
    """Read the scan, and of its labels those that were accepted, else the draft, else the proposal.

    Raises GenesisError for what cannot be read.
    """
    images: list[LayerData] = []
    series = (*proposal.series, *(None for _ in proposal.images))
    for number, path in enumerate(proposal.images):
        for data, meta, kind in _opened(path, series[number], proposal.case):
            if kind == "image":
                more = f" {number + 1}" if len(proposal.images) > 1 else ""
                # Channels lie over one another: the first is what is looked at.
                images.append((data, {**meta, "name": f"{proposal.case}{more}", "visible": not images}, kind))
    found, origin = _labels(review, proposal)
    labels = coloured(found)
    made = label_layers(labels, f"{proposal.case}: corrections")
    checksums = tuple(checksum(data) for data, _, _ in made)
    # Painting needs memory that belongs to nobody else.
    owned = [(np.ascontiguousarray(data), {**meta, "opacity": 0.5}, kind) for data, meta, kind in made]
    mark = (str(review.folder), proposal.case)
    drawn = tuple(_layer(one, mark) for one in owned)
    return CaseRead(proposal, tuple(_layer(one, mark) for one in images), drawn, labels.structures, checksums, origin)


def _layer(data: LayerData, mark: tuple[str, str]) -> Any:
    """Return a layer with our mark. Made here, in the thread: napari's first ones take seconds."""
    from napari.layers import Layer

    voxels, meta, kind = data
    return Layer.create(voxels, {**meta, "metadata": {**meta.get("metadata", {}), MARK: mark}}, kind)


def _opened(path: Path, series: str | None, name: str) -> list[LayerData]:
    from napari_genesis.opening import open_path, open_series

    return open_series(path, series or "", name) if path.is_dir() else open_path(path)


def _labels(review: Review, proposal: Proposal) -> tuple[LabelVolume, Origin]:
    from genesis_core.studies.review import read_accepted, read_draft
    from genesis_core.volumes.label_reading import read_labels

    accepted = read_accepted(review, proposal.case)
    if accepted is not None:
        return accepted, "accepted"
    draft = read_draft(review, proposal.case)
    return (read_labels(proposal.label), "proposal") if draft is None else (draft, "draft")


def coloured(labels: LabelVolume) -> LabelVolume:
    """Return labels whose structures all have colours."""
    defaults = default_colours(len(labels.structures))
    pairs = zip(labels.structures, defaults, strict=True)
    return replace(labels, structures=tuple(replace(one, colour=one.colour or colour) for one, colour in pairs))


def state_of(layer: Any) -> LayerState:
    """Return a layer as it is now; costs nothing, as no voxel is copied."""
    data, state, _ = layer.as_layer_data_tuple()
    return LayerState(data, {key: state[key] for key in _STATE if key in state})


def labels_of(states: Sequence[LayerState], structures: Sequence[Structure]) -> tuple[LabelVolume, tuple[int, ...]]:
    """Return a copy of layers as labels on the grid of the scan's file, and the checksum of each.

    structures: what the numbers mean; any other number that was painted is called "label N", and refused when accepted.
    """
    from genesis_core.volumes.label_values import count_values
    from napari_genesis.writers import on_own_grid

    copies = [np.array(one.data) for one in states]
    volumes = [on_own_grid(copy, one.state) for copy, one in zip(copies, states, strict=True)]
    named = {(one.layer, one.value) for one in structures}
    others = [
        Structure(f"label {value}", value, None, number)
        for number, volume in enumerate(volumes)
        for value in count_values(volume.array, "labels")
        if value > 0 and (number, value) not in named
    ]
    labels = LabelVolume(tuple(volume.array for volume in volumes), volumes[0].geometry, (*structures, *others))
    return labels, tuple(checksum(copy) for copy in copies)


def checksum(array: NDArray[Any]) -> int:
    """Return a number that changes when a voxel does."""
    from napari_genesis.apply.layer_work import checksum as crc

    return crc(array)
