"""Turning what can go wrong in the middle of a training into an error that says what to do."""

from __future__ import annotations

import errno

from genesis_core.errors import GenesisError, TrainingError
from genesis_core.training.settings import TrainingSettings


def named_failure(problem: BaseException, settings: TrainingSettings) -> BaseException:
    """Return the error to raise for `problem`: a TrainingError for lack of memory or disk, else the problem itself."""
    if isinstance(problem, GenesisError | KeyboardInterrupt | SystemExit):
        return problem
    text = str(problem)
    if isinstance(problem, MemoryError) or "allocate memory" in text or "out of memory" in text:
        return TrainingError(
            f"not enough memory for batches of {settings.batch_size}: start again with a lower --batch-size (and a "
            "higher training.accumulate, to keep the total), --patch-size or --width"
        )
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return TrainingError("the disk is full: free some space, then go on with --resume from the last checkpoint")
    return problem
