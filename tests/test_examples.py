"""The examples run as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("script", "word", "made"),
    [
        # The demo, which is always tested, goes the same way.
        pytest.param("pretrain_and_restore.py", "psnr", "residual.nii.gz", marks=pytest.mark.slow),
        ("finetune_and_segment.py", "lung_right: ", "scores/report.html"),
    ],
)
def test_an_example_runs_from_start_to_end(tmp_path: Path, script: str, word: str, made: str) -> None:
    command = [sys.executable, str(REPOSITORY / "examples" / script), str(tmp_path), "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert word in done.stdout
    assert (tmp_path / made).exists()
    again = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert again.returncode == 1
    assert "holds the output of an earlier call" in again.stderr
    assert "Traceback" not in again.stderr
