"""Which devices this machine has for training, and how much memory of each is free now.

`find_devices` asks a process of its own, `python -m napari_genesis.jobs.devices`, which is what loads torch.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from napari_genesis.jobs.asking import ask

_GIB = 2**30


@dataclass(frozen=True)
class Device:
    """key: as in settings ("cpu", "cuda:0", "mps"). free, total: bytes of memory."""

    key: str
    name: str
    free: int
    total: int

    def in_words(self) -> str:
        """Return name and free memory for people."""
        return f"{self.name.removeprefix('NVIDIA ')}, {self.free / _GIB:.1f} GB free"


def find_devices() -> list[Device]:
    """Return the devices, the one that "auto" takes first. Raises NoAnswerError if torch cannot be asked."""
    return [Device(**one) for one in ask("napari_genesis.jobs.devices")]


def _devices() -> list[dict[str, Any]]:
    import psutil
    import torch

    memory = psutil.virtual_memory()
    found = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found.append(Device(f"cuda:{index}", torch.cuda.get_device_name(index), free, total))
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple GPU", memory.available, memory.total))
    cores = torch.get_num_threads()
    name = f"{cores} core{'s' * (cores > 1)}"
    return [asdict(one) for one in [*found, Device("cpu", name, memory.available, memory.total)]]


if __name__ == "__main__":
    print(json.dumps(_devices()))  # noqa: T201 - the answer
