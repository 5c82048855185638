"""Segment 14 classes on 256³ voxels (window 96, overlap 0.5, Gaussian), beside MONAI's sliding window and argmax.

    python benchmarks/bench_segment.py [--side 256] [--classes 14] [--threads 2] [--width 8]

The network is a stand-in that copies its window into every class (its time is part of both), or with --width a real
3D U-Net. Ours starts from the scan as read and ends with labels on its grid, counted; MONAI starts from the scan mapped
to [0, 1] and ends with the argmax. Each runs in a fresh process; memory is the growth of the peak resident set.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from genesis_core.inference.segment import _bytes_needed, segment
from genesis_core.model.card import LabelEntry, ModelCard
from genesis_core.model.folder import Model
from genesis_core.networks.registry import create_network
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.volume import Geometry, Volume

PATCH = 96
WAYS = {
    "napari-genesis": {},
    "napari-genesis, uncertainty and spread": {"uncertainty": True},
    "napari-genesis, from a 1.5 times coarser grid": {"coarser": True},
    "napari-genesis, five models": {"models": 5},
    "MONAI, argmax": {},
}


class Copying(nn.Module):
    """Logits of every class are the window, shifted; computed in memory that is there already."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("out", torch.zeros((1, classes, PATCH, PATCH, PATCH)))
        self.register_buffer("shift", torch.linspace(-1, 1, classes)[None, :, None, None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.add(x, self.shift, out=self.out)


def make_model(classes: int, width: int, coarser: bool) -> Model:
    settings = UNet3DSettings(width=width or 2, norm="instance", out_channels=classes)
    card = ModelCard(
        name="bench",
        task="segmentation",
        network=settings,
        activation="softmax",
        preprocessing=Preprocessing.model_validate({"modality": "ct", "spacing": (1.5,) * 3 if coarser else None}),
        patch_size=(PATCH,) * 3,
        structures=tuple(LabelEntry(name=f"structure {k}", value=k) for k in range(1, classes)),
    )
    return Model(create_network(settings, seed=0) if width else Copying(classes), card, Path("bench"))


def peak_mb() -> float:
    """Return the peak resident set of this process; getrusage would also count what the parent had before the exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def run(way: str, side: int, classes: int, width: int) -> dict[str, float]:
    """Return seconds and growth of the peak memory in MB of one way, after a small warm-up."""
    options = WAYS[way]
    model = make_model(classes, width, bool(options.get("coarser")))
    models = [model] * int(options.get("models", 1))
    uncertainty = bool(options.get("uncertainty"))
    array = np.random.default_rng(0).integers(-1000, 1000, (side,) * 3, dtype=np.int16)
    scan = Volume(array, Geometry(array.shape), modality="ct")
    small = Volume.from_array(array[:PATCH, :PATCH, :PATCH].copy(), modality="ct")
    if way.startswith("MONAI"):
        from monai.inferers.utils import sliding_window_inference

        def apply(volume: Volume) -> np.ndarray:
            unit = torch.from_numpy(volume.normalised("ct").array)[None, None]
            with torch.inference_mode():
                logits = sliding_window_inference(unit, (PATCH,) * 3, 1, model.network, overlap=0.5, mode="gaussian")
                return logits.argmax(dim=1)[0].to(torch.uint8).numpy()
    else:

        def apply(volume: Volume) -> np.ndarray:
            return segment(models, volume, uncertainty=uncertainty).labels.as_map()

    apply(small)
    before = peak_mb()
    began = time.perf_counter()
    labels = apply(scan)
    seconds = time.perf_counter() - began
    estimate = _bytes_needed((scan,), model.card, (PATCH,) * 3, 1, uncertainty) / 2**20
    return {"seconds": seconds, "mb": peak_mb() - before, "estimate": estimate, "sum": float(labels.sum())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--classes", type=int, default=14, help="background included")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--width", type=int, default=0, help="a real U-Net of this width; 0: the stand-in")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.way:
        print(json.dumps(run(arguments.way, arguments.side, arguments.classes, arguments.width)))
        return
    whole = arguments.classes * arguments.side**3 * 4 / 2**20
    print(f"classes x volume x 4 B = {whole:.0f} MB\n\n| | seconds, best | peak memory (MB) | our estimate (MB) |")
    print("|---|---|---|---|")
    # Alternating, so that all meet the same disturbances.
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(arguments.repeats):
        for way in WAYS:
            command = [sys.executable, "-W", "ignore", __file__, *sys.argv[1:], "--way", way]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[way].append(json.loads(output.splitlines()[-1]))
    for way, rows in found.items():
        estimate = "" if way.startswith("MONAI") else f"{rows[0]['estimate']:.0f}"
        best, most = min(row["seconds"] for row in rows), max(row["mb"] for row in rows)
        print(f"| {way} | {best:.2f} | {most:.0f} | {estimate} |")


if __name__ == "__main__":
    main()
