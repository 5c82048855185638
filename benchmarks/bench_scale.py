"""Ten thousand scans: listing a folder, checking it for the first and for the second time, and the memory that takes.

    python benchmarks/bench_scale.py [--scans 10000] [--threads 2] [--folder DIR]

The folder is made of links (symbolic and hard) to a few made files, spread over folders of a hundred: NIfTI, NRRD and
MetaImage files of 64x96x96 voxels, one in fifty of them cut short, and one in 25 scans a DICOM folder of 25 slices.
Every command runs in a process of its own with a cache of its own; its peak memory is what the kernel says
(resource.getrusage). Links share the page cache, so reading costs no disk: what is measured is our part.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SHAPE = (64, 96, 96)
SLICES = 25
PER_FOLDER = 100
# One scan in this many is a DICOM folder, one in that many a damaged file.
DICOM_EVERY, DAMAGED_EVERY = 25, 50

LIST = """
import json, resource, sys, time
from genesis_core.volumes.scans import survey_folder
began = time.perf_counter()
count = len(survey_folder(sys.argv[1]).scans)
print(json.dumps({"seconds": time.perf_counter() - began, "count": count,
                  "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""
INSPECT = """
import json, os, resource, sys, time
from genesis_core.cli.main import run
sys.stdout = open(os.devnull, "w")
began = time.perf_counter()
code = run(["inspect", *sys.argv[1:]])
print(json.dumps({"seconds": time.perf_counter() - began, "code": code,
                  "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), file=sys.__stdout__)
"""


def made_files(folder: Path) -> tuple[list[Path], Path, list[Path]]:
    """Write the few real files: sound scans of three formats, a damaged one, and the slices of one series."""
    import SimpleITK

    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    scans = []
    for index, ending in enumerate(("nii.gz", "nii.gz", "nrrd", "mha")):
        body = z**2 * 0.5 + y**2 * 1.5 + x**2 * 1.2 < 0.8 + 0.05 * index
        noise = generator.normal(0, 30, SHAPE)
        image = SimpleITK.GetImageFromArray(np.where(body, 40 + noise, -1000 + noise / 4).astype(np.int16))
        image.SetSpacing((1.5, 1.5, 2.0 + index % 2))
        scans.append(folder / f"scan_{index}.{ending}")
        SimpleITK.WriteImage(image, str(scans[-1]), useCompression=ending != "mha")
    damaged = folder / "damaged.nii.gz"
    damaged.write_bytes(scans[0].read_bytes()[:-1000])
    return scans, damaged, dicom_slices(folder, image)


def dicom_slices(folder: Path, image: object) -> list[Path]:
    """Write one CT series, a file a slice."""
    import SimpleITK

    paths = []
    for number in range(SLICES):
        piece = image[:, :, number]  # type: ignore[index]
        tags = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2", "0008|0060": "CT", "0020|000e": "1.2.826.0.1.3680043.2.1125.7",
            "0020|000d": "1.2.826.0.1.3680043.2.1125.8", "0008|0018": f"1.2.826.0.1.3680043.2.1125.9.{number}",
            "0020|0032": f"0\\0\\{2 * number}", "0020|0037": "1\\0\\0\\0\\1\\0", "0018|0050": "2",
            "0028|1052": "0", "0028|1053": "1",
        }  # fmt: skip
        for tag, value in tags.items():
            piece.SetMetaData(tag, value)
        writer = SimpleITK.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        paths.append(folder / f"slice_{number:03}.dcm")
        writer.SetFileName(str(paths[-1]))
        writer.Execute(piece)
    return paths


def link_scans(root: Path, made: Path, count: int) -> None:
    """Fill `root` with `count` scans made of links."""
    scans, damaged, slices = made_files(made)
    for number in range(count):
        folder = root / f"site_{number // PER_FOLDER:03}"
        folder.mkdir(parents=True, exist_ok=True)
        if number % DICOM_EVERY == 0:
            series = folder / f"patient_{number:05}"
            series.mkdir()
            for piece in slices:
                os.link(piece, series / piece.name)
            continue
        source = damaged if number % DAMAGED_EVERY == 1 else scans[number % len(scans)]
        target = folder / f"case_{number:05}{source.name[source.name.index('.') :]}"
        if number % 2:
            os.link(source, target)
        else:
            target.symlink_to(source)


def measured(code: str, *arguments: str, cache: Path) -> dict[str, float]:
    environment = {**os.environ, "GENESIS_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scans", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--threads", default="2")
    parser.add_argument("--folder", type=Path, help="where the links are made; default: a temporary folder")
    asked = parser.parse_args()
    print(
        "| scans | listing, first | listing, second | first check | second check | peak memory first / second check |"
    )
    print("|---|---|---|---|---|---|")
    for count in asked.scans:
        with tempfile.TemporaryDirectory(dir=asked.folder) as place:
            root, cache = Path(place) / "scans", Path(place) / "cache"
            link_scans(root, Path(place) / "made", count)
            listings = [measured(LIST, str(root), cache=cache) for _ in range(2)]
            assert listings[0]["count"] == count, listings
            options = (str(root), "--json", "--threads", asked.threads)
            first, second = (measured(INSPECT, *options, cache=cache) for _ in range(2))
            peaks = " / ".join(f"{check['peak'] / 1024:.0f} MiB" for check in (first, second))
            times = [f"{one['seconds']:.2f} s" for one in (*listings, first, second)]
            print(f"| {count:,} | {' | '.join(times)} | {peaks} |", flush=True)


if __name__ == "__main__":
    main()
