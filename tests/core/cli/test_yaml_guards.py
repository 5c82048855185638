"""Settings files that are built to do harm, or are simply not settings, are refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.cli.main import run
from genesis_core.errors import RunError, SettingsError
from genesis_core.settings import dump_yaml, read_yaml

LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "aliases"),
        ("base: &b {seed: 1}\nother:\n  <<: *b\n", "aliases"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested"),
        ("a: " + "{a: " * 40 + "1" + "}" * 40, "nested"),
        ("a: !!python/object/apply:os.system ['touch hacked']", "not valid YAML"),
        ("a: [1, 2", "not valid YAML"),
        ("- 1\n- 2\n", "expected 'key: value' lines"),
        ("1: one\n", "expected 'key: value' lines"),
        ("a: \x00", "not valid YAML"),
    ],
)
def test_what_is_no_settings_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=said):
        read_yaml(file)
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=said):
        read_yaml(tmp_path / "run.yaml", RunError)
    assert not (tmp_path / "hacked").exists()


def test_bytes_that_are_no_text_and_files_without_end_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(SettingsError, match="not valid YAML"):
        read_yaml(file)
    with pytest.raises(SettingsError, match="larger than"):
        read_yaml("/dev/zero" if Path("/dev/zero").exists() else file, max_bytes=4)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_yaml(tmp_path)


def test_a_command_refuses_a_bomb_as_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bomb.yaml").write_text(LAUGHS)
    for command in ("pretrain", "corrupt"):
        assert run([command, "--config", str(tmp_path / "bomb.yaml")]) == 2
        assert "aliases" in capsys.readouterr().err


# Control characters and odd line separators are PyYAML's own affair.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" "))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text("abcdef", min_size=1), VALUES, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]) -> None:
    file = tmp_path_factory.mktemp("yaml") / "settings.yaml"
    file.write_text(dump_yaml(values), encoding="utf-8")
    assert read_yaml(file) == values


def test_a_value_that_occurs_twice_is_written_out_twice(tmp_path: Path) -> None:
    shared = ["x", "y"]
    (tmp_path / "settings.yaml").write_text(dump_yaml({"a": shared, "b": {"c": shared}}))
    assert read_yaml(tmp_path / "settings.yaml") == {"a": shared, "b": {"c": shared}}
