"""Scalars for TensorBoard, where it is installed; where it is not, that is said once and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from genesis_core.training.events import Event

_SCALARS = {"step": ("loss", "learning_rate", "gradient_norm"), "validation": None}
_NOT_SCALARS = {"v", "time", "event", "step", "best"}


class ScalarWriter:
    """Writes the figures of step and validation events into `folder`. problem: why nothing is written, if so."""

    def __init__(self, folder: Path, first_step: int) -> None:
        self.problem: str | None = None
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except (ImportError, TypeError) as problem:
            # Its protobuf, generated for another version, raises TypeError.
            self.problem = (
                f"TensorBoard is not installed, or does not fit what it needs ({str(problem).splitlines()[0]:.80}), so "
                "tensorboard/ stays empty (pip install --upgrade tensorboard)"
            )
            return
        # What an interrupted run wrote after its last checkpoint is hidden, not shown twice.
        self._writer = SummaryWriter(str(folder), purge_step=first_step + 1)

    def __enter__(self) -> ScalarWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, event: Event) -> None:
        """Write the numbers of a step or validation event; other events are passed over."""
        if self._writer is None or event["event"] not in _SCALARS:
            return
        names = _SCALARS[event["event"]] or [name for name in event if name not in _NOT_SCALARS]
        for name in names:
            if isinstance(event.get(name), int | float):
                self._writer.add_scalar(f"{event['event']}/{name}", event[name], event["step"])
