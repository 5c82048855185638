"""Segment a whole scan: probabilities by a sliding window, reduced to labels as soon as they are final.

Memory is one slab of probabilities (channels x patch planes) and a byte per voxel, never channels x volume.
Probabilities are averaged over overlapping windows, mirrored views and the models of an ensemble alike, and
interpolated onto the scan's own grid before a structure is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.inference.label_layers import count_voxels
from genesis_core.inference.label_reduction import LabelReduction
from genesis_core.inference.memory_budget import network_bytes, require_memory, voxels_on_grid
from genesis_core.inference.model_input import remarks, usable_patch
from genesis_core.inference.organ_rules import OrganRules, apply_organ_rules, check_organ_rules
from genesis_core.inference.postprocessing import Cleaning, clean
from genesis_core.inference.segmenting_models import numbering_remarks, require_segmenting_models, views_of
from genesis_core.inference.selected_structures import select_structures
from genesis_core.inference.sliding_window import Progress, Stop, count_windows, finished_slabs
from genesis_core.volumes.label_volume import LabelVolume
from genesis_core.volumes.volume import Geometry, Volume

if TYPE_CHECKING:
    from genesis_core.inference.predictor import Precision
    from genesis_core.model.card import ModelCard
    from genesis_core.model.folder import Model
    from genesis_core.volumes.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What was found in a scan; everything lies on the scan's own grid.

    labels: the structures with the numbers and colours of the model's card; in several layers where they overlap.
    uncertainty: float16 in [0, 1], the entropy of the mean probabilities over the largest possible; None if not asked
    for. spread: float16 in [0, 1], the standard deviation over all predictions of a voxel (overlapping windows, views,
    models) over the largest possible; with the uncertainty. voxels, volumes_ml: of each structure, by name.
    windows: how many there were. predictions: how many were averaged in each (models times views).
    notes: what was changed or noticed, in sentences to show to the user. numberings: by name of a structure, its
    numbers in published numberings, if it has any.
    """

    labels: LabelVolume
    uncertainty: Volume | None
    spread: Volume | None
    voxels: dict[str, int]
    volumes_ml: dict[str, float]
    windows: int
    predictions: int
    notes: tuple[str, ...]
    numberings: dict[str, dict[str, int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return structures with their volumes, counts and notes for a JSON file."""
        return {
            "structures": [
                {
                    "name": structure.name,
                    "value": structure.value,
                    "layer": structure.layer,
                    "voxels": self.voxels[structure.name],
                    "ml": round(self.volumes_ml[structure.name], 4),
                    **({"numberings": self.numberings[structure.name]} if structure.name in self.numberings else {}),
                }
                for structure in self.labels.structures
            ],
            "windows": self.windows,
            "predictions": self.predictions,
            "notes": list(self.notes),
        }


def segment(
    model: Model | Sequence[Model],
    volume: Volume | Sequence[Volume],
    *,
    overlap: float = 0.5,
    flips: Sequence[str] = (),
    device: str = "cpu",
    batch_size: int = 1,
    precision: Precision = "float32",
    largest_component: Sequence[str] = (),
    fill_holes: Sequence[str] = (),
    fill_slices: Sequence[str] = (),
    minimum_ml: Mapping[str, float] | None = None,
    structures: Sequence[str] = (),
    organ_rules: OrganRules = "none",
    uncertainty: bool = False,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Segmentation:
    """Segment a whole scan with a sliding window.

    model: one, or several that make an ensemble (same structures, preprocessing, channels and patch).
    volume: (z, y, x), any spacing and orientation; one per input channel, in the order of the card, on one grid; not
    changed. overlap: fraction of the patch shared by neighbours, in [0, 0.95]. flips: axes of the model's grid, of "x",
    "y", "z", along which mirrored views are averaged too; left and right structures are exchanged. device: cpu, cuda,
    cuda:1, mps or auto. batch_size: windows per forward pass; only 1 for a network with batch statistics.
    largest_component, fill_holes, fill_slices, minimum_ml: as in `Cleaning`, by names of structures or "all".
    structures: names of those to segment, of a model with a sigmoid; empty: all. organ_rules: "suprem" applies the
    published post-processing of its classes, before any other.
    uncertainty: give the maps too. progress(done, total) counts windows; `stop` is asked between them, and ends in
    `Stopped`.
    With softmax a voxel is the structure of the largest mean probability; with sigmoid every one above 0.5.
    Raises ModelError if a model does not segment, models do not fit together, or values are not finite; VolumeError if
    channels are missing or lie on different grids, or a scan holds no finite voxel; MemoryBudgetError if memory does
    not suffice; SettingsError for settings out of bounds and names of no structure.
    """
    from genesis_core.inference.averaging import make_averaging_predictor
    from genesis_core.inference.predictor import choose_device
    from genesis_core.inference.scan_planes import places_on, planes_of_scan, with_variances

    models = (model,) if not isinstance(model, Sequence) else tuple(model)
    volumes = (volume,) if isinstance(volume, Volume) else tuple(volume)
    require_segmenting_models(models, batch_size)
    models = tuple(select_structures(one, structures) for one in models)
    card, preprocessing = require_segmenting_models(models, batch_size)
    check_organ_rules(organ_rules, [entry.name for entry in card.structures])
    views = views_of(card, preprocessing, flips)
    cleaning = Cleaning(minimum_ml or {}, tuple(largest_component), tuple(fill_holes), tuple(fill_slices))
    cleaning.check([entry.name for entry in card.structures])
    scan = _require_channels(volumes, card)
    where = choose_device(device)
    patch = usable_patch(card, models[0].network)
    require_memory(
        _bytes_needed(volumes, card, patch, batch_size if where.type == "cpu" else 0, uncertainty),
        f"segmenting a scan of {' x '.join(map(str, scan.shape))} voxels (z, y, x)",
        "crop the scan, close other programs, or use a machine with more memory",
    )
    networks = [one.network for one in models]
    predict = make_averaging_predictor(
        networks, card.activation, where, precision, views, squares=uncertainty, stop=stop
    )
    unit, grid, notes = _prepared(volumes, preprocessing)
    notes += remarks(volumes, card, preprocessing, grid, patch)
    reduction = LabelReduction(card, scan.geometry, preprocessing.axis_codes, uncertainty)
    slabs = finished_slabs(
        predict,
        unit,
        patch,
        overlap=overlap,
        channels=card.network.out_channels + uncertainty,
        batch_size=batch_size,
        progress=progress,
        stop=stop,
    )
    if uncertainty:
        slabs = with_variances(slabs)
    for number, plane in planes_of_scan(slabs, places_on(grid, reduction.geometry)):
        reduction.take(number, plane)
    del unit, slabs
    labels = replace(reduction.labels(), source=scan.source)
    if organ_rules == "suprem":
        labels = apply_organ_rules(labels)
    labels = clean(labels, cleaning)
    voxels = count_voxels(labels.layers, labels.structures)
    ml = math.prod(scan.spacing) / 1000
    missing = [name for name, count in voxels.items() if not count]
    if missing:
        notes.append(f"Not found in this scan: {', '.join(missing)}.")
    notes += numbering_remarks(card)
    blank = replace(scan, notes=())
    maps = [blank.with_array(array) for array in reduction.maps()]
    return Segmentation(
        labels=labels,
        uncertainty=maps[0] if maps else None,
        spread=maps[1] if maps else None,
        voxels=voxels,
        volumes_ml={name: count * ml for name, count in voxels.items()},
        windows=count_windows(grid.shape, patch, overlap),
        predictions=len(models) * len(views),
        notes=tuple(dict.fromkeys((*notes, *labels.notes))),
        numberings={entry.name: entry.numberings for entry in card.structures if entry.numberings},
    )


def _require_channels(volumes: Sequence[Volume], card: ModelCard) -> Volume:
    from genesis_core.volumes.resampling import same_grid

    wanted = card.network.in_channels
    if len(volumes) != wanted:
        names = f" ({', '.join(card.channels)})" if card.channels else ""
        raise VolumeError(
            f"model '{card.name}' looks at {wanted} channel(s){names}, and {len(volumes)} were given: give one volume "
            "per channel, in this order"
        )
    for other in volumes[1:]:
        if not same_grid(volumes[0].geometry, other.geometry):
            raise VolumeError(
                f"{other.source or 'a channel'}: lies on another grid than {volumes[0].source or 'the first channel'} "
                f"({other.shape} and {volumes[0].shape} voxels z, y, x, or another place): resample the channels onto "
                "one grid first"
            )
    return volumes[0]


def _prepared(
    volumes: Sequence[Volume], preprocessing: Preprocessing
) -> tuple[NDArray[np.float32], Geometry, list[str]]:
    """Return the channels on the model's grid in [0, 1], (channels, z, y, x), their grid, and notes."""
    unit: NDArray[np.float32] | None = None
    notes: list[str] = []
    for number, volume in enumerate(volumes):
        prepared = preprocessing.prepare(volume)
        notes += prepared.volume.notes
        values = prepared.map.to_unit(prepared.volume.array)
        if len(volumes) == 1:
            return values[None], prepared.volume.geometry, notes
        if unit is None:
            unit, grid = np.empty((len(volumes), *values.shape), np.float32), prepared.volume.geometry
        unit[number] = values
        # Let go before the next one is prepared.
        del prepared, values
    assert unit is not None
    return unit, grid, notes


def _bytes_needed(
    volumes: Sequence[Volume], card: ModelCard, patch: tuple[int, int, int], batch_size: int, uncertainty: bool
) -> int:
    """Estimate what `segment` allocates at its peak, beside the scan itself."""
    assert card.preprocessing is not None
    scan, inputs, outputs = volumes[0], len(volumes), card.network.out_channels + uncertainty
    here = scan.array.size
    there = voxels_on_grid(scan.geometry, card.preprocessing.spacing)
    planes, planes_there = _planes(scan, card.preprocessing)
    slab = there * min(1.0, patch[0] / planes_there)
    window = max(batch_size, 1) * math.prod(patch)
    kept = here * (max(1, math.ceil(len(card.structures) / 8)) + 2 * uncertainty)
    # SimpleITK takes a copy of what it resamples and gives one of the result.
    resampling = 0 if there == here else 8 * here + 8 * there
    prepared = 4 * there * inputs
    before = prepared + max(resampling, there * max(volume.array.itemsize for volume in volumes) + 4 * there)
    # A plane on either grid and one between; the output of a window, its activation and its mean.
    during = outputs * int(4 * slab + 8 * there / planes_there + 4 * here / planes + 12 * window)
    during += prepared + kept + network_bytes(card.network, patch, batch_size)
    # Turning back takes a copy, layers and the numbered pieces of a structure as large as the scan some more.
    after = kept + 8 * here + 4 * here * uncertainty
    return max(before, during, after)


def _planes(scan: Volume, preprocessing: Preprocessing) -> tuple[int, float]:
    """Return the length of the axis that is z on the model's grid, in voxels of the scan and of that grid."""
    pair = next(pair for pair in ("LR", "PA", "SI") if preprocessing.axis_codes[2] in pair)
    own = next(axis for axis, code in enumerate(scan.axis_codes) if code in pair)
    planes = scan.shape[2 - own]
    if preprocessing.spacing is None:
        return planes, planes
    return planes, max(planes * scan.spacing[own] / preprocessing.spacing[2], 1.0)
