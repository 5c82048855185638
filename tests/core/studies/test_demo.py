"""The demo: everything from nothing to a page, and nothing of anybody's overwritten."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from genesis_core.cli.main import run
from genesis_core.cli.training_report import TrainingReport
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.writing import write_volume

QUICK = ["--minutes", "0.05", "--finetune-minutes", "0.05", "--scans", "2", "--width", "2", "--batch-size", "1"]


def test_the_demo_ends_with_one_self_contained_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Two threads of a tiny network wait for one another most of the time where other tests run beside it.
    monkeypatch.setattr("genesis_core.training.together.available_cores", lambda: 1)
    out = tmp_path / "demo"
    assert run(["demo", "--out", str(out), *QUICK]) == 0, capfd.readouterr().err
    page = (out / "report.html").read_text(encoding="utf-8")
    sections = (
        "returning the input",
        "returning the mean",
        "the middle of a scan",
        "learnt to segment",
        "What to do next",
    )
    for words in (*sections, "Synthetic"):
        assert words.lower() in page.lower()
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r"<script|<link|src=\"http", page)
    assert str(tmp_path) not in page
    assert (out / "evaluation" / "report.html").is_file()
    assert (out / "segmenter" / "model" / "model.yaml").is_file()
    assert run(["demo", "--out", str(out), *QUICK]) == 2
    assert "exists already" in capfd.readouterr().err


def test_a_folder_that_is_no_demo_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "precious.nii.gz").write_bytes(b"mine")
    assert run(["demo", "--out", str(tmp_path), "--overwrite"]) == 2
    assert (tmp_path / "scans" / "precious.nii.gz").read_bytes() == b"mine"


def test_a_demo_that_is_asked_to_stop_goes_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scans").mkdir()
    write_volume(make_phantom(0, (32, 64, 64)).volume, tmp_path / "scans" / "chest.nii.gz")
    with monkeypatch.context() as patched:
        # As Ctrl-C does, while the scans are prepared.
        patched.setattr(TrainingReport, "_on_preparing", lambda *_: signal.raise_signal(signal.SIGINT))
        assert run(["demo", "--data", str(tmp_path / "scans"), "--out", str(tmp_path / "demo"), *QUICK]) == 130
    assert "stopped on request" in capfd.readouterr().err
    assert not (tmp_path / "demo" / "restored").exists()


def test_doctor_tells_versions_speed_and_advice(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json", "--no-network", "--patch-size", "8,16,16"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["versions"]["torch"]
    assert facts["sub_volumes_per_second"] > 0
    assert facts["cores"] >= 1
    assert isinstance(facts["advice"], list)
