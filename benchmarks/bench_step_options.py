"""What activation checkpointing and torch.compile cost and save on the CPU: time, start, and peak memory of a step.

Every variant is a process of its own, so that its peak memory is its own; the steps are those of the training
(`Stepper`), on noise, and the least of their times counts; processor time tells more on a machine that does other
things. Peak memory is the process's, Python and torch included (about 0.4 GiB).

    python benchmarks/bench_step_options.py                        # 96 x 96 x 96, batch 2, width 32: needs 16 GiB
    python benchmarks/bench_step_options.py --size 32 64 64 --compile
    python benchmarks/bench_step_options.py --size 64 64 64 --kind every
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

PRECISIONS = ("float32", "bfloat16")
KINDS = ("unet3d", "segresnet", "swin_unetr", "dynunet", "resnet")


def measure(kind: str, values: dict[str, Any], size: Sequence[int], batch: int, width: int | None, steps: int) -> None:
    """Do steps in this process, and print what they took as one line of JSON."""
    import torch
    from bench_gpu import NoiseTask

    from genesis_core.networks.registry import BACKBONES, create_network
    from genesis_core.task import Batch
    from genesis_core.training.settings import TrainingSettings
    from genesis_core.training.stepping import Stepper

    known = BACKBONES[kind].settings.model_fields
    given = {"width": width, "norm": "batch"} if kind == "unet3d" else {"width": width}
    given = {name: value for name, value in given.items() if value is not None and name in known}
    network = create_network(BACKBONES[kind].settings(**given), seed=0)
    x = torch.rand((batch, 1, *size), generator=torch.Generator().manual_seed(0))
    parts = [Batch(x, x.clone(), ("noise",) * batch)]
    stepper = Stepper(NoiseTask(), network, TrainingSettings(batch_size=batch, **values), torch.device("cpu"))
    times, work = [], []
    for step in range(steps):
        began, worked = time.perf_counter(), time.process_time()
        stepper.step(parts, step, steps)
        times.append(time.perf_counter() - began)
        work.append(time.process_time() - worked)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    said = [remark["message"] for remark in stepper.take_remarks()]
    print(json.dumps({"first": times[0], "least": min(times[1:]), "work": min(work[1:]), "peak": peak, "said": said}))


def child(arguments: argparse.Namespace, kind: str, values: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", json.dumps({"kind": kind, "values": values})]
    command += ["--size", *map(str, arguments.size), "--batch", str(arguments.batch), "--steps", str(arguments.steps)]
    command += ["--threads", str(arguments.threads)] + (["--width", str(arguments.width)] if arguments.width else [])
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"problem": f"ended with {done.returncode}"}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def table(arguments: argparse.Namespace) -> str:
    kinds = KINDS if arguments.kind == "every" else (arguments.kind,)
    ways: list[tuple[str, dict[str, Any]]] = [("", {}), (", recomputing", {"activation_checkpointing": True})]
    if arguments.compile:
        ways += [(", compiled", {"compile": "always"})]
        ways += [(", compiled, recomputing", {"compile": "always", "activation_checkpointing": True})]
    lines = [
        "| network | step | s a step | CPU s a step | of the first row's | first step, s | peak memory, GiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in kinds:
        plain = None
        for precision in arguments.precision:
            for words, more in ways:
                found = child(arguments, kind, {"precision": precision, **more})
                if "problem" in found:
                    lines.append(f"| {kind} | {precision}{words} | {found['problem']} | | | | |")
                    continue
                plain = plain or found["work"]
                lines.append(
                    f"| {kind} | {precision}{words} | {found['least']:.2f} | {found['work']:.2f} | "
                    f"{found['work'] / plain:.2f} | {found['first']:.1f} | {found['peak']:.2f} | "
                    f"{' '.join(found['said'])}".rstrip()
                )
                print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, nargs=3, default=(96, 96, 96), metavar=("Z", "Y", "X"))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--width", type=int, default=None, help="of the network; its own default otherwise")
    parser.add_argument("--kind", choices=(*KINDS, "every"), default="unet3d")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--compile", action="store_true", help="with torch.compile as well: a minute each")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        import torch

        torch.set_num_threads(arguments.threads)
        given = json.loads(arguments.one)
        measure(given["kind"], given["values"], arguments.size, arguments.batch, arguments.width, arguments.steps)
        return
    print(table(arguments))


if __name__ == "__main__":
    main()
