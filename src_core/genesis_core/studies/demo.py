"""The whole path in a few minutes: scans in, a pre-trained network and a restored scan out, and a report to look at.

It runs on synthetic thorax CTs, or on the first scans of the user's own folder; what it makes is small on purpose, and
shows what a real run would do, not how good it gets.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis_core.atomic import write_text
from genesis_core.errors import OutputExistsError
from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    from genesis_core.inference.restore import Restoration
    from genesis_core.studies.demo_transfer import Transfer
    from genesis_core.training.run_folder import RunFolder
    from genesis_core.volumes.scans import Scan
    from genesis_core.volumes.volume import Volume

Say = Callable[[str], None]
# What the demo makes, and alone may remove.
_MADE = (
    "scans", "run", "restored", "labelled", "segmenter", "segmented", "evaluation", "contact_sheet.png", "report.html",
)  # fmt: skip
_MARK = "demo_of_napari_genesis.txt"
# Restoring a whole body takes minutes; a block of this many voxels (z, y, x) shows the same.
_BLOCK = (96, 192, 192)


class DemoSettings(Settings):
    """Settings of the demo."""

    out: Path | None = setting(None, "Folder for everything the demo makes.")
    data: Path | None = setting(None, "Folder of your own scans; empty: synthetic thorax CTs.")
    minutes: float = setting(1.75, "Time spent pre-training.", unit="minutes", gt=0, le=600)
    finetune_minutes: float = setting(
        1.0,
        "Time spent learning to segment a few labelled ones of the synthetic scans; 0: none.",
        unit="minutes",
        ge=0,
        le=600,
    )
    scans: int = setting(10, "Synthetic scans to make.", ge=2, le=1000)
    width: int = setting(8, "Width of the network.", ge=1, le=64)
    batch_size: int = setting(2, "Sub-volumes per training step.", ge=1, le=64)
    learning_rate: float = setting(3e-3, "Highest learning rate; higher than usual, for so few steps.", gt=0, le=1)
    seed: int = setting(0, "Every random decision follows from it.", ge=0)
    overwrite: bool = setting(False, "Replace an earlier demo in the same folder.")


@dataclass(frozen=True)
class DemoResult:
    """What the demo made. seconds: how long each part took, by name. shown: the block that was restored."""

    settings: DemoSettings
    run: RunFolder
    scan_name: str
    shown: Volume
    restoration: Restoration
    seconds: dict[str, float]
    warnings: tuple[str, ...]
    transfer: Transfer | None = None


def run_demo(settings: DemoSettings, say: Say, report: Callable[[dict[str, Any]], None] | None = None) -> Path:
    """Run everything and return the path of report.html.

    say: receives one sentence per part. report: receives the events of the training.
    Raises OutputExistsError if the folder holds anything and `overwrite` is not set, or anything that is not a demo's;
    KeyboardInterrupt where one of the trainings was asked to stop.
    """
    from genesis_core.studies.demo_report import write_report

    out = _claim(settings)
    seconds: dict[str, float] = {}
    warnings: list[str] = []

    def collect(event: dict[str, Any]) -> None:
        if event["event"] == "warning":
            warnings.append(event["message"])
        if report is not None:
            report(event)

    data = settings.data
    if data is None:
        data = out / "scans"
        with _timed(seconds, "making scans"):
            say(f"making {settings.scans} synthetic thorax CTs")
            _make_scans(data, settings)
    with _timed(seconds, "pre-training"):
        say(f"pre-training for {settings.minutes:g} minutes")
        run = _pretrain(data, out / "run", settings, collect)
    if run.status().state == "stopped":
        raise KeyboardInterrupt
    with _timed(seconds, "restoring"):
        scan, held_out = _scan_to_show(data, run)
        say(f"restoring {'a held-out scan' if held_out else 'a scan'}")
        shown, restoration = _restore(scan, run, out / "restored")
    transfer = None
    if settings.data is None and settings.finetune_minutes > 0:
        with _timed(seconds, "learning to segment, and the test"):
            transfer = _transfer(settings, out, data, run, say, report)
    with _timed(seconds, "drawing"):
        _write_contact_sheet(shown, run, settings, out / "contact_sheet.png")
        # A report may be passed on: the user's own scans go by their pseudonyms there.
        name = scan.relative if settings.data is None else scan.id
        name += "" if held_out else " (also trained on)"
        result = DemoResult(settings, run, name, shown, restoration, seconds, tuple(dict.fromkeys(warnings)), transfer)
    path = out / "report.html"
    write_report(result, out / "contact_sheet.png", path)
    return path


class _timed:  # noqa: N801 - reads as a statement
    """Add the time spent in the block to `seconds[name]`."""

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self._seconds, self._name = seconds, name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._name] = time.perf_counter() - self._began


def _claim(settings: DemoSettings) -> Path:
    """Return an empty folder that is marked as ours; an earlier demo is removed if that was asked for."""
    assert settings.out is not None
    out = settings.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not (settings.overwrite and (out / _MARK).is_file()):
            hint = "it holds no earlier demo" if settings.overwrite else "--overwrite replaces an earlier demo"
            raise OutputExistsError(f"{out} exists already: choose another --out ({hint})")
        for name in _MADE:
            path = out / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / _MARK, "This folder was made by `napari-genesis demo`, which may replace what it made here.\n")
    return out


def _make_scans(folder: Path, settings: DemoSettings) -> None:
    from genesis_core.phantom.thorax import write_phantoms

    write_phantoms(folder, settings.scans, seed=100 * settings.seed)


def _pretrain(data: Path, out: Path, settings: DemoSettings, report: Callable[[dict[str, Any]], None]) -> RunFolder:
    from genesis_core.training.pretrain import pretrain

    return pretrain(
        data,
        out,
        settings={
            "training": {"validate_every": 40, "checkpoint_every": 100, "learning_rate": settings.learning_rate},
            "validation_samples": 16,
        },
        width=settings.width,
        batch_size=settings.batch_size,
        max_hours=settings.minutes / 60,
        seed=settings.seed,
        report=report,
    )


def _transfer(
    settings: DemoSettings,
    out: Path,
    scans: Path,
    run: RunFolder,
    say: Say,
    report: Callable[[dict[str, Any]], None] | None,
) -> Transfer:
    from genesis_core.studies.demo_transfer import TEST_SCANS, TRAINING_SCANS, learn_and_test, make_labelled_set
    from genesis_core.training.run_settings import read_settings
    from genesis_core.volumes.scans import list_scans

    stored = read_settings(run)
    assert stored.cases is not None
    names = {scan.id: scan.relative for scan in list_scans(scans)}
    training = [names[one] for one in stored.cases.training][:TRAINING_SCANS]
    test = [names[one] for one in stored.cases.validation][:TEST_SCANS]
    say(f"learning to segment from {len(training)} labelled scans, for {settings.finetune_minutes:g} minutes")
    make_labelled_set(out / "labelled", scans, 100 * settings.seed, training, test)
    return learn_and_test(
        out / "labelled",
        out,
        run,
        training=training,
        test=test,
        minutes=settings.finetune_minutes,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        report=report or (lambda _event: None),
    )


def _scan_to_show(data: Path, run: RunFolder) -> tuple[Scan, bool]:
    """Return the first held-out scan, or the first trained on where none is, and which of the two it is."""
    from genesis_core.training.run_settings import read_settings
    from genesis_core.volumes.scans import list_scans

    cases = read_settings(run).cases
    assert cases is not None
    wanted = (cases.validation or cases.training)[0]
    return next(scan for scan in list_scans(data) if scan.id == wanted), bool(cases.validation)


def _restore(scan: Scan, run: RunFolder, folder: Path) -> tuple[Volume, Restoration]:
    from genesis_core.inference.restore import restore
    from genesis_core.model.folder import load_model
    from genesis_core.training.hardware import native_bfloat16
    from genesis_core.volumes.reading import read_volume
    from genesis_core.volumes.writing import write_volume

    block = _central_block(read_volume(scan.path, series=scan.series))
    model = load_model(run.path)
    assert model.card.preprocessing is not None
    block = replace(block, modality=model.card.preprocessing.modality)
    restoration = restore(model, block, precision="bfloat16" if native_bfloat16("cpu") else "float32")
    folder.mkdir(exist_ok=True)
    for name in ("restored", "residual"):
        write_volume(getattr(restoration, name), folder / f"{name}.nii.gz")
    write_volume(block, folder / "scan.nii.gz")
    return block, restoration


def _central_block(volume: Volume) -> Volume:
    """Return the middle of a scan, at most 96 x 192 x 192 voxels, at its own place in the patient."""
    from genesis_core.volumes.cropping import crop

    starts = [max(0, (have - want) // 2) for have, want in zip(volume.shape, _BLOCK, strict=True)]
    sizes = [min(have, want) for have, want in zip(volume.shape, _BLOCK, strict=True)]
    return crop(volume, (starts[0], starts[1], starts[2]), (sizes[0], sizes[1], sizes[2]))


def _write_contact_sheet(shown: Volume, run: RunFolder, settings: DemoSettings, path: Path) -> None:
    from genesis_core.corruptions.recipe import Recipe
    from genesis_core.inference.contact_sheet import make_contact_sheet
    from genesis_core.model.folder import load_model
    from genesis_core.pictures.encoding import write_png

    model = load_model(run.path)
    assert model.card.preprocessing is not None
    sheet = make_contact_sheet(
        model.card.preprocessing.prepare(shown),
        Recipe.genesis(),
        seed=settings.seed,
        model=model,
        source="synthetic thorax CT, no person" if settings.data is None else "your own",
    )
    write_png(sheet.image, path)
