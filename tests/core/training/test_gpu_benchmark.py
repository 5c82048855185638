"""The benchmark of a whole pre-training on a GPU runs anywhere; the torch engine's tests run that of single steps."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.mark.slow
def test_a_quick_pre_training_says_where_its_time_went(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    main = importlib.import_module("bench_gpu_pretrain").main
    text = main(["--device", "cpu", "--quick", "--set", "training.max_steps=4", "--out", str(tmp_path / "run.md")])
    assert (tmp_path / "run.md").read_text() == text + "\n"
    (row,) = [line.split(" | ") for line in text.splitlines() if line.startswith("| 4 ")]
    assert sum(float(share.rstrip("%")) for share in row[2:6]) == pytest.approx(100, abs=0.3)
