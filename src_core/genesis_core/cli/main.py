"""`napari-genesis`: the table of commands, and the one place where errors become messages and exit codes.

Each command lives in a file of its own, imported only when it is called, so that `--help` stays instant.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped on request.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

# name: the sentence shown in `napari-genesis --help`. The file is cli/<name with _>.py and holds `command`.
COMMANDS = {
    "corrupt": "Corrupt a scan with a recipe, or draw the contact sheet of the twelve combinations.",
    "pretrain": "Pre-train a 3D U-Net on a folder of unlabelled scans.",
    "finetune": "Learn to segment what is drawn in a labelled folder, from scratch or from a source.",
    "restore": "Restore scans with a pre-trained model; write the restoration residual.",
    "segment": "Segment scans with a fine-tuned model; write label maps and volumes.",
    "rank": "Propose labels for unlabelled scans, ranked by uncertainty, to correct and learn from.",
    "evaluate": "Compare predicted segmentations with references: scores, intervals and a report.",
    "import-weights": "Convert a published Models Genesis checkpoint into a model folder.",
    "inspect": "List the scans of a folder: which are readable, which are refused, and why.",
    "cache": "Show, prune or move the prepared scans that trainings read from.",
    "runs": "List, show, stop, resume or delete runs.",
    "doctor": "Show versions, devices, memory and speed here, with advice.",
    "demo": "Run the whole path on synthetic thorax CTs (or your folder) and write a report.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"genesis_core.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"napari-genesis {version('napari-genesis')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: napari-genesis demo --out demo",
)
@click.option("--version", is_flag=True, callback=_version, expose_value=False, is_eager=True, help="Show the version.")
def group() -> None:
    """Self-supervised learning on 3D medical images: corrupt, pre-train, restore, fine-tune, segment, review."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; messages go to stderr."""
    debug = "--debug" in arguments
    try:
        # A command may have to start itself again: in several processes.
        result = group.main(args=list(arguments), prog_name="napari-genesis", standalone_mode=False, obj=arguments)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as problem:
        problem.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped on request", err=True)
        return 130
    except BrokenPipeError:
        return _silence_broken_pipe()
    except Exception as problem:
        if debug:
            raise
        return _report(problem)


def _report(problem: Exception) -> int:
    from genesis_core.errors import GenesisError, OutputExistsError

    if isinstance(problem, GenesisError):
        click.echo(f"error: {problem}", err=True)
        return 2 if isinstance(problem, OutputExistsError) else 1
    if isinstance(problem, OSError):
        click.echo(f"error: {problem.strerror or problem}: {problem.filename or 'no file named'}", err=True)
        return 1
    if isinstance(problem, MemoryError):
        click.echo(
            f"error: not enough memory ({problem or 'no size named'}). Lower what is held at once (--threads, "
            "--batch-size, --patch-size), use smaller scans, or close other programs",
            err=True,
        )
        return 1
    text = f"{type(problem).__name__}: {problem}"
    click.echo(f"error: {text}\nThis is a defect of napari-genesis; run again with --debug and report it.", err=True)
    return 1


def _silence_broken_pipe() -> int:
    """Let `| head` end a command quietly; Python would complain again while flushing at exit."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def main() -> NoReturn:
    """Entry point of the console script and of `python -m genesis_core`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that is not valid UTF-8, or a sign that a pipe's encoding lacks, ends no command.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))
