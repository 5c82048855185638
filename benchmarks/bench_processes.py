"""Pre-training on the CPU in two processes against one with both cores, and what agreeing costs a step.

Both draw the same sub-volumes: one process adds up the batches of two. Runs alternate; the first steps are left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from genesis_core.phantom.thorax import make_phantom
from genesis_core.training.agreement import agree
from genesis_core.training.connecting import connected
from genesis_core.training.events import last_of_each_step
from genesis_core.training.run_folder import RunFolder
from genesis_core.volumes.writing import write_volume

STEPS, LEFT_OUT, ROUNDS = 24, 4, 2000


def pretrain(scans: Path, out: Path, size: str, width: int, *more: str) -> tuple[float, float]:
    """Return the median seconds of a step, and the seconds it waited for data."""
    command = [sys.executable, "-m", "genesis_core", "pretrain", scans, "--out", out, "--modality", "ct"]
    command += ["--patch-size", size, "--width", width, "--batch-size", 2, "--max-steps", STEPS, *more]
    command += ["--set", "validation_samples=2", "--set", "network.norm=instance", "--cache", scans.parent / "cache"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    steps = last_of_each_step(RunFolder(out).events(), "step")[LEFT_OUT:]
    return median(step["seconds"] + step["waited"] for step in steps), median(step["waited"] for step in steps)


def agreement() -> None:
    """Time what two processes exchange in a step; called in each of them."""
    with connected("cpu") as processes:
        taken = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            processes.gather([1.0])
            agree(processes, None, 0.0)
            taken.append((time.perf_counter() - began) * 1e6)
        if processes.is_main:
            print(f"loss and agreement: {median(taken):.0f} us a step (least {min(taken):.0f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.inside:
        agreement()
        return
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*launcher, __file__, "--inside"], check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scans").mkdir()
        for number in range(3):
            write_volume(make_phantom(number, (96, 160, 160)).volume, folder / "scans" / f"{number}.nii.gz")
        for size, width in (("32,64,64", 8),):
            seconds: dict[str, list[float]] = {"one": [], "two": []}
            for turn in range(arguments.rounds):
                for label, more in (("one", ["--set", "training.accumulate=2"]), ("two", ["--processes", "2"])):
                    taken, waited = pretrain(folder / "scans", folder / f"{size}_{turn}_{label}", size, width, *more)
                    seconds[label].append(taken)
                    print(
                        f"{size}, width {width}, {label}: {taken:.3f} s a step, {4 / taken:.2f} sub-volumes/s, "
                        f"waited {waited * 1e3:.1f} ms"
                    )
            print(f"{size}: {min(seconds['one']) / min(seconds['two']):.2f}x by the best of each")


if __name__ == "__main__":
    main()
