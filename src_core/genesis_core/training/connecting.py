"""Connecting the training processes that torchrun or srun started, and making one gradient of theirs.

Lightning Fabric reads what the launchers leave in the environment, connects the processes and names their devices; it
is imported here alone, and not for one process. Whatever decides how a run goes on travels over gloo on the CPU, which
notices at once when a process is gone; gradients on a GPU travel over NCCL.
"""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from genesis_core.errors import SettingsError
from genesis_core.training.processes import ALONE, EndedElsewhereError, Peer, Processes
from genesis_core.training.run_folder import is_running

if TYPE_CHECKING:
    import torch
    from torch import nn

T = TypeVar("T")

# How long a process waits for what another one says: preparing thousands of scans takes hours, scoring folds too. A
# process that ends closes its connections, which ends the waiting at once; this is for one that hangs.
_PATIENCE = timedelta(days=2)
# How long gradients may be waited for: a step, with all that can slow down one process and not the others.
_STEP_PATIENCE = timedelta(minutes=30)
# A process that ends because the first one did leaves it the time to say why: launchers end all when one is gone.
_LET_SPEAK_SECONDS = 5.0
_LOOK_SECONDS = 0.1


class ConnectedProcesses(Processes):
    """This process among the others of `strategy`, which is connected already."""

    def __init__(self, strategy: Any) -> None:
        import torch.distributed as dist

        self._strategy = strategy
        self.rank, self.count = dist.get_rank(), dist.get_world_size()
        self.local_rank, self.local_count = strategy.local_rank, strategy.num_processes
        self._words: Any = dist.new_group(backend="gloo", timeout=_PATIENCE)
        self.peers = self.collect(Peer(socket.gethostname(), os.getpid()))

    def device(self, name: str) -> torch.device:
        device: torch.device = self._strategy.root_device
        return device

    def gather(self, values: Sequence[float]) -> list[list[float]]:
        import torch
        import torch.distributed as dist

        mine = torch.tensor(values, dtype=torch.float64)
        rows = [torch.empty_like(mine) for _ in range(self.count)]
        dist.all_gather(rows, mine, group=self._words)
        return [row.tolist() for row in rows]

    def collect(self, value: T) -> list[T]:
        import torch.distributed as dist

        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value, group=self._words)
        return values

    def share(self, value: T) -> T:
        import torch.distributed as dist

        values: list[Any] = [value]
        dist.broadcast_object_list(values, src=0, group=self._words)
        shared: T = values[0]
        return shared

    def on_main(self, work: Callable[[], T]) -> T:
        if not self.is_main:
            done: tuple[bool, Any] = self.share((False, None))
            if not done[0]:
                raise self.agreed(SystemExit())
            result: T = done[1]
            return result
        try:
            result = work()
        except BaseException:
            self.parting = True
            self.share((False, None))
            raise
        self.share((True, result))
        return result

    def agreed(self, problem: BaseException) -> BaseException:
        self.parting = True
        if self.is_main:
            return problem
        # The launcher may tell this process to end meanwhile; that is what it does.
        end, first = time.monotonic() + _LET_SPEAK_SECONDS, self.peers[0]
        with suppress(KeyboardInterrupt):
            while time.monotonic() < end and (first.host != self.peers[self.rank].host or is_running(first.pid)):
                time.sleep(_LOOK_SECONDS)
        return EndedElsewhereError(1)

    def wrap(self, network: nn.Module, *, freezes: bool) -> nn.Module:
        from torch.nn.parallel import DistributedDataParallel

        # Whoever comes late to this shall not be given up on.
        self.gather([0.0])
        device = self._strategy.root_device
        # Convolutions of one voxel have strides that name no layout; that costs nothing and is said at every start.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        with warnings.catch_warnings():
            # Its newer name does not exist in older versions of torch.
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated", category=FutureWarning)
            # Running statistics are averaged by `average_buffers`; DDP would take the first process's.
            return DistributedDataParallel(
                network,
                device_ids=None if device.type == "cpu" else [device],
                broadcast_buffers=False,
                find_unused_parameters=freezes,
            )

    def alone(self, wrapped: nn.Module) -> AbstractContextManager[None]:
        context: AbstractContextManager[None] = wrapped.no_sync()  # type: ignore[operator]
        return context

    def average_buffers(self, network: nn.Module) -> None:
        import torch
        import torch.distributed as dist

        buffers = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
        if not buffers:
            return
        flat = torch.cat([buffer.reshape(-1) for buffer in buffers])
        dist.all_reduce(flat)
        flat /= self.count
        for buffer, mean in zip(buffers, torch.split(flat, [buffer.numel() for buffer in buffers]), strict=True):
            buffer.copy_(mean.view_as(buffer))


def launched_count() -> int:
    """Return how many processes torchrun or srun started together with this one; 1 if neither did."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    # Set within srun alone: a batch script that asked for many tasks is still one process.
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))


def launched_rank() -> int:
    """Return which of `launched_count` processes this is, before they are connected."""
    if launched_count() == 1:
        return 0
    return int(os.environ.get("RANK") or os.environ["SLURM_PROCID"])


# Processes are connected once: torchrun's store knows no second time. The device is that of the settings.
_connection: tuple[str, ConnectedProcesses] | None = None


@contextmanager
def connected(device: str) -> Iterator[Processes]:
    """Connect the processes that were started together, each with a device of its own; alone, do nothing.

    device: as in the settings; with several processes "auto", "cpu" or "cuda". Left without an error, each process
    waits until all are done. Raises SettingsError if the devices do not suffice.
    """
    if launched_count() == 1:
        yield ALONE
        return
    global _connection
    if _connection is not None and _connection[0] != device:
        raise SettingsError(f"these processes train on device = '{_connection[0]}', not on '{device}' as well")
    if _connection is None:
        _connection = (device, ConnectedProcesses(_strategy(device)))
    processes = _connection[1]
    processes.parting = False
    yield processes
    # A launcher that sees one process end may end the others.
    processes.gather([0.0])


def _strategy(device: str) -> Any:
    """Return Fabric's strategy over all processes, connected."""
    import logging

    import torch

    try:
        from lightning_fabric.accelerators import CPUAccelerator, CUDAAccelerator
        from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
        from lightning_fabric.strategies import DDPStrategy
    except ImportError:
        raise SettingsError(
            "training in several processes needs Lightning Fabric: pip install lightning-fabric"
        ) from None
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    by_torchrun = "RANK" in os.environ
    try:
        environment = TorchElasticEnvironment() if by_torchrun else SLURMEnvironment(auto_requeue=False)
    except RuntimeError as problem:
        raise SettingsError(f"srun was not given what is needed: {problem}") from None
    here = os.environ.get("LOCAL_WORLD_SIZE" if by_torchrun else "SLURM_NTASKS_PER_NODE", "1")
    local_count = int(here)
    kind = "cuda" if device == "auto" and torch.cuda.is_available() else "cpu" if device == "auto" else device
    if kind == "cpu":
        accelerator: Any = CPUAccelerator()
        devices = [torch.device("cpu")] * local_count
    elif kind == "cuda":
        accelerator = CUDAAccelerator()
        devices = _gpus(torch.cuda.device_count(), local_count, by_torchrun=by_torchrun)
    else:
        raise SettingsError(
            f"device = '{device}': each of several processes takes a device of its own; say auto, cuda or cpu"
        )
    strategy = DDPStrategy(
        accelerator=accelerator, parallel_devices=devices, cluster_environment=environment, timeout=_STEP_PATIENCE
    )
    strategy.num_nodes = environment.world_size() // local_count
    strategy.setup_environment()
    return strategy


def _gpus(visible: int, wanted: int, *, by_torchrun: bool) -> list[torch.device]:
    import torch

    if visible >= wanted:
        return [torch.device("cuda", index) for index in range(wanted)]
    # Slurm can show each task its own GPU alone, which is then number 0 of every process.
    if visible == 1 and not by_torchrun:
        return [torch.device("cuda", 0)] * wanted
    raise SettingsError(
        f"{wanted} processes on this node, but torch sees {visible} GPU(s): start as many processes as there are GPUs, "
        "or train on the CPU with --device cpu"
    )
