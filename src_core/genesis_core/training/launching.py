"""Starting several processes of a training on this machine, by torchrun's own launcher, and saying how it ended.

Each process runs the same command line; that it is one of several it knows by its environment. For several machines
torchrun or srun itself is what one calls.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from genesis_core.errors import TrainingError
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.stopping import stop_signals

# What a run that is to stop has to write its checkpoint in before it is killed; torchrun's own are 30 s.
_SECONDS_TO_STOP = "600"
_STOPPED = 130


def launch(count: int, arguments: Sequence[str], run: Path) -> int:
    """Run `python -m genesis_core` with `arguments` in `count` processes, which train `run`; return its exit code.

    0: done; 130: stopped on request; 1: failed while it was to stop; else that of the first process that failed.
    SIGINT, SIGTERM, SIGUSR1 and SIGHUP are passed on. Raises TrainingError if the first process was killed, and could
    not say how it ended.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", _SECONDS_TO_STOP)
    # torch would stop at a SIGHUP that `nohup` has ignored.
    handled = ("SIGTERM", "SIGINT", "SIGQUIT", *(one.name for one in stop_signals() if one.name == "SIGHUP"))
    os.environ.setdefault("TORCHELASTIC_SIGNALS_TO_HANDLE", ",".join(handled))
    # The processes say what there is to say.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )
    before = signal.signal(signal.SIGUSR1, _as_terminate) if hasattr(signal, "SIGUSR1") else None
    try:
        elastic_launch(config, sys.executable)("-m", "genesis_core", *arguments)
        return 0
    except ChildFailedError as problem:
        rank, failure = problem.get_first_failure()
        if failure.exitcode < 0:
            message = f"process {rank} of {count} was killed by {signal.Signals(-failure.exitcode).name}"
            _write_down(run, message)
            if rank == 0:
                raise TrainingError(f"{message}; go on with --resume from the last checkpoint") from None
        # The first process knows best how it ended; one that was killed has no code.
        codes = [problem.failures[rank].exitcode for rank in sorted(problem.failures)]
        return next((code for code in codes if code > 0), 1)
    except SignalException:
        # The processes had time to end by themselves: stopped, finished just then, or failed on the way.
        folder = RunFolder(run)
        state = folder.status().state if folder.is_run else "stopped"
        return {"finished": 0, "failed": 1}.get(state, _STOPPED)
    finally:
        if before is not None:
            signal.signal(signal.SIGUSR1, before)


def _as_terminate(_number: int, _frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _write_down(run: Path, message: str) -> None:
    """Say in the run's status how it ended, if none of its processes could."""
    folder = RunFolder(run)
    if folder.is_run and not folder.status().is_alive:
        folder.note_failure(folder.status().total_steps, message)
