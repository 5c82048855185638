"""The same as a command: ranking the cases of a review, and continuing its training. No Qt."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path


def rank_words(scans: Path, run: Path, review: Path, device: str = "auto") -> list[str]:
    """Return the words of the command that ranks, without the program's name."""
    words = ["rank", str(scans), "--model", str(run), "--out", str(review)]
    return words if device == "auto" else [*words, "--device", device]


def continue_words(
    run: Path,
    corrected: Path | None,
    out: Path,
    start: str,
    max_steps: int | None,
    max_hours: float | None,
    device: str,
) -> list[str]:
    """Return the words of the command that continues a training, without the program's name."""
    words = ["finetune", "--continue", str(run)]
    if corrected is not None:
        words += ["--corrected", str(corrected)]
    words += ["--out", str(out), "--start", start]
    if max_steps is not None:
        words += ["--max-steps", str(max_steps)]
    if max_hours is not None:
        words += ["--max-hours", f"{max_hours:.4g}"]
    return words if device == "auto" else [*words, "--device", device]


def as_line(words: Sequence[str]) -> str:
    """Return a line for a terminal."""
    return shlex.join(["napari-genesis", *words]) + "\n"
