"""Small scans with bright blobs, and labels drawn on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from genesis_core.studies.review import Proposal, Review, read_proposals
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.label_volume import LabelVolume
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.writing import write_volume

SHAPE = (12, 24, 20)
GEOMETRY = Geometry(SHAPE, (0.7, 0.8, 2.5), (-50.0, 20.0, 7.0), (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
CASES = ("a", "site/b", "site/c")


def scan(seed: int = 0, geometry: Geometry = GEOMETRY) -> Volume:
    """Air with a block of soft tissue that holds a block of bone; larger with the seed."""
    array = np.full(geometry.shape, -900, np.int16)
    array[3:9, 4 : 12 + seed, 4:15] = 40
    array[5:7, 6 : 9 + seed, 6:11] = 700
    array[0, 0, 0] = -900 - seed
    return Volume(array, geometry)


def make_scans(folder: Path) -> Path:
    """Write one scan per case, in different formats."""
    for seed, (case, ending) in enumerate(zip(CASES, (".nii.gz", ".mha", ".nrrd"), strict=True)):
        path = folder / f"{case}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(scan(seed), path)
    return folder


def proposal(review: Review, case: str = "a") -> Proposal:
    """The proposal of a case."""
    return next(one for one in read_proposals(review) if one.case == case)


def corrected(review: Review, case: str = "a") -> LabelVolume:
    """The proposal with a corner painted as bone."""
    label = read_labels(proposal(review, case).label)
    array = label.layers[0].copy()
    array[-1, -3:, -3:] = 2
    return replace(label, layers=(array,))
