"""A whole pre-training on the GPU for ten minutes: sub-volumes a second, where the time went, and what was learnt.

Preparing scans, drawing, transfers, corruption, validations and checkpoints included. Without scans of your own it
makes synthetic thoraxes, which takes a few seconds each on a core.

    python benchmarks/bench_gpu_pretrain.py [SCANS] --set training.compile=auto
    python benchmarks/bench_gpu_pretrain.py --device cpu --quick  # under a minute, on any machine: does it run at all?
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from device_timing import NO_GPU, device_parser

from genesis_core.inference.predictor import choose_device
from genesis_core.training.events import last_of_each_step
from genesis_core.training.pretrain import pretrain
from genesis_core.training.run_folder import RunFolder

STAGES = ("data", "corruption", "network", "update")
QUICK = {
    "network": {"width": 4},
    "sampling": {"patch_size": [16, 32, 32]},
    "training": {"batch_size": 2, "max_steps": 12, "validate_every": 4},
    "validation_samples": 4,
}


def settings_of(given: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the pre-training, by group."""
    values: dict[str, Any] = {
        "network": {"width": given.width},
        "sampling": {"patch_size": given.patch},
        "training": {"batch_size": given.batch, "max_hours": given.minutes / 60, "validate_every": 200},
    }
    if given.quick:
        values = QUICK
    for text in given.set:
        key, _, value = text.partition("=")
        *groups, name = key.split(".")
        place = values
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = yaml.safe_load(value)
    return values


def report_of(run: RunFolder, batch: int, device: torch.device) -> str:
    """Return what the run's events tell, as markdown."""
    events = list(run.events())
    steps = last_of_each_step(iter(events), "step")
    # From the end of the first step to that of the last.
    pace = batch * (len(steps) - 1) / (steps[-1]["time"] - steps[0]["time"])
    lines = [
        f"{len(steps)} steps of {batch}, torch {torch.__version__}, "
        f"{torch.cuda.get_device_name(device) if device.type == 'cuda' else 'CPU'}; "
        f"{pace:.1f} sub-volumes a second, validations and checkpoints included.",
        "",
        f"| step | s a step | {' | '.join(STAGES)} | loss | of returning the input | of returning the mean |",
        "|---|---|" + "---|" * (len(STAGES) + 3),
    ]
    validations = {event["step"]: event for event in last_of_each_step(iter(events), "validation")}
    for event in last_of_each_step(iter(events), "timing"):
        figures = validations[event["step"]]
        loss = figures.get("loss", figures.get("train_loss"))
        shares = " | ".join(f"{event[stage]:.1%}" for stage in STAGES)
        lines.append(
            f"| {event['step']} | {event['seconds'] / event['steps']:.3f} | {shares} | {loss:.5f} | "
            f"{figures['return_input']:.5f} | {figures['return_mean']:.5f} |"
        )
    said = dict.fromkeys(event["message"] for event in events if event["event"] == "warning")
    lines += ["", *(f"- {message}" for message in said)]
    if device.type == "cuda":
        lines.append(f"- Most memory on the device: {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB")
    return "\n".join(lines).rstrip()


def main(arguments: Sequence[str] | None = None) -> str:
    """Pre-train, print the report as markdown, and return it."""
    parser = device_parser(__doc__, quick="a tiny network and a dozen steps")
    parser.add_argument("scans", nargs="?", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--patch", type=int, nargs=3, default=[96, 96, 96], metavar=("Z", "Y", "X"))
    parser.add_argument("--made", type=int, default=None, help="how many synthetic scans, without scans of your own")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any setting, such as in run.yaml"
    )
    given = parser.parse_args(arguments)
    device = choose_device(given.device)
    if given.device == "auto" and device.type != "cuda":
        print(NO_GPU)
        return NO_GPU
    values = settings_of(given)
    with tempfile.TemporaryDirectory() as folder:
        scans = given.scans
        if scans is None:
            from genesis_core.phantom.thorax import write_phantoms

            scans = Path(folder) / "scans"
            write_phantoms(scans, given.made or (2 if given.quick else 12), seed=0)

        def say(event: dict[str, Any]) -> None:
            if event["event"] in ("timing", "validation", "warning"):
                print(event, file=sys.stderr, flush=True)

        run = pretrain(scans, Path(folder) / "run", settings=values, device=given.device, report=say)
        text = report_of(run, values["training"]["batch_size"], device)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    return text


if __name__ == "__main__":
    main()
