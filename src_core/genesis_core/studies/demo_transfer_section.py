"""The part of the demo's report that shows what a few labels were enough for."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from genesis_core.pictures.encoding import data_uri
from genesis_core.pictures.mosaic import Row, Tile, sheet
from genesis_core.pictures.slices import Pixels, grey, labelled
from genesis_core.studies.page import figure, html_table

if TYPE_CHECKING:
    from genesis_core.studies.demo_transfer import Transfer
    from genesis_core.volumes.label_volume import LabelVolume

# Soft tissue with lungs still visible, HU.
_WINDOW = (-900.0, 400.0)


def transfer_section(transfer: Transfer) -> str:
    """Return the section: picture, Dice per structure, and where the whole evaluation is."""
    rows = []
    for one in transfer.evaluation.summary:
        dice, distance = one.metrics["dice"], one.metrics["hd95_mm"]
        rows.append(
            [
                escape(one.structure.replace("_", " ")),
                figure(None if dice is None else dice.mean),
                figure(None if distance is None else distance.mean, 1),
            ]
        )
    table = html_table(["structure", "Dice", "HD95, mm"], rows)
    count = len(transfer.evaluation.cases)
    return (
        f"<h2>Then it learnt to segment, from {transfer.training} labelled scans</h2>"
        f'<img alt="scan, reference and prediction" src="{data_uri(_picture(transfer))}">'
        "<p>The pre-trained encoder and decoder were the start; all layers were then trained for "
        f"{transfer.run.status().step} steps. Means over {count} scans that neither training saw. Whether pre-training "
        "helped is a question for <code>--source</code> against none at equal budget, over several seeds; this demo "
        "does not ask it.</p>"
        f"{table}<p><small>Every figure, and the worst cases pictured: evaluation/report.html.</small></p>"
    )


def _picture(transfer: Transfer) -> Pixels:
    scan = transfer.shown
    rows = []
    for name, axis in (("axial", 0), ("coronal", 1)):
        index = scan.shape[axis] // 2
        picture = grey(_plane(scan.array, axis, index), *_WINDOW)
        tiles = [Tile(picture, f"scan, {name}")]
        for title, labels in (("reference", transfer.reference), ("prediction", transfer.prediction)):
            numbers, colours = _numbers(labels, transfer.reference)
            tiles.append(Tile(labelled(picture, _plane(numbers, axis, index), colours), title, smooth=False))
        rows.append(Row(tuple(tiles)))
    return sheet(rows, footer="Synthetic thorax CT, no person.", tile_width=285)


def _plane(array: np.ndarray, axis: int, index: int) -> np.ndarray:
    """Return a slice, coronal ones head up; the phantoms' axes grow toward left, back and head."""
    plane: np.ndarray = np.take(array, index, axis=axis)
    return plane if axis == 0 else plane[::-1]


def _numbers(labels: LabelVolume, like: LabelVolume) -> tuple[np.ndarray, dict[int, tuple[int, int, int]]]:
    """Return one number per voxel, the same for a structure in both label volumes, and their colours."""
    wanted = {structure.name: structure for structure in like.structures}
    numbers = np.zeros(labels.geometry.shape, np.int16)
    for structure in labels.structures:
        if structure.name in wanted:
            numbers[labels.mask(structure)] = wanted[structure.name].value
    return numbers, {one.value: one.colour or (230, 159, 0) for one in wanted.values()}
