"""`--processes N`: the same command in several processes of this machine; only the first of them speaks."""

from __future__ import annotations

from pathlib import Path

import click

_KEY = "genesis_core.processes"


def processes_option() -> click.Option:
    """Return `--processes`, for commands that train."""
    return click.Option(
        ["--processes"],
        type=click.IntRange(min=1),
        metavar="N",
        expose_value=False,
        callback=_remember,
        help="Train in N processes on this machine, each on a GPU of its own. [default 1]",
    )


def _remember(context: click.Context, _param: click.Parameter, count: int | None) -> None:
    context.meta[_KEY] = count or 1


def in_several(run: Path, *, refused: str | None = None) -> int | None:
    """Start this command line in as many processes as --processes says, which train `run`; return the exit code.

    None: this process is to do the work itself, alone or as one of several. refused: why what is asked for cannot be
    done in several, if so. Raises UsageError then, and where torchrun or srun started another number already.
    """
    from genesis_core.training.connecting import launched_count

    context = click.get_current_context()
    count: int = context.meta.get(_KEY, 1)
    started = launched_count()
    if refused and max(count, started) > 1:
        raise click.UsageError(refused)
    if count == 1 or started == count:
        return None
    if started > 1:
        raise click.UsageError(f"--processes {count}, but torchrun or srun started {started} already: leave it out")
    from genesis_core.training.launching import launch

    return launch(count, list(context.find_root().obj), run)


def is_silent() -> bool:
    """Whether this is one of several processes, and not the one that speaks."""
    from genesis_core.training.connecting import launched_rank

    return launched_rank() > 0
