"""What everything else stands on: random numbers without state, settings with clear errors, files written whole."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.atomic import replacing, write_text
from genesis_core.durations import duration
from genesis_core.errors import SettingsError
from genesis_core.randomness import bits, integer, stream, uniform, uniforms
from genesis_core.settings import Settings, Size3, Spacing3, read_yaml, setting, validate

SEEDS = st.integers(-(2**70), 2**70)


def test_splitmix64_gives_its_published_numbers() -> None:
    # The first outputs for the state 1234567, as the authors' reference program prints them.
    assert [bits(1234567, n) for n in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(seed=SEEDS, counter=st.integers(0, 10**6))
@settings(deadline=None, max_examples=50)
def test_numbers_one_by_one_are_those_of_a_whole_array(seed: int, counter: int) -> None:
    key = stream(seed, "test", counter)
    np.testing.assert_array_equal(uniforms(key, 5, counter), [uniform(key, counter + n) for n in range(5)])


@given(seed=SEEDS, low=st.integers(-50, 50), span=st.integers(0, 40))
@settings(deadline=None, max_examples=50)
def test_integers_stay_between_their_ends(seed: int, low: int, span: int) -> None:
    assert all(low <= integer(seed % 2**64, n, low, low + span) <= low + span for n in range(20))


def test_streams_of_other_names_are_unrelated() -> None:
    names = [("a",), ("b",), ("a", 0), ("a", 1), ("a", 0, 1), ("a", 1, 0), ("ab",), ("a", "b"), (0,), (1,)]
    draws = np.array([uniforms(stream(7, *name), 4000) for name in names])
    correlations = np.corrcoef(draws)[np.triu_indices(len(names), 1)]
    assert np.abs(correlations).max() < 0.06
    assert np.abs(draws.mean(axis=1) - 0.5).max() < 0.02
    assert stream(7, "a") != stream(8, "a")


def test_every_value_of_a_range_is_equally_likely() -> None:
    counts = np.bincount([integer(stream(3, "die"), n, 1, 6) for n in range(6000)], minlength=7)
    assert counts[0] == 0
    assert np.abs(counts[1:] - 1000).max() < 120


class Sizes(Settings):
    size: Size3 = setting((1, 2, 3), "A size.")
    spacing: Spacing3 | None = setting(None, "A spacing.")
    share: float = setting(0.5, "A share.", ge=0, le=1)


@pytest.mark.parametrize(
    ("given", "wanted"), [("4,5,6", (4, 5, 6)), (7, (7, 7, 7)), ("7", (7, 7, 7)), ([1, 2, 3], (1, 2, 3))]
)
def test_sizes_are_read_from_lists_text_and_single_numbers(given: object, wanted: tuple[int, ...]) -> None:
    assert validate(Sizes, {"size": given}).size == wanted


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sise": 3}, "here: unknown key 'sise'"),
        ({"size": "1,2"}, "here: 'size' = '1,2': expected three whole numbers Z,Y,X, or one for all axes; found 2"),
        ({"size": [1, 2, 0]}, "greater than or equal to 1"),
        ({"spacing": [1, 1, -1]}, "greater than 0"),
        ({"share": float("nan")}, "share"),
        ({"share": 2, "size": 0}, "'share' = 2.*less than or equal to 1"),
    ],
)
def test_every_bad_setting_is_named_with_what_is_allowed(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        validate(Sizes, values, where="here")


@pytest.mark.parametrize(
    "content",
    [
        b"- a\n- b\n",
        b"a: [1,",
        b"\xff\xfe\x00",
        b"!!python/object/apply:os.system ['touch executed']",
        b"1: 2\n",
        b"just text",
    ],
)
def test_a_yaml_file_that_is_no_mapping_is_refused_and_never_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.yaml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"file\.yaml"):
        read_yaml(tmp_path / "file.yaml")
    assert not (tmp_path / "executed").exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_on_windows_a_file_that_is_being_read_is_replaced_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "status.json"
    write_text(path, "old")
    waited: list[float] = []

    def replace(temporary: Path, to: Path) -> None:
        if len(waited) < 2:
            raise PermissionError("used by another process")
        os.replace(temporary, to)

    monkeypatch.setattr("genesis_core.atomic.os", SimpleNamespace(name="nt", fsync=os.fsync, replace=replace))
    monkeypatch.setattr("genesis_core.atomic.time", SimpleNamespace(sleep=waited.append))
    write_text(path, "new")
    assert path.read_text() == "new"
    assert len(waited) == 2


@pytest.mark.parametrize(("seconds", "text"), [(3, "3 s"), (89, "89 s"), (120, "2 min"), (12000, "3 h 20 min")])
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
