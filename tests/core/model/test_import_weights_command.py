"""`napari-genesis import-weights`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from published_layout import published_checkpoint, published_tensors

from genesis_core.cli.main import run
from genesis_core.model.folder import load_model


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.save(published_checkpoint(published_tensors(width=4)), tmp_path / "Genesis_Chest_CT.pt")
    return tmp_path / "Genesis_Chest_CT.pt"


def test_a_published_file_is_converted_and_its_report_printed(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["import-weights", str(checkpoint), "--out", str(tmp_path / "model")]) == 0
    printed = capsys.readouterr().out
    assert "encoder" in printed
    assert "32" in printed
    card = load_model(tmp_path / "model").card
    assert f"licence: {card.licence}" in printed
    assert card.name == "Genesis_Chest_CT"


def test_json_is_one_record_on_stdout(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import-weights", str(checkpoint), "--out", str(tmp_path / "model"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["matched"], record["not_needed"], record["missing"]) == (64, 42, [])


def test_an_existing_output_is_wrong_usage_unless_overwriting(checkpoint: Path, tmp_path: Path) -> None:
    arguments = ["import-weights", str(checkpoint), "--out", str(tmp_path / "model")]
    assert [run(arguments), run(arguments), run([*arguments, "--overwrite"])] == [0, 2, 0]


def test_a_file_that_does_not_fit_fails_with_its_report(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = published_tensors(width=4)
    del tensors["up_tr64.up_conv.bias"]
    torch.save(published_checkpoint(tensors), checkpoint)
    arguments = ["import-weights", str(checkpoint), "--out", str(tmp_path / "model")]
    assert run(arguments) == 1
    captured = capsys.readouterr()
    assert "missing: up_tr64.up_conv.bias" in captured.out
    assert "98% of the encoder and decoder" in captured.err
    assert run([*arguments, "--minimum-matched", "0.9"]) == 0
    assert "started at random" in capsys.readouterr().err


def test_wrong_usage_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import-weights"]) == 2
    assert "FILE is required" in capsys.readouterr().err
    assert run(["import-weights", "x.pt", "--out", "y", "--minimum-matched", "2"]) == 2
    assert run(["import-weights", str(tmp_path / "absent.pt"), "--out", str(tmp_path / "y")]) == 1
    assert "no such file" in capsys.readouterr().err


def test_dry_run_writes_nothing(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import-weights", str(checkpoint), "--out", str(tmp_path / "model"), "--dry-run"]) == 0
    assert "minimum_matched: 1.0" in capsys.readouterr().out
    assert not (tmp_path / "model").exists()


def test_an_output_that_is_there_is_told_with_the_option_that_replaces_it(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    assert run(["import-weights", str(checkpoint), "--out", str(tmp_path / "model")]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_of_many_problems_the_first_ten_are_shown_and_the_rest_counted(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = {f"{name}x" if "conv" in name else name: value for name, value in published_tensors(width=4).items()}
    torch.save(published_checkpoint(tensors), checkpoint)
    assert run(["import-weights", str(checkpoint), "--out", str(tmp_path / "model")]) == 1
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if line.startswith(("missing: ", "mis-shaped: ", "unexpected: "))]
    assert len(told) == 10
    assert "more; --json tells them all" in lines[-1]
