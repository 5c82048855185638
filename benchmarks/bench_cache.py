"""Reading 96^3 sub-volumes of a CT from disk: our cache beside other stores, interleaved in one run on one thread.

    python benchmarks/bench_cache.py [--reads 400] [--write FILE]

The scan is a real chest CT (GENESIS_DATA, else ../shared/data), mirrored to 256x320x320 voxels (z, y, x), and the same
with noise of 12 HU added, since 2 mm voxels hold less noise than a thin-slice scan. All stores return float32 in
[0, 1]; the page cache is warm. Reads of all stores take turns, so a disturbance meets all of them; the smallest time is
what the machine can do undisturbed, the median what it did. Ours, nnU-Net's and nnssl's (blosc2_peers.py) open the file
at every read, as trainings do; the plain blosc2 arrays stay open. nnU-Net and nnssl store normalised scans, ready for
the network: here the values in [0, 1], as scanned; of resampled ones, which have more values, float32 takes more room.
zarr is measured where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blosc2
import blosc2_peers
import numpy as np
from numba import njit

from genesis_core.sampling.bricks import read_bricks, write_bricks
from genesis_core.volumes.reading import read_volume

SIZE = (96, 96, 96)
LOW, SCALE = -1000.0, 1 / 2000
REPOSITORY = Path(__file__).resolve().parent.parent
Reader = Callable[[tuple[int, int, int]], Any]


@njit(nogil=True)
def scaled(source: Any, low: Any, scale: Any) -> Any:
    out = np.empty(source.shape, np.float32)
    flat, target = source.reshape(-1), out.reshape(-1)
    for i in range(flat.size):
        target[i] = min(max((np.float32(flat[i]) - low) * scale, np.float32(0)), np.float32(1))
    return out


def unit(array: Any) -> Any:
    return scaled(np.ascontiguousarray(array), np.float32(LOW), np.float32(SCALE))


def scans() -> dict[str, Any]:
    data = Path(os.environ.get("GENESIS_DATA", REPOSITORY.parent / "shared" / "data"))
    chest = read_volume(data / "ct" / "chest_lidc0314_2mm.nii.gz").array
    large = np.pad(chest, [(0, 256 - chest.shape[0]), (0, 120), (0, 120)], mode="reflect").astype(np.int16)
    noise = np.random.default_rng(0).normal(0, 12, large.shape)
    return {"chest CT, mirrored": large, "the same with noise": np.rint(large + noise).astype(np.int16)}


def window(start: tuple[int, int, int]) -> tuple[slice, ...]:
    return tuple(slice(first, first + size) for first, size in zip(start, SIZE, strict=True))


def ours(array: Any, folder: Path) -> tuple[Reader, Path]:
    path = folder / "ours.bricks"
    write_bricks(path, array, {})
    return lambda start: read_bricks(path, start, SIZE, LOW, SCALE), path


def npy(array: Any, folder: Path) -> tuple[Reader, Path]:
    path = folder / "array.npy"
    np.save(path, array)
    mapped = np.load(path, mmap_mode="r")
    return lambda start: unit(mapped[window(start)]), path


def blosc(codec: str, level: int) -> Callable[[Any, Path], tuple[Reader, Path]]:
    def make(array: Any, folder: Path) -> tuple[Reader, Path]:
        path = folder / f"{codec}{level}.b2nd"
        cparams = {"codec": blosc2.Codec[codec], "clevel": level, "filters": [blosc2.Filter.SHUFFLE], "nthreads": 1}
        blosc2.asarray(array, urlpath=str(path), mode="w", chunks=(96,) * 3, blocks=(32,) * 3, cparams=cparams)
        opened = blosc2.open(str(path), mode="r", dparams={"nthreads": 1})
        return lambda start: unit(opened[window(start)]), path

    return make


def package(name: str) -> Callable[[Any, Path], tuple[Reader, Path]]:
    def make(array: Any, folder: Path) -> tuple[Reader, Path]:
        path, peer = folder / f"{name}.b2nd", blosc2_peers.PEERS[name]
        kind = blosc2_peers.write(peer, unit(array), SIZE[0], path)
        print(f"{name}: filter {kind}", file=sys.stderr)
        return lambda start: blosc2_peers.read(path, window(start)), path

    return make


def zarr_default(array: Any, folder: Path) -> tuple[Reader, Path]:
    import zarr

    path = folder / "array.zarr"
    stored = zarr.create_array(store=str(path), shape=array.shape, chunks=(64,) * 3, dtype="int16")
    stored[:] = array
    return lambda start: unit(stored[window(start)]), path


STORES: dict[str, Callable[[Any, Path], tuple[Reader, Path]]] = {
    "ours (checked at every read)": ours,
    "npy, memory-mapped": npy,
    "blosc2 array, int16 LZ4HC-5": blosc("LZ4HC", 5),
    "blosc2 array, int16 ZSTD-1": blosc("ZSTD", 1),
    **{f"{name}: float32 {peer.codec}-{peer.level}": package(name) for name, peer in blosc2_peers.PEERS.items()},
}


def size_on_disk(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def measure(array: Any, reads: int) -> list[str]:
    stores = dict(STORES)
    if importlib.util.find_spec("zarr"):
        stores["zarr 3, int16, default codec, chunk 64"] = zarr_default
    generator = np.random.default_rng(0)
    starts = [
        tuple(int(generator.integers(0, n - s + 1)) for n, s in zip(array.shape, SIZE, strict=True))
        for _ in range(reads)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        readers, facts = {}, {}
        for store, make in stores.items():
            begin = time.perf_counter()
            readers[store], path = make(array, folder)
            facts[store] = time.perf_counter() - begin, size_on_disk(path) / array.nbytes
        crop = np.ascontiguousarray(array[window(starts[0])])
        readers["(only mapping a crop in memory to [0, 1])"] = lambda start: unit(crop)
        times: dict[str, list[float]] = {store: [] for store in readers}
        expected = unit(array[window(starts[0])])
        for store, reader in readers.items():
            assert np.array_equal(reader(starts[0]), expected), store
        for start in starts:
            for store, reader in readers.items():
                begin = time.perf_counter()
                reader(start)
                times[store].append(1e3 * (time.perf_counter() - begin))
    lines = []
    for store, spent in times.items():
        write, ratio = (f"{facts[store][0]:.2f}", f"{facts[store][1]:.2f}") if store in facts else ("", "")
        low, tenth, median = min(spent), np.percentile(spent, 10), np.median(spent)
        lines.append(f"| {store} | {low:.2f} | {tenth:.2f} | {median:.2f} | {ratio} | {write} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reads", type=int, default=400)
    parser.add_argument("--write", type=Path)
    chosen = parser.parse_args()
    blosc2.set_nthreads(1)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    text = [
        "# Sub-volumes from disk",
        "",
        "96^3 voxels at random places of a 256x320x320 int16 CT, one thread, warm page cache, milliseconds including",
        "the mapping to float32 in [0, 1] (its own cost is the last row). Size is relative to the raw int16. Made",
        f"by `python benchmarks/bench_cache.py --reads {chosen.reads}`, {os.cpu_count()} cores ({platform.machine()}),",
        f"with a load of {load:.1f} when it began; above the number of cores, medians tell of other work too.",
    ]
    for name, array in scans().items():
        text += ["", f"## {name}", "", "| store | smallest | tenth percentile | median | size | written in s |"]
        text += ["|---|---|---|---|---|---|", *measure(array, chosen.reads)]
    print("\n".join(text))
    if chosen.write:
        chosen.write.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
