"""The threads that watch runs. They are of their own: napari's are as many as there are cores, and all plugins' work
waits for them, while a watcher sleeps most of the time, and does so for days.
"""

from __future__ import annotations

import atexit
from functools import partial
from typing import Any

from qtpy.QtCore import QThreadPool

# More runs than anybody watches at a time.
_MOST = 1000
# Milliseconds; they end between two looks, but for a disk that does not answer.
_LONGEST_WAIT = 2000
_pool: QThreadPool | None = None
# A worker lives until its thread is done with it, whoever still listens. By number: what a worker's own signal holds
# would keep it for ever.
_at_work: dict[int, Any] = {}


def start_watcher(worker: Any) -> None:
    """Start a worker, as `create_worker` makes it, in a thread that nobody else waits for."""
    global _pool
    if _pool is None:
        _pool = QThreadPool()
        _pool.setMaxThreadCount(_MOST)
        atexit.register(_end)
    _at_work[id(worker)] = worker
    worker.finished.connect(partial(_at_work.pop, id(worker), None))
    _pool.start(worker)


def _end() -> None:
    """Let the threads end before what they would tell something is taken away, however the program ends."""
    for worker in list(_at_work.values()):
        worker.quit()
    if _pool is not None:
        _pool.waitForDone(_LONGEST_WAIT)
