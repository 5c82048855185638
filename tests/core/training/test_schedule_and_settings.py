"""Learning rates as a function of the step, and what settings refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.errors import SettingsError
from genesis_core.settings import validate
from genesis_core.training.pretrain_settings import PRESETS, PretrainSettings, with_preset
from genesis_core.training.schedule import learning_rate
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.verdict import against_collapse


@given(total=st.integers(1, 5000), warmup=st.floats(0, 0.5), schedule=st.sampled_from(["cosine", "step", "constant"]))
@settings(deadline=None, max_examples=60)
def test_learning_rates_are_positive_and_never_above_the_peak(total: int, warmup: float, schedule: Any) -> None:
    chosen = TrainingSettings(warmup=warmup, schedule=schedule, learning_rate=0.01)
    rates = [learning_rate(chosen, step, total) for step in range(0, total, max(1, total // 50))]
    assert all(0 < rate <= 0.01 for rate in rates)


def test_cosine_rises_then_falls_to_nothing() -> None:
    chosen = TrainingSettings(warmup=0.1, learning_rate=1.0)
    rates = [learning_rate(chosen, step, 100) for step in range(100)]
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001


def test_published_schedule_halves_every_forty_epochs() -> None:
    chosen = validate(PretrainSettings, with_preset("published", {})).training
    assert learning_rate(chosen, 0, 10**6) == 1.0
    assert learning_rate(chosen, 94_919, 10**6) == 1.0
    assert learning_rate(chosen, 94_920, 10**6) == 0.5


def test_against_a_collapse_only_what_is_not_set_already_is_advised() -> None:
    usual = "; ".join(against_collapse(PretrainSettings()))
    assert "learning_rate below 0.001" in usual
    assert not [word for word in ("adamw", "sgd", "network.norm") if word in usual]
    assert "less outer cut-out" in usual
    published = "; ".join(against_collapse(validate(PretrainSettings, with_preset("published", {}))))
    assert "training.optimiser=adamw with training.learning_rate=1e-3 instead of sgd 1;" in published
    assert "network.norm=batch instead of batch_statistics" in published
    denoising = against_collapse(validate(PretrainSettings, with_preset("denoising", {})))
    assert "less outer cut-out" not in "; ".join(denoising)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_presets_are_valid_and_can_be_changed_in_part(preset: str) -> None:
    chosen = validate(PretrainSettings, with_preset(preset, {"network": {"width": 4}, "training": {"batch_size": 2}}))
    assert chosen.training.batch_size == 2
    assert chosen.network.model_dump()["width"] == 4
    assert chosen.network.model_dump()["norm"] == ("batch_statistics" if preset == "published" else "batch")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"training": {"batch_size": 0}}, r"training\.batch_size.*0.*greater than or equal to 1"),
        ({"training": {"learning_rat": 1}}, r"unknown key 'training\.learning_rat'"),
        ({"loss": "huber"}, r"'loss' = 'huber'.*mse"),
        ({"loss_region": "replaced", "recipe": "denoising"}, "needs a recipe with a cut-out, and 'denoising' has none"),
        ({"loss_region": "replaced", "loss": "ssim"}, "take mse or mae"),
        ({"sampling": {"patch_size": "32,64"}}, "patch_size"),
        ({"recipe": "no_such_recipe"}, "no_such_recipe"),
    ],
)
def test_wrong_settings_are_named_with_what_is_allowed(values: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message) as caught:
        validate(PretrainSettings, values)
    assert type(caught.value).__name__ in ("SettingsError", "RecipeError"), SettingsError
