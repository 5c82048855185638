"""What the transfer benchmarks share: running a command as a user would, and Dice of whole scans with an interval.

Not a library: the commands printed here are the ones that RESULTS.md quotes.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from genesis_core.studies.evaluation.intervals import mean_interval

Scores = Mapping[str, Mapping[str, float | None]]


def genesis(*words: str | Path) -> str:
    """Print and run `napari-genesis WORDS` on one thread, and return what it said; a failure ends the benchmark."""
    command = [str(Path(sys.executable).with_name("napari-genesis")), *map(str, words)]
    print("\n$ " + shlex.join(["napari-genesis", *command[1:]]), flush=True)
    began = time.perf_counter()
    # One thread, so that arms timed beside other work compare, and results do not hang on the number of cores.
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    said = done.stdout + done.stderr
    print("\n".join(said.splitlines()[-25:]))
    print(f"({time.perf_counter() - began:.0f} s, exit code {done.returncode})", flush=True)
    if done.returncode:
        sys.exit(done.returncode)
    return said


def held_out_scores(run: Path) -> tuple[dict[str, dict[str, float | None]], dict[str, str]]:
    """Return the Dice of whole held-out scans by case and structure, and whose each case is, of a finished run."""
    values = json.loads((run / "held_out.json").read_text(encoding="utf-8"))
    return values["cases"], values["subjects"]


def case_means(scores: Scores, structure: str | None = None) -> dict[str, float]:
    """Return one figure per case: the Dice of `structure`, or the mean over its structures."""
    found = {}
    for case, dice in scores.items():
        values = [value for name, value in dice.items() if value is not None and structure in (None, name)]
        if values:
            found[case] = fmean(values)
    return found


def seed_means(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean over seeds of each case, so that seeds are not counted as subjects."""
    return {case: fmean(run[case] for run in runs) for case in runs[0]}


def with_interval(values: Mapping[str, float], subjects: Mapping[str, str], sign: bool = False) -> str:
    """Return "mean (low to high)": 95 % by bootstrap over subjects."""
    cases = sorted(values)
    plus = "+" if sign else ""
    mean = f"{fmean(values.values()):{plus}.3f}"
    interval = mean_interval([values[case] for case in cases], [subjects[case] for case in cases])
    return mean if interval is None else f"{mean} ({interval.low:{plus}.3f} to {interval.high:{plus}.3f})"
