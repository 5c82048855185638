"""`napari-genesis finetune`: learn to segment what is drawn in a labelled folder, or go on with such a run.

To resume (--resume) is to finish a run as if it had never stopped; to continue (--continue) makes a new one of it.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from genesis_core.cli.interrupting import parent_option, stopped_by_signals
from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.cli.several_processes import in_several, is_silent, processes_option
from genesis_core.cli.training_report import TrainingReport
from genesis_core.errors import SettingsError
from genesis_core.settings import dump_yaml
from genesis_core.training.finetune_settings import FinetuneSettings, RoundSettings
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import read_settings

_TWINS_ALONE = (
    "twins train in one process: say --no-twins, and when the run is finished call finetune --resume --twins in one"
)
# Setting of a round -> its option, as the command line hands it over.
_ROUND = {"previous": "continued_run", "corrected": "corrected", "start": "start"}


def finetune_command(settings: FinetuneSettings, output: Output) -> int:
    """Run the fine-tuning; 0 when it finished, 130 when it was asked to stop."""
    from genesis_core.training.finetune import run_finetuning
    from genesis_core.training.hardware import keep_freed_memory

    if settings.out is None:
        raise click.UsageError("--out is required: say where the run shall live")
    twins = _are_twins_wanted(settings, RunFolder(settings.out))
    code = in_several(settings.out, refused=_TWINS_ALONE if twins else None)
    if code is not None:
        return code
    keep_freed_memory()
    # The run itself turns signals into a checkpoint; this is for the moments before and after it.
    with stopped_by_signals(), TrainingReport(output) as report:
        run = run_finetuning(settings, report=report)
    if is_silent():
        return 0
    place = shlex.quote(str(run.path))
    if run.status().state == "stopped":
        again = "--resume --twins" if settings.twins else "--resume"
        output.say(f"go on with: napari-genesis finetune {again} --out {place}")
        return 130
    if twins:
        from genesis_core.studies.twins import train_twins
        from genesis_core.training.rounds import refuse_twins

        refuse_twins(run)

        with stopped_by_signals(), TrainingReport(output) as report:
            answers = train_twins(run, report=report)
        if answers is None:
            output.say(f"go on with: napari-genesis finetune --resume --twins --out {place}")
            return 130
        for answer in answers:
            output.record({"event": "twin_answer", "twin": answer.twin, "verdict": answer.verdict})
            output.say(answer.sentence())
    output.say(f"model: {run.path}")
    _show_rounds(run.path, output)
    output.say(f"next: napari-genesis segment SCAN --model {place} --out segmented")
    return 0


def _are_twins_wanted(settings: FinetuneSettings, run: RunFolder) -> bool:
    """Whether twins follow: as said now, else as was said when the run was begun that goes on.

    Raises click.UsageError, before any training, if there is no source whose worth they could tell.
    """
    stored = read_settings(run) if settings.resume != "no" and run.is_run else None
    known = stored if isinstance(stored, FinetuneSettings) else settings
    twins = settings.twins if settings.is_given("twins") else known.twins
    if twins and settings.source is None and known.source is None and settings.rounds is None and known.rounds is None:
        raise click.UsageError("twins tell whether a source helped, and there is none: leave --twins (twins) out")
    return twins


def _show_rounds(run: Path, output: Output) -> None:
    """Print a table of the rounds that led to a run, if it continues another one."""
    from genesis_core.training.rounds import rounds_of

    rounds = rounds_of(run)
    if len(rounds) == 1:
        return
    names = list(dict.fromkeys(name for one in rounds for name in one.dice))
    rows = [
        [
            one.run.name,
            str(one.number),
            one.start or "-",
            f"{one.cases} ({one.corrected})",
            *("-" if name not in one.dice else f"{one.dice[name]:.3f}" for name in names),
        ]
        for one in rounds
    ]
    for one in rounds:
        output.record(
            {"event": "round", "number": one.number, "run": one.run.name, "state": one.state, "start": one.start}
            | {"cases": one.cases, "corrected": one.corrected, "dice": one.dice}
        )
    if not output.as_json:
        head = ["run", "round", "start", "cases (corrected)", *(name.replace("_", " ") for name in names)]
        output.table(head, rows)


def _with_round(values: dict[str, Any]) -> dict[str, Any]:
    """Put the options of a continued run where its settings have them."""
    given = {name: values.pop(option) for name, option in _ROUND.items() if option in values}
    rounds = values.get("rounds") or {}
    if given and isinstance(rounds, dict):
        if "previous" not in {**rounds, **given}:
            raise SettingsError(
                "--corrected and --start belong to a run that is continued: name it with --continue RUN"
            )
        values["rounds"] = {**rounds, **given}
    return values


def _round_options() -> list[click.Option]:
    told = {name: field.description or "" for name, field in RoundSettings.model_fields.items()}
    return [
        click.Option(["--continue", _ROUND["previous"]], metavar="RUN", help=told["previous"]),
        click.Option(["--corrected"], metavar="PATH", help=told["corrected"]),
        click.Option(["--start"], type=click.Choice(["previous", "source"]), help=told["start"]),
    ]


def show_plan(settings: FinetuneSettings, output: Output) -> None:
    """Check the folder, make the plan and print it with its reasons, as YAML; nothing is written."""
    from genesis_core.training.prepared_set import draw_splits, plan_set, starting_point
    from genesis_core.training.rounds import continued
    from genesis_core.training.source_remarks import seen_before, source_remarks

    def say(kind: str, values: dict[str, object], said: str | None = None) -> None:
        if kind == "warning":
            output.warn(said or str(values["message"]))

    settings = continued(settings)
    start = starting_point(settings)
    planned = plan_set(settings, start, say, lambda: False)
    assert planned is not None
    resolved, found, plan = planned
    if output.as_json:
        output.record({"settings": resolved.model_dump(mode="json", exclude={"plan"}), "reasons": resolved.plan})
        return
    output.say(f"{len(found.cases)} cases of {found.facts.subjects} subjects. The plan, and why:")
    for key, reason in resolved.plan.items():
        output.say(f"  {key} = {reason}")
    output.say(f"\nAll settings:\n{dump_yaml(resolved.model_dump(mode='json', exclude={'plan'})).rstrip()}")
    warnings = [*(plan.warnings if plan is not None else ()), *source_remarks(found, start)]
    if start.seen and resolved.rounds is None:
        held_out = resolved.cases.validation if resolved.cases is not None else None
        if held_out is None:
            splits = draw_splits(resolved, found, found.cases)
            held_out = tuple(case.id for split in splits for case in split.cases_of("validation", found.cases))
        warnings += seen_before(found, start, held_out)
    for message in warnings:
        output.warn(message)


command = settings_command(
    "finetune",
    FinetuneSettings,
    finetune_command,
    text=(
        "Learn to segment what is drawn in a labelled folder.\n\n"
        "The folder is checked, and spacing, patch, batch and steps are planned from it and from this machine; "
        "--dry-run shows the plan with its reasons. Under 20 subjects every one is held out once (five trainings, "
        "applied together). --continue RUN makes a new run of a finished one, with corrected cases: who was held out "
        "stays held out, so the Dice of the rounds can be compared. Ctrl-C, or `napari-genesis runs stop`, writes a "
        "checkpoint; --resume goes on from it."
    ),
    example="napari-genesis finetune labelled/ --source runs/lung --out runs/nodules --max-hours 2",
    arguments={"LABELLED": "data.labelled"},
    options={
        "--source": "source",
        "--out": "out",
        "--resume": "resume",
        "--folds": "folds",
        "--max-steps": "training.max_steps",
        "--max-hours": "training.max_hours",
        "--batch-size": "training.batch_size",
        "--patch-size": "sampling.patch_size",
        "--spacing": "data.spacing",
        "--width": "network.width",
        "--learning-rate": "training.learning_rate",
        "--structures": "data.structures",
        "--layout": "data.layout",
        "--labels": "data.labels",
        "--subject-pattern": "data.subject_pattern",
        "--subjects": "data.subjects",
        "--modality": "data.modality",
        "--transfer": "transfer",
        "--freeze": "freezing.freeze",
        "--twins": "twins",
        "--validate-every": "training.validate_every",
        "--checkpoint-every": "training.checkpoint_every",
        "--precision": "training.precision",
        "--cache": "data.cache",
        "--seed": "seed",
        "--device": "device",
    },
    flag_values={"--resume": "yes"},
    prepare=_with_round,
    extra=[*_round_options(), processes_option(), parent_option()],
    paths=("data.labelled", "data.subjects", "data.cache", "source", "rounds.previous", "rounds.corrected"),
    plan=show_plan,
)
