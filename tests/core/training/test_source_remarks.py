"""What is said of a source before a fine-tuning starts from it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from genesis_core.training.source_remarks import source_remarks


def remarks(metrics: dict[str, float], expects: str = "ct", **data: str) -> list[str]:
    card = SimpleNamespace(preprocessing=SimpleNamespace(modality=expects), metrics=metrics, data=data)
    start, found = (
        SimpleNamespace(source=SimpleNamespace(card=card)),
        SimpleNamespace(facts=SimpleNamespace(modality="ct")),
    )
    return source_remarks(cast(Any, found), cast(Any, start))


@pytest.mark.parametrize("loss", ["loss", "train_loss"])
def test_a_source_that_never_beat_the_mean_is_no_help(loss: str) -> None:
    (said,) = remarks({loss: 0.06, "return_mean": 0.05})
    assert "no better than returning each sub-volume's mean" in said
    assert remarks({loss: 0.04, "return_mean": 0.05}) == []


def test_nothing_is_said_of_what_is_not_known() -> None:
    assert remarks({}) == []
    assert source_remarks(cast(Any, None), cast(Any, SimpleNamespace(source=None))) == []


def test_another_modality_is_named() -> None:
    said = ["the source was trained on MR, these cases are CT: it may help little."]
    assert remarks({}, "mr") == remarks({}, "mr", modality="mr") == said
    assert remarks({}, "mr", modality="ct and mr") == []
