"""Holding scans out, the rule on fallbacks, and the settings."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.errors import SamplingError, SettingsError
from genesis_core.sampling.fallback_rule import FallbackRule
from genesis_core.sampling.settings import DataSettings, SamplingSettings
from genesis_core.sampling.split import split_scans
from genesis_core.settings import dump_yaml, validate
from genesis_core.volumes.intensity import PercentileIntensity, WindowIntensity

IDS = st.lists(st.text("0123456789abcdef", min_size=3, max_size=6), unique=True, max_size=40)


@settings(deadline=None)
@given(IDS, st.floats(0, 0.9), st.integers(0, 2**64))
def test_a_split_keeps_every_scan_once(ids: list[str], fraction: float, seed: int) -> None:
    split = split_scans(ids, fraction, seed)
    assert sorted(split.training + split.validation) == sorted(ids)
    assert len(split.training) >= min(1, len(ids))
    if len(ids) >= 2 and fraction > 0:
        assert len(split.validation) >= 1
        assert abs(len(split.validation) - fraction * len(ids)) <= 1
        assert split.warning is None


@settings(deadline=None)
@given(IDS, st.floats(0.01, 0.9), st.randoms())
def test_a_split_does_not_depend_on_the_order_of_the_scans(ids: list[str], fraction: float, random: object) -> None:
    shuffled = list(ids)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert set(split_scans(ids, fraction).validation) == set(split_scans(shuffled, fraction).validation)


@settings(deadline=None)
@given(IDS, st.floats(0.01, 0.9), st.floats(0.01, 0.9))
def test_a_larger_fraction_holds_out_the_same_scans_and_more(ids: list[str], one: float, other: float) -> None:
    less, more = sorted([one, other])
    assert set(split_scans(ids, less).validation) <= set(split_scans(ids, more).validation)


def test_another_seed_holds_out_other_scans() -> None:
    ids = [f"scan_{number}" for number in range(50)]
    assert split_scans(ids, 0.2, 0).validation != split_scans(ids, 0.2, 1).validation


@pytest.mark.parametrize(
    ("ids", "fraction", "said"), [(["a"], 0.2, "one scan"), ([], 0.2, "no scan"), (["a", "b"], 0, "0")]
)
def test_no_validation_is_said(ids: list[str], fraction: float, said: str) -> None:
    split = split_scans(ids, fraction)
    assert split.validation == ()
    assert said in str(split.warning)


def test_a_run_of_mostly_fallbacks_is_stopped_with_the_reason() -> None:
    rule = FallbackRule()
    for _ in range(19):
        rule.update(10, 10)
    with pytest.raises(SamplingError, match=r"200 of 200 sub-volumes.*min_tissue"):
        rule.update(10, 10)


def test_half_fallbacks_or_few_sub_volumes_are_no_reason_to_stop() -> None:
    assert FallbackRule().update(199, 199).drawn == 199
    assert FallbackRule().update(1000, 500).fallbacks == 500
    with pytest.raises(SamplingError):
        FallbackRule().update(1000, 501)


def test_the_rule_goes_on_from_its_two_integers() -> None:
    with pytest.raises(SamplingError):
        FallbackRule(drawn=190, fallbacks=100).update(10, 10)


def test_settings_survive_being_written_as_yaml() -> None:
    data = DataSettings(scans="scans", spacing=(1, 1, 2), intensity=WindowIntensity(low=-160, high=240), cache="c")
    sampling = SamplingSettings(patch_size=(16, 32, 32), flips=("x",), filter="lung_ct")
    assert DataSettings.model_validate(yaml.safe_load(dump_yaml(data.model_dump(mode="json")))) == data
    assert SamplingSettings.model_validate(yaml.safe_load(dump_yaml(sampling.model_dump(mode="json")))) == sampling


def test_the_defaults_are_the_published_patch_and_our_flips() -> None:
    sampling = SamplingSettings()
    assert sampling.patch_size == (32, 64, 64)
    assert sampling.flips == ("x", "y", "z")
    assert (sampling.lung.threshold, sampling.lung.max_tissue, sampling.lung.margin) == (-150, 0.15, (30, 100, 100))


def test_preprocessing_follows_from_the_data_settings() -> None:
    data = DataSettings(scans="scans", axis_codes="RAS", spacing=(1, 1, 1))
    assert isinstance(data.preprocessing("mr").intensity, PercentileIntensity)
    assert data.preprocessing("ct").axis_codes == "RAS"
    assert data.preprocessing("ct").spacing == (1, 1, 1)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"flips": "x,x"}, "flips"),
        ({"flips": ["left"]}, "flips"),
        ({"patch_size": [0, 1, 1]}, "patch_size"),
        ({"flip_probability": 1.5}, "flip_probability"),
        ({"min_tissue": -0.1}, "min_tissue"),
        ({"max_tries": 0}, "max_tries"),
        ({"filter": "liver"}, "filter"),
        ({"lung": {"margin": [-1, 0, 0]}}, "lung.margin"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
def test_settings_out_of_bounds_are_refused_by_name(values: dict[str, object], key: str) -> None:
    with pytest.raises(SettingsError, match=key):
        validate(SamplingSettings, values)


def test_every_setting_has_a_sentence() -> None:
    for model in (DataSettings, SamplingSettings):
        for name, field in model.model_fields.items():
            assert field.description, name
