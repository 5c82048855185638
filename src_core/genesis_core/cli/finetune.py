"""`napari-genesis finetune`: learn to segment what is drawn in a labelled folder, or go on with such a run."""

from __future__ import annotations

from genesis_core.cli.interrupting import parent_option
from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.cli.training_report import TrainingReport
from genesis_core.settings import dump_yaml
from genesis_core.training.finetune_settings import FinetuneSettings


def finetune_command(settings: FinetuneSettings, output: Output) -> int:
    """Run the fine-tuning; 0 when it finished, 130 when it was asked to stop."""
    from genesis_core.training.finetune import run_finetuning
    from genesis_core.training.hardware import keep_freed_memory

    keep_freed_memory()
    with TrainingReport(output) as report:
        run = run_finetuning(settings, report=report)
    if run.status().state == "stopped":
        output.say(f"go on with: napari-genesis finetune --resume --out {run.path}")
        return 130
    if settings.twins:
        from genesis_core.studies.twins import train_twins

        with TrainingReport(output) as report:
            answers = train_twins(run, report=report)
        if answers is None:
            output.say(f"go on with: napari-genesis finetune --resume --twins --out {run.path}")
            return 130
        for answer in answers:
            output.record({"event": "twin_answer", "twin": answer.twin, "verdict": answer.verdict})
            output.say(answer.sentence())
    output.say(f"model: {run.path}")
    output.say(f"next: napari-genesis segment SCAN --model {run.path} --out segmented")
    return 0


def show_plan(settings: FinetuneSettings, output: Output) -> None:
    """Check the folder, make the plan and print it with its reasons, as YAML; nothing is written."""
    from genesis_core.training.prepared_set import plan_set, starting_point

    def say(kind: str, values: dict[str, object], said: str | None = None) -> None:
        if kind == "warning":
            output.warn(said or str(values["message"]))

    start = starting_point(settings)
    planned = plan_set(settings, start, say, lambda: False)
    assert planned is not None
    resolved, found, plan = planned
    if output.as_json:
        output.record({"settings": resolved.model_dump(mode="json", exclude={"plan"}), "reasons": resolved.plan})
        return
    output.say(dump_yaml(resolved.model_dump(mode="json", exclude={"plan"})).rstrip())
    output.say(f"\n{len(found.cases)} cases of {found.facts.subjects} subjects. The plan, and why:")
    for key, reason in resolved.plan.items():
        output.say(f"  {key} = {reason}")
    for message in plan.warnings if plan is not None else ():
        output.warn(message)


command = settings_command(
    "finetune",
    FinetuneSettings,
    finetune_command,
    text=(
        "Learn to segment what is drawn in a labelled folder.\n\n"
        "The folder is checked, and spacing, patch, batch and steps are planned from it and from this machine; "
        "--dry-run shows the plan with its reasons. Under 20 subjects every one is held out once (five trainings, "
        "applied together). Ctrl-C, or `napari-genesis runs stop`, writes a checkpoint; --resume goes on from it."
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
    extra=[parent_option()],
    paths=("data.labelled", "data.subjects", "data.cache", "source"),
    plan=show_plan,
)
