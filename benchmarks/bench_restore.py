"""Time and peak memory of restoring a scan, in a process of its own.

python benchmarks/bench_restore.py                 # a synthetic 300 x 512 x 512 thorax
python benchmarks/bench_restore.py SCAN --width 32
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

import genesis_core as gc
from genesis_core.model.card import ModelCard
from genesis_core.model.folder import save_model
from genesis_core.networks import UNet3DSettings, create_network
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.preprocessing import Preprocessing


def untrained_model(folder: Path, width: int, modality: str) -> gc.Model:
    """Write and load a model with random weights: time and memory do not depend on what it has learnt."""
    settings = UNet3DSettings(width=width, norm="instance")
    card = ModelCard(
        name="untrained",
        task="restoration",
        network=settings,
        activation="sigmoid",
        preprocessing=Preprocessing.model_validate({"modality": modality}),
        patch_size=(32, 64, 64),
    )
    save_model(folder, create_network(settings, seed=0), card)
    return gc.load_model(folder)


def large_scan() -> gc.Volume:
    """A phantom, each voxel repeated until it has the size of a clinical chest CT."""
    phantom = make_phantom(0, (100, 128, 128)).volume
    array = np.repeat(np.repeat(np.repeat(phantom.array, 3, 0), 4, 1), 4, 2)
    x, y, z = phantom.spacing
    return gc.Volume.from_array(array, (x / 4, y / 4, z / 3), modality="ct")


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scan", nargs="?", type=Path)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--overlap", type=float, default=0.25)
    parser.add_argument("--modality", default="ct", choices=["ct", "mr"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = untrained_model(Path(folder) / "model", given.width, given.modality)
    scan = gc.read_volume(given.scan) if given.scan else large_scan()
    before, began = peak_mib(), time.perf_counter()
    restoration = gc.restore(model, scan, overlap=given.overlap, precision="bfloat16")
    seconds = time.perf_counter() - began
    size = scan.array.nbytes / 2**20
    print(
        f"{' x '.join(map(str, scan.shape))} voxels ({scan.array.dtype}, {size:.0f} MiB), width {given.width}, "
        f"{restoration.windows} windows: {seconds:.0f} s, peak memory {peak_mib():.0f} MiB "
        f"({peak_mib() - before:.0f} MiB more than before), {(peak_mib() - before) / size:.1f} times the scan"
    )


if __name__ == "__main__":
    main()
