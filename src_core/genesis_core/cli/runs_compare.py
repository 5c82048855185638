"""`napari-genesis runs compare`: figures of runs side by side, and the settings in which they differ."""

from __future__ import annotations

from pathlib import Path

import click

from genesis_core.cli.output import Output
from genesis_core.errors import RunError
from genesis_core.training.run_folder import RunFolder


def compare_command(paths: tuple[Path, ...], output: Output) -> None:
    """Print state, steps and best figure of each run, then every setting that is not the same in all."""
    from genesis_core.studies.run_comparison import Difference, differences, flat_settings
    from genesis_core.studies.run_figures import held_out_means, run_figure
    from genesis_core.training.events import last_of_each_step

    runs = [RunFolder.open(path) for path in paths]
    names = [run.name for run in runs]
    figures = [run_figure(last_of_each_step(run.events(), "validation"), held_out_means(run.path)) for run in runs]
    states = []
    for run in runs:
        try:
            status = run.status()
            states.append((status.word, status.step))
        except RunError:
            states.append(("damaged", 0))
    found = differences([flat_settings(run.path) for run in runs])
    for run, (state, step), figure in zip(runs, states, figures, strict=True):
        output.record(
            {
                "event": "run",
                "name": run.name,
                "path": str(run.path),
                "state": state,
                "step": step,
                "figure": None if figure is None else {"name": figure.name, "value": figure.value},
            }
        )
    for row in found:
        output.record({"event": "differs", "key": row.key, "values": list(row.values)})
    rows = [
        Difference("state", tuple(state for state, _ in states)),
        Difference("step", tuple(f"{step:,}" for _, step in states)),
        Difference("best figure", tuple("–" if one is None else f"{one.name} {one.text}" for one in figures)),
        *found,
    ]
    if not output.as_json:
        output.table(("setting", *names), [(row.key, *row.values) for row in rows])
        if not found:
            output.say("all settings are the same")


@click.command(
    "compare",
    help="Compare runs: their figures, and the settings that differ.\n\n\b\nExample:\n"
    "  napari-genesis runs compare runs/scratch runs/pretrained",
    short_help="Compare runs: their figures, and the settings that differ.",
)
@click.argument("runs", nargs=-1, metavar="RUN RUN...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines for programs.")
@click.option("--debug", "debug", is_flag=True, help="Show a traceback when something fails.")
def command(runs: tuple[Path, ...], as_json: bool, debug: bool) -> None:
    """Compare runs."""
    if len(runs) < 2:
        raise click.UsageError("compare needs two runs or more")
    compare_command(runs, Output(as_json=as_json))
