"""How a command is made from its settings: options, files, assignments, help, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click
import pytest
import yaml
from click.testing import CliRunner

from genesis_core.cli.main import run as run_line
from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.settings import Settings, Size3, Spacing3, setting


class Inner(Settings):
    steps: int = setting(10, "How many steps.", unit="steps", ge=1, le=100)
    rate: float | None = setting(None, "How fast.", gt=0)


class Outer(Settings):
    scan: Path | None = setting(None, "The scan.")
    mode: Literal["fast", "slow"] = setting("fast", "How to do it.")
    patch: Size3 = setting((8, 16, 16), "Size of a sub-volume.", unit="voxels")
    again: Literal["no", "yes", "auto"] = setting("no", "Whether to go on.")
    flag: bool = setting(False, "Whether to wave.")
    spacing: Spacing3 | Literal["as scanned"] | None = setting(None, "How fine.", unit="mm")
    inner: Inner = setting(Inner(), "A group.")


def make(seen: list[Outer]) -> click.Command:
    def run(settings: Outer, _output: Output) -> int:
        seen.append(settings)
        return 0

    return settings_command(
        "try",
        Outer,
        run,
        text="Try it.",
        example="napari-genesis try scan.nii",
        arguments={"SCAN": "scan"},
        options={
            "--mode": "mode",
            "--patch": "patch",
            "--again": "again",
            "--flag": "flag",
            "--spacing": "spacing",
            "--steps": "inner.steps",
        },
        flag_values={"--again": "yes"},
        paths=("scan",),
    )


def run(*arguments: str) -> Outer:
    seen: list[Outer] = []
    result = CliRunner().invoke(make(seen), list(arguments), standalone_mode=False)
    assert result.exception is None, result.exception
    return seen[0]


def test_what_is_not_given_has_its_default() -> None:
    assert run() == Outer()


def test_options_win_over_assignments_and_these_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("mode: slow\npatch: [4, 4, 4]\ninner: {steps: 5, rate: 0.5}\n")
    found = run("--config", str(config), "--set", "inner.steps=6", "--set", "patch=[2, 4, 8]", "--steps", "7")
    assert found == Outer(mode="slow", patch=(2, 4, 8), inner=Inner(steps=7, rate=0.5))


def test_paths_in_a_file_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("scan: scans/one.nii\n")
    assert run("--config", str(tmp_path / "config.yaml")).scan == tmp_path / "scans" / "one.nii"


def test_a_choice_can_be_a_flag_with_a_value() -> None:
    assert run("--again").again == "yes"
    assert run("--again", "auto").again == "auto"
    assert run("--again", "--steps", "3").again == "yes"
    assert run("--flag").flag is True


def test_a_word_beside_numbers_leaves_the_numbers_to_be_typed() -> None:
    assert run("--spacing", "0.8,0.8,3").spacing == (0.8, 0.8, 3.0)
    assert run("--spacing", "as scanned").spacing == "as scanned"
    assert "--spacing X,Y,Z" in CliRunner().invoke(make([]), ["--help"]).stdout


def test_sizes_are_typed_with_commas_or_as_one_number() -> None:
    assert run("--patch", "2,3,4").patch == (2, 3, 4)
    assert run("--patch", "5").patch == (5, 5, 5)


def test_dry_run_prints_settings_that_can_be_read_again(tmp_path: Path) -> None:
    result = CliRunner().invoke(make([]), ["scan.nii", "--steps", "3", "--dry-run"])
    assert result.exit_code == 0
    assert Outer(**yaml.safe_load(result.stdout)) == Outer(scan=Path("scan.nii"), inner=Inner(steps=3))


def test_a_dry_run_for_programs_is_one_json_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(make([]), ["scan.nii", "--steps", "3", "--dry-run", "--json"])
    assert Outer(**json.loads(result.stdout)["settings"]) == Outer(scan=Path("scan.nii"), inner=Inner(steps=3))


def test_a_wrong_option_beside_a_file_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mode: slow\n")
    result = CliRunner().invoke(make([]), ["--config", str(tmp_path / "config.yaml"), "--steps", "0"])
    assert f"napari-genesis try --config {tmp_path / 'config.yaml'}: 'inner.steps' = '0'" in result.stderr


def test_help_tells_unit_bounds_default_and_an_example() -> None:
    text = " ".join(CliRunner().invoke(make([]), ["--help"]).stdout.split())
    assert "How many steps. [steps; at least 1; at most 100; default 10]" in text
    assert "napari-genesis try scan.nii" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "'inner.steps' = '0'"),
        (["--steps", "many"], "inner.steps"),
        (["--set", "inner.speed=3"], "unknown key 'inner.speed'"),
        (["--set", "inner"], "KEY=VALUE"),
        (["--set", "mode.x=1"], "mode"),
        (["--config", "missing.yaml"], "missing.yaml"),
        (["--mode", "warp"], "warp"),
    ],
)
def test_wrong_values_are_named(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(make([]), arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_what_is_missing_is_named_as_it_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["segment", "scan.nii.gz", "--out", "out"]) == 2
    assert "--model is required" in capsys.readouterr().err
    assert run_line(["runs", "show"]) == 2
    assert "RUN is required" in capsys.readouterr().err
