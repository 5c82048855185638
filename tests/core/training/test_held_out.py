"""The figure of held-out scans: Dice per structure, where it is known what is right."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from genesis_core.targets.segmentation_target import Target
from genesis_core.training.held_out import score_held_out
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels
from genesis_core.volumes.labelled.case import Case, LabelSource, Source
from genesis_core.volumes.volume import Volume
from genesis_core.volumes.writing import write_volume

LIVER, IGNORE = Structure("liver", 1), Structure("ignore", 2)


def test_places_marked_to_be_ignored_count_neither_for_nor_against_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = np.zeros((4, 4, 4), np.uint8)
    drawn[:2], drawn[2] = 1, 2
    image = Volume.from_array(np.zeros(drawn.shape, np.int16))
    write_volume(image, tmp_path / "image.nii.gz")
    write_labels(LabelVolume((drawn,), image.geometry, (LIVER, IGNORE)), tmp_path / "label.nii.gz")
    label = LabelSource("map", (("", Source(tmp_path / "label.nii.gz")),))
    case = Case("a", "a", (Source(tmp_path / "image.nii.gz"),), label, None, "a")
    # The model draws all that is known to be liver, and on into the part nobody looked at.
    predicted = LabelVolume(((drawn > 0).astype(np.uint8),), image.geometry, (LIVER,))
    monkeypatch.setattr("genesis_core.inference.segment.segment", lambda *_, **__: SimpleNamespace(labels=predicted))
    nothing: Any = None
    scored = score_held_out(
        nothing,
        [case],
        Target((LIVER,), "softmax", ()),
        (LIVER, IGNORE),
        device="cpu",
        precision="float32",
        report=lambda *_: None,
        stop=lambda: False,
    )
    assert list(scored.scores.values()) == [{"liver": 1.0}]
