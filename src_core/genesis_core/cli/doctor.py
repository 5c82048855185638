"""`napari-genesis doctor`: versions, devices, memory and speed on this machine, with advice."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.settings import Settings, Size3, setting

_PACKAGES = (
    "napari-genesis",
    "torch",
    "numpy",
    "SimpleITK",
    "numba",
    "blosc2",
    "pydantic",
    "napari",
    "monai",
    "tensorboard",
)
_GIB = 2**30


class DoctorSettings(Settings):
    """Settings of `doctor`."""

    patch_size: Size3 = setting((32, 64, 64), "Sub-volume (z, y, x) that the speed is measured on.", unit="voxels")
    width: int = setting(32, "Width of the network that the speed is measured on.", ge=1, le=256)
    batch_size: int = setting(2, "Sub-volumes per timed training step.", ge=1, le=64)
    network: bool = setting(True, "Also time training steps (some seconds).")


def examine(settings: DoctorSettings) -> dict[str, Any]:
    """Return all facts: versions, devices, memory, sub-volumes per second, seconds per training step, advice."""
    import psutil
    import torch

    from genesis_core.corruptions.recipe import Recipe
    from genesis_core.corruptions.statistics import sub_volumes_per_second
    from genesis_core.inference.predictor import choose_device
    from genesis_core.parallel import available_cores
    from genesis_core.sampling.cache import cache_folder
    from genesis_core.training.hardware import native_bfloat16, resolve_precision

    speed = sub_volumes_per_second(Recipe.genesis(), settings.patch_size)
    device = str(choose_device("auto"))
    folder = cache_folder()
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {name: _version(name) for name in _PACKAGES},
        "device": device,
        "gpu": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "cores": available_cores(),
        "native_bfloat16": native_bfloat16(device),
        "precision": resolve_precision("auto", device),
        "memory_gib": round(psutil.virtual_memory().total / _GIB, 1),
        "memory_free_gib": round(psutil.virtual_memory().available / _GIB, 1),
        "cache_folder": str(folder),
        "cache_disk_free_gib": round(shutil.disk_usage(_existing(folder)).free / _GIB, 1),
        "sub_volumes_per_second": round(speed.one_thread, 1),
        "sub_volumes_per_second_all_cores": round(speed.all_threads, 1),
    }
    if settings.network:
        facts["training_step_seconds"] = round(_step_seconds(settings, device), 3)
    facts["advice"] = _advice(facts, settings)
    return facts


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _step_seconds(settings: DoctorSettings, device: str) -> float:
    """Return the median time of a training step (forward, loss, backward, AdamW) on one batch."""
    import torch

    from genesis_core.networks.unet3d import UNet3D
    from genesis_core.training.arithmetic import autocast
    from genesis_core.training.hardware import resolve_precision

    precision = resolve_precision("auto", device)
    network = UNet3D(width=settings.width, norm="batch").to(device)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    batch = torch.rand(settings.batch_size, 1, *settings.patch_size, device=device)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        optimiser.zero_grad()
        with autocast(precision, torch.device(device)):
            loss = torch.nn.functional.mse_loss(network(batch).float().sigmoid(), batch)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        elif device.startswith("mps"):
            torch.mps.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def _advice(facts: dict[str, Any], settings: DoctorSettings) -> list[str]:
    advice = []
    if facts["device"] == "cpu":
        advice.append(
            "No GPU was found: train with --width 8 or 16 and a budget of hours, or pre-train on another machine and "
            "apply the model here."
        )
    if facts["precision"] == "float32":
        advice.append("This device does not compute bfloat16 natively: training uses float32, about half as fast.")
    if facts["memory_free_gib"] < 4:
        advice.append(f"Only {facts['memory_free_gib']} GiB of memory are free: use a smaller batch, patch or width.")
    if facts["cache_disk_free_gib"] < 10:
        advice.append(
            f"Only {facts['cache_disk_free_gib']} GiB are free where the cache lives: put it elsewhere with --cache."
        )
    if importlib.util.find_spec("napari") is None:
        advice.append("napari is not installed, so there is no window: pip install 'napari-genesis[all]'.")
    if settings.network and "training_step_seconds" in facts:
        steps = 3600 / facts["training_step_seconds"]
        advice.append(
            f"About {steps:,.0f} training steps an hour at width {settings.width}, batch {settings.batch_size}; "
            f"{facts['sub_volumes_per_second']:,.0f} sub-volumes a second can be corrupted by one core."
        )
    return advice


def doctor_command(settings: DoctorSettings, output: Output) -> None:
    """Print the facts as a table, or as one JSON object."""
    facts = examine(settings)
    output.record(facts)
    if output.as_json:
        return
    rows = [("Python", f"{facts['python']} on {facts['system']}")]
    rows += [(name, text or "not installed") for name, text in facts["versions"].items()]
    rows += [
        ("device", ", ".join(facts["gpu"]) or f"processor, {facts['cores']} cores"),
        ("bfloat16", "native" if facts["native_bfloat16"] else "not native"),
        ("memory", f"{facts['memory_free_gib']} of {facts['memory_gib']} GiB free"),
        ("cache", f"{facts['cache_folder']} ({facts['cache_disk_free_gib']} GiB free)"),
        (
            "corruption",
            f"{facts['sub_volumes_per_second']:,.0f} sub-volumes a second on one core, "
            f"{facts['sub_volumes_per_second_all_cores']:,.0f} on {facts['cores']}",
        ),
    ]
    if "training_step_seconds" in facts:
        rows.append(("training step", f"{facts['training_step_seconds']:.2f} s (width {settings.width})"))
    output.table(("what", "here"), rows)
    for sentence in facts["advice"]:
        output.say(sentence)


command = settings_command(
    "doctor",
    DoctorSettings,
    doctor_command,
    text="Show versions, devices, memory and speed on this machine, with advice.",
    example="napari-genesis doctor",
    options={
        "--patch-size": "patch_size",
        "--width": "width",
        "--batch-size": "batch_size",
        "--network": "network",
    },
)
