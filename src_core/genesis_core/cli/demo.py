"""`napari-genesis demo`: the whole path in a few minutes, ending with a report to look at."""

from __future__ import annotations

from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.cli.training_report import TrainingReport
from genesis_core.errors import SettingsError
from genesis_core.studies.demo import DemoSettings, run_demo


def demo_command(settings: DemoSettings, output: Output) -> None:
    """Run the demo and say where its report is."""
    from genesis_core.training.hardware import keep_freed_memory

    if settings.out is None:
        raise SettingsError("no folder: say where the demo shall write, with --out")
    keep_freed_memory()
    with TrainingReport(output) as report:
        path = run_demo(settings, output.say, report)
    output.record({"event": "report", "file": str(path)})
    output.say(f"report: {path}")


command = settings_command(
    "demo",
    DemoSettings,
    demo_command,
    text="Run the whole path on synthetic thorax CTs (or your folder) and write a report.",
    example="napari-genesis demo --out demo",
    options={
        "--out": "out",
        "--data": "data",
        "--minutes": "minutes",
        "--finetune-minutes": "finetune_minutes",
        "--scans": "scans",
        "--width": "width",
        "--batch-size": "batch_size",
        "--seed": "seed",
        "--overwrite": "overwrite",
    },
)
