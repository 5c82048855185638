"""Which of several training processes this is, and what they do together; here the plain path of one alone.

`connecting` has those that torchrun or srun started; whoever trains knows only what is declared here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from genesis_core.errors import SettingsError

if TYPE_CHECKING:
    import torch
    from torch import nn

T = TypeVar("T")


class EndedElsewhereError(SystemExit):
    """This process ends because another one does, which says why; it has nothing to say itself."""


@dataclass(frozen=True)
class Peer:
    """Where a process is."""

    host: str
    pid: int


class Processes:
    """One process alone; what several do together costs nothing here. `rank` counts over all nodes."""

    rank = 0
    count = 1
    local_rank = 0
    """Of those on this node."""
    local_count = 1
    peers: Sequence[Peer] = ()
    parting = False
    """Whether all have found an error and end because of it, each in its own time."""

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and reports; all others are silent."""
        return self.rank == 0

    def name(self, rank: int) -> str:
        """Return what a process is called: "process 1 of 2 on node07"."""
        return f"process {rank} of {self.count} on {self.peers[rank].host}"

    def device(self, name: str) -> torch.device:
        """Return this process's device for the setting `name`. Raises SettingsError if there is none."""
        from genesis_core.inference.predictor import choose_device

        return choose_device(name)

    def gather(self, values: Sequence[float]) -> list[list[float]]:
        """Return the values of every process, in the order of ranks; all give equally many."""
        return [list(values)]

    def collect(self, value: T) -> list[T]:
        """Return the object of every process, in the order of ranks."""
        return [value]

    def share(self, value: T) -> T:
        """Return the first process's object, on every process."""
        return value

    def on_main(self, work: Callable[[], T]) -> T:
        """Let the first process do `work` while the others wait; return its result on every process.

        What it raises is raised there; the others end with EndedElsewhereError.
        """
        return work()

    def agreed(self, problem: BaseException) -> BaseException:
        """Return what to raise for an error that every process has found: the first one reports it."""
        return problem

    def wrap(self, network: nn.Module, *, freezes: bool) -> nn.Module:
        """Return what to call instead of `network`, so that its gradients become the mean over all processes.

        freezes: whether parameters may be without a gradient for a while; all must be free now.
        """
        return network

    def alone(self, wrapped: nn.Module) -> AbstractContextManager[None]:
        """Return a context in which gradients are added up on each process, and not exchanged."""
        return nullcontext()

    def average_buffers(self, network: nn.Module) -> None:
        """Make running statistics, which every process gathers from its own samples, their mean."""


ALONE = Processes()


def share_of(parts: int, processes: Processes) -> range:
    """Return which of the `parts` of a global batch this process draws.

    Raises SettingsError if they cannot be dealt evenly.
    """
    if parts % processes.count:
        fitting = [str(number) for number in range(1, parts + 1) if parts % number == 0]
        raise SettingsError(
            f"each step of this run has {parts} batches (training.processes x training.accumulate), which "
            f"{processes.count} processes cannot share evenly: start it with {' or '.join(fitting)} of them"
        )
    each = parts // processes.count
    return range(processes.rank * each, (processes.rank + 1) * each)
