"""How long a training step of given settings takes on a device of this machine, and how much memory it needs.

A few steps of the training loop itself are timed on made-up sub-volumes, in a process of its own, and the answer is
remembered: a table could not know this machine.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from genesis_core.atomic import write_text
from genesis_core.errors import GenesisError
from genesis_core.settings import validate
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.pretrain_settings import PretrainSettings
from napari_genesis.jobs.asking import ask

_STEPS = 5
# Raised whenever what was measured before is not to be believed: version 1 did not see whether it was alone, version 2
# not what is compiled or computed twice.
_VERSION = 3
# Two programs that each take all cores wait for one another, ten times as long as their work: where others have more
# than this part of the processor, a step tells nothing. Source: measured with two trainings on two cores.
_CROWDED = 0.25
_REMEMBERED = 200
# What a step's time and memory depend on, among the settings of the training.
_MATTERS = {
    "batch_size", "accumulate", "precision", "compile", "activation_checkpointing", "channels_last", "threads",
    "optimiser", "ema",
}  # fmt: skip
TimedSettings = PretrainSettings | FinetuneSettings


@dataclass(frozen=True)
class StepTime:
    """seconds: of one optimiser step. memory: bytes at its peak: on a GPU of its arrays, else of the whole process.

    crowded: other programs had the processor meanwhile, so that it may be many times faster by itself.
    """

    seconds: float
    memory: int
    crowded: bool = False


def question(settings: TimedSettings) -> dict[str, Any]:
    """Return what the time of a step depends on; of a fine-tuning, settings that are planned."""
    asked: dict[str, Any] = {
        "network": settings.network.model_dump(mode="json"),
        "patch": list(settings.sampling.patch_size),
        "training": settings.training.model_dump(mode="json", include=_MATTERS),
        "device": settings.device,
    }
    return asked if isinstance(settings, PretrainSettings) else {**asked, "task": settings.task}


def known_step_time(settings: TimedSettings, folder: Path | None = None) -> StepTime | None:
    """Return what was measured earlier for such settings; None if nothing was."""
    found = _remembered(_file(folder)).get(_key(settings))
    try:
        return None if found is None else StepTime(float(found["seconds"]), int(found["memory"]))
    except (KeyError, TypeError, ValueError):
        return None


def measure_step_time(
    settings: TimedSettings, folder: Path | None = None, *, given_up: Callable[[], bool] = lambda: False
) -> StepTime:
    """Time a few steps, which takes all cores for some seconds, and remember it unless it was crowded.

    given_up: asked again and again; True ends it, as a training must that wants the cores for itself.
    Raises NoAnswerError if they cannot be done, for want of memory say, or were given up.
    """
    found = StepTime(**ask("napari_genesis.jobs.step_time", question(settings), given_up=given_up))
    if found.crowded:
        return found
    file = _file(folder)
    known = {**_remembered(file), _key(settings): asdict(found)}
    kept = dict(list(known.items())[-_REMEMBERED:])
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(kept, indent=1))
    except OSError:
        # It is measured again next time.
        return found
    return found


def _key(settings: TimedSettings) -> str:
    return json.dumps([_VERSION, question(settings)], sort_keys=True)


def _file(folder: Path | None) -> Path:
    import platformdirs

    return (folder or Path(platformdirs.user_cache_dir("napari-genesis", appauthor=False))) / "step_times.json"


def _remembered(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _measure(asked: dict[str, Any]) -> StepTime:
    import torch

    from genesis_core.inference.predictor import choose_device
    from genesis_core.networks.registry import create_network
    from genesis_core.training.hardware import resolve_precision
    from genesis_core.training.loop import Training
    from genesis_core.training.run_folder import RunFolder

    values = {"network": asked["network"], "training": asked["training"], "device": asked["device"]}
    segments = asked.get("task") == "segmentation"
    settings: TimedSettings = validate(FinetuneSettings, values) if segments else validate(PretrainSettings, values)
    device = choose_device(settings.device)
    training = settings.training.model_copy(
        update={"precision": resolve_precision(settings.training.precision, str(device))}
    )
    if training.threads:
        torch.set_num_threads(training.threads)
    with tempfile.TemporaryDirectory() as folder:
        loop = Training(
            _MadeUp(tuple(asked["patch"]), settings.network, segments=segments),
            create_network(settings.network, seed=0).to(device),
            training,
            RunFolder(Path(folder)),
            seed=0,
            device=str(device),
            save_model=lambda _network, _figures: None,
        )
        others = _Others()
        seconds = loop.seconds_per_step(_STEPS)
    return StepTime(seconds, _most_memory(device), device.type == "cpu" and others.share() > _CROWDED)


class _Others:
    """What part of the processor all other programs have had since this was made."""

    def __init__(self) -> None:
        self._began = self._now()

    def share(self) -> float:
        seconds, busy, own = (now - then for now, then in zip(self._now(), self._began, strict=True))
        return max(busy - own, 0.0) / max(seconds, 1e-3)

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """Return seconds of all cores, those in which they worked, and those in which they did for this process."""
        import psutil

        times, own = psutil.cpu_times(), psutil.Process().cpu_times()
        waits = times.idle + getattr(times, "iowait", 0.0)
        # Linux counts what guests take into the time of users as well. Source: proc(5), /proc/stat.
        twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        whole = sum(times) - twice
        return whole, whole - waits, own.user + own.system


def _most_memory(device: Any) -> int:
    """Return the most bytes this process has had on the device; on the CPU, in memory."""
    import psutil
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage tells on Linux counts the memory of the program that started this one. Source: proc(5).
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) * 1024
    import resource

    # Kilobytes, but on macOS bytes. Source: getrusage(2).
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class _MadeUp:
    """A task whose sub-volumes are noise: as much to compute, nothing to learn."""

    transfers: Literal["encoder", "encoder+decoder"] = "encoder+decoder"
    held_out = False

    def __init__(self, patch: tuple[int, ...], network: Any, *, segments: bool) -> None:
        self._patch = patch
        self._channels: int = network.in_channels
        self._classes: int = network.out_channels
        self._segments = segments

    def sample(self, seed: int, step: int, indices: Any) -> Any:
        import torch

        from genesis_core.task import Batch

        values = torch.rand(len(indices), self._channels, *self._patch)
        targets = values
        if self._segments:
            targets = torch.randint(self._classes, (len(indices), 1, *self._patch), dtype=torch.uint8)
        return Batch(values, targets, ("made up",) * len(indices))

    def loss(self, network: Any, batch: Any) -> Any:
        import torch

        if self._segments:
            from genesis_core.targets.losses import segmentation_loss

            # With a yes or no per structure it takes as long.
            return segmentation_loss(network(batch.inputs), batch.targets, "softmax"), {}
        return torch.nn.functional.mse_loss(network(batch.inputs).float().sigmoid(), batch.targets), {}

    def validate(self, network: Any) -> dict[str, float]:
        return {}

    def preview(self, network: Any) -> dict[str, Any]:
        return {}

    def advise(self, figures: dict[str, float]) -> str | None:
        return None


def main() -> None:
    """Answer the question on stdin with a `StepTime` on stdout."""
    try:
        print(json.dumps(asdict(_measure(json.load(sys.stdin)))))  # noqa: T201 - the answer
    except (GenesisError, MemoryError, RuntimeError) as problem:
        sys.exit(f"{problem}")


if __name__ == "__main__":
    main()
