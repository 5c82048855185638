"""`napari-genesis pretrain`: pre-train on a folder of unlabelled scans, or go on with a run."""

from __future__ import annotations

import shlex
from typing import Any

import click

from genesis_core.cli.interrupting import parent_option, stopped_by_signals
from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.cli.several_processes import in_several, is_silent, processes_option
from genesis_core.cli.training_report import TrainingReport
from genesis_core.training.pretrain_settings import PRESETS, PretrainSettings, with_preset

_PRESET_HELP = (
    "standard: sensible for most; published: the optimiser, norm and flips of the published code; lung_ct: sub-volumes "
    "of air-filled lung only, by the published filter."
)


def pretrain_command(settings: PretrainSettings, output: Output) -> int:
    """Run the pre-training; 0 when it finished, 130 when it was asked to stop."""
    from genesis_core.training.hardware import keep_freed_memory
    from genesis_core.training.pretrain import run_pretraining

    if settings.out is None:
        raise click.UsageError("--out is required: say where the run shall live")
    code = in_several(settings.out)
    if code is not None:
        return code
    keep_freed_memory()
    # The run itself turns signals into a checkpoint; this is for the moments before and after it.
    with stopped_by_signals(), TrainingReport(output) as report:
        run = run_pretraining(settings, report=report)
    if is_silent():
        return 0
    state = run.status().state
    if state == "stopped":
        output.say(f"go on with: napari-genesis pretrain --resume --out {shlex.quote(str(run.path))}")
        return 130
    output.say(f"model: {run.model}")
    output.say(f"next: napari-genesis restore SCAN --model {shlex.quote(str(run.path))} --out restored")
    return 0


def _prepare(values: dict[str, Any]) -> dict[str, Any]:
    preset = values.pop("preset", None) or "standard"
    if preset not in PRESETS:
        raise click.UsageError(f"preset '{preset}' is unknown: choose from {', '.join(PRESETS)}")
    if preset == "published":
        click.echo(
            "preset published: SGD with learning rate 1, as published. It often collapses to a constant output; "
            "the run warns when that happens.",
            err=True,
        )
    return with_preset(preset, values)


command = settings_command(
    "pretrain",
    PretrainSettings,
    pretrain_command,
    text=(
        "Pre-train a 3D U-Net on a folder of unlabelled scans.\n\n"
        "Sub-volumes are drawn from the scans, corrupted by the recipe, and restored by the network. Ctrl-C, or "
        "`napari-genesis runs stop`, writes a checkpoint; --resume goes on from it. In a cluster's queue, --resume "
        "auto begins the run or goes on with it; SIGTERM and SIGUSR1, sent before the time is up, write a checkpoint "
        "(exit 130). --processes trains on several GPUs, or on parts of a CPU; torchrun and srun on several machines."
    ),
    example="napari-genesis pretrain scans/ --out runs/lung --max-hours 8",
    arguments={"SCANS": "data.scans"},
    options={
        "--out": "out",
        "--resume": "resume",
        "--recipe": "recipe",
        "--max-steps": "training.max_steps",
        "--max-hours": "training.max_hours",
        "--batch-size": "training.batch_size",
        "--patch-size": "sampling.patch_size",
        "--width": "network.width",
        "--learning-rate": "training.learning_rate",
        "--patience": "training.patience",
        "--validate-every": "training.validate_every",
        "--checkpoint-every": "training.checkpoint_every",
        "--precision": "training.precision",
        "--modality": "data.modality",
        "--series": "data.series",
        "--cache": "data.cache",
        "--seed": "seed",
        "--device": "device",
    },
    flag_values={"--resume": "yes"},
    extra=[
        click.Option(
            ["--preset"],
            type=click.Choice(list(PRESETS)),
            help=_PRESET_HELP,
        ),
        processes_option(),
        parent_option(),
    ],
    prepare=_prepare,
    paths=("data.scans", "data.series", "data.cache"),
)
