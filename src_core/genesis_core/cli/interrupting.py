"""Commands that keep what is done when they are stopped: SIGTERM or a closed terminal ends them as Ctrl-C does,
with exit code 130.

Trainings that a window started have an option of their own, by which they stop when the window is gone.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from genesis_core.training.stopping import stop_signals


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Within the block SIGTERM, SIGUSR1 and SIGHUP raise KeyboardInterrupt.

    Clusters send the first two before the time is up, a terminal that is closed the third.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for number in stop_signals() if number != signal.SIGINT]
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def parent_option() -> click.Option:
    """Return `--stop-with-parent`, for programs that start a training and hold its stdin; people do not see it."""
    return click.Option(
        ["--stop-with-parent"],
        is_flag=True,
        hidden=True,
        expose_value=False,
        callback=_watch_parent,
        help="The end of stdin means that the parent died: write a checkpoint and stop.",
    )


def _watch_parent(_ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    # Of several processes that share a stdin the first one reads it.
    if wanted and os.environ.get("RANK", "0") == "0":
        from genesis_core.training.stopping import stop_with_parent

        stop_with_parent()
