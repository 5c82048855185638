"""Locks that the operating system lets go of when their holder dies, so that a killed window never blocks a review.

They serialise decisions of two windows on one review for the moment a file is renamed or a line is added. On a file
system that knows no locks the work goes on without: names are then still taken once only, and lines still whole.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genesis_core.errors import ReviewError

# Decisions hold the lock for milliseconds; a holder that takes this long hangs, on a dead network drive for instance.
_WAIT_SECONDS = 30.0
_PAUSE_SECONDS = 0.02
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EINVAL, getattr(errno, "ENOTSUP", -1), getattr(errno, "EOPNOTSUPP", -1)}


@contextmanager
def locked(
    path: Path, *, wait: bool = True, busy: str = "another window or program is writing to this review"
) -> Iterator[None]:
    """Hold the lock of the file `path`, which is made if it is missing, within the block.

    wait: up to half a minute; False: not at all. busy: what the ReviewError says if somebody else holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        until = time.monotonic() + (_WAIT_SECONDS if wait else 0)
        while not _try(descriptor):
            if time.monotonic() >= until:
                raise ReviewError(f"{path.parent}: {busy}; wait until it is done, and try again")
            time.sleep(_PAUSE_SECONDS)
        yield
    finally:
        # Closing lets go of the lock.
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether somebody alive holds the lock of `path`."""
    if not path.exists():
        return False
    try:
        with locked(path, wait=False):
            return False
    except ReviewError:
        return True


def _try(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        if problem.errno in _NO_LOCKS:
            return True
        if problem.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK):
            return False
        raise
    return True
