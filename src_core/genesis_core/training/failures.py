"""Turning what can go wrong in the middle of a training into an error that says what to do."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from genesis_core.errors import GenesisError, TrainingError
from genesis_core.training.settings import TrainingSettings

# How allocators name it: torch's on the CPU, CUDA and MPS; cuDNN's and cuBLAS's.
_NO_MEMORY = ("allocate memory", "out of memory", "STATUS_ALLOC_FAILED")


class OutOfMemoryError(TrainingError):
    """There is not enough memory for a training step."""


def is_out_of_memory(problem: BaseException) -> bool:
    """Whether `problem` says that memory ran out, on the CPU or on a GPU."""
    return isinstance(problem, MemoryError) or any(words in str(problem) for words in _NO_MEMORY)


def memory_advice(
    settings: TrainingSettings,
    samples: int | None = None,
    patch: Sequence[int] = (),
    width: int | None = None,
    memory: str = "",
) -> str:
    """Return what to lower when memory ran out, in the order of what it costs.

    samples: that passed through the network at a time. patch: voxels of one, (z, y, x). width: of the network.
    memory: how much of it there is, and where; what is not known is left out.
    """
    samples = samples or settings.batch_size
    of = f" of {'x'.join(map(str, patch))} voxels" if patch else ""
    at = "" if width is None else f", at width {width}"
    ways = []
    if not settings.activation_checkpointing:
        ways.append("training.activation_checkpointing=true (slower steps, the same result)")
    if settings.precision == "float32":
        ways.append("training.precision=bfloat16 (or float16 on an older GPU)")
    if samples > 1:
        half = (samples + 1) // 2
        ways.append(
            f"--batch-size {half} with training.accumulate={settings.accumulate * 2} (or "
            "training.on_out_of_memory=halve, which finds what fits by itself)"
        )
    ways.append("a smaller --patch-size" + (f" than {','.join(map(str, patch))}" if patch else ""))
    ways.append("a smaller --width" + ("" if width is None else f" than {width}"))
    return (
        f"not enough memory{memory} for {samples} sub-volume{'s' if samples > 1 else ''} at a time{of}{at}, in "
        f"{settings.precision}. Start again with one of these, the cheapest first: {'; '.join(ways)}"
    )


def named_failure(problem: BaseException, settings: TrainingSettings) -> BaseException:
    """Return the error to raise for `problem`: a TrainingError for lack of memory or disk, else the problem itself."""
    if isinstance(problem, GenesisError | KeyboardInterrupt | SystemExit):
        return problem
    if is_out_of_memory(problem):
        return OutOfMemoryError(memory_advice(settings))
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return TrainingError("the disk is full: free some space, then go on with --resume from the last checkpoint")
    return problem
