"""`napari-genesis restore`: restore scans, and write the restoration residual on each scan's own grid."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.errors import GenesisError, OutputExistsError
from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    from genesis_core.inference.restore import Restoration
    from genesis_core.model.folder import Model
    from genesis_core.volumes.scans import Scan

# Programs that listen to --json hear of progress about this often.
_SECONDS_BETWEEN_RECORDS = 1.0


class RestoreSettings(Settings):
    """What `napari-genesis restore` is told."""

    scan: Path = setting(..., "A scan (file or DICOM folder), or a folder of scans.")
    model: Path = setting(..., "A run or a model folder; its task must be restoration.")
    out: Path = setting(..., "Folder for the results; subfolders are mirrored.")
    overlap: float = setting(0.5, "Fraction of the patch that neighbouring windows share.", ge=0, le=0.95)
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:1, mps.")
    batch_size: int = setting(1, "Windows per forward pass; 1 for networks with batch statistics.", ge=1, le=256)
    precision: Literal["float32", "bfloat16"] = setting("float32", "Number format of the network's arithmetic.")
    format: Literal["nii.gz", "nrrd", "mha"] = setting("nii.gz", "File format of the volumes written.")
    skip_existing: bool = setting(False, "Leave out scans whose metrics file is already there.")
    overwrite: bool = setting(False, "Replace results that are already there.")


@dataclass(frozen=True)
class _Job:
    scan: Scan
    files: dict[str, Path]

    @property
    def name(self) -> str:
        """What the user calls the scan: its path within the folder given, without what lies above."""
        return self.scan.path.resolve().name if self.scan.relative == "." else self.scan.relative


def run(settings: RestoreSettings, output: Output) -> int:
    """Restore every scan; a bad one is named and left out. Returns 0 if all went well, 1 if a scan failed."""
    if settings.skip_existing and settings.overwrite:
        raise click.UsageError("--skip-existing and --overwrite contradict each other: give one")
    from genesis_core.inference.predictor import choose_device
    from genesis_core.inference.restore import RESIDUAL_LIMITS, require_restoring_model
    from genesis_core.model.folder import load_model

    jobs, skipped = _jobs(settings, output)
    # What is wrong with the model or the device is wrong with every scan: said once, before the first.
    model = load_model(settings.model)
    require_restoring_model(model, settings.batch_size)
    choose_device(settings.device)
    failed: list[str] = []
    done = 0
    try:
        with _bar(output, len(jobs)) as advance:
            for number, job in enumerate(jobs):
                try:
                    _restore_one(settings, model, job, output, partial(advance, number))
                    done += 1
                except (GenesisError, OSError, MemoryError) as problem:
                    failed.append(job.name)
                    reason = str(problem) or "out of memory"
                    output.record({"event": "failed", "scan": job.name, "id": job.scan.id, "reason": reason})
                    if len(jobs) == 1 and isinstance(problem, GenesisError | OSError):
                        raise
                    output.warn(f"{job.name} is left out: {reason}")
    except KeyboardInterrupt:
        output.say(f"Stopped: {done} of {len(jobs)} scans restored; --skip-existing goes on from here.")
        output.record({"event": "stopped", "restored": done, "skipped": skipped, "failed": failed})
        raise
    already = f", {skipped} already there" if skipped else ""
    missing = f", {len(failed)} failed: {', '.join(failed)}" if failed else ""
    output.say(f"{done} of {len(jobs)} scans restored{already}{missing}. Results: {settings.out}")
    if done:
        output.say(RESIDUAL_LIMITS)
    output.record({"event": "finished", "restored": done, "skipped": skipped, "failed": failed})
    return 1 if failed else 0


def _jobs(settings: RestoreSettings, output: Output) -> tuple[list[_Job], int]:
    """Return what is to be done and how many scans are skipped; refuse before any work if results are in the way."""
    from genesis_core.inference.result_files import restoration_files, result_stems
    from genesis_core.volumes.scans import survey_folder

    if settings.out.exists() and not settings.out.is_dir():
        raise click.UsageError(f"--out {settings.out}: a file, where a folder is wanted")
    survey = survey_folder(settings.scan)
    for folder in survey.closed:
        output.warn(f"a folder could not be listed: {folder}")
    if survey.skipped:
        output.say(f"{survey.skipped} other files are no scans by their names: left out.")
    scans = _without_results(survey.scans, settings, output)
    if not scans:
        raise click.UsageError(f"{settings.scan}: no scan there (see: napari-genesis inspect)")
    jobs = [
        _Job(scan, restoration_files(settings.out, stem, settings.format))
        for scan, stem in zip(scans, result_stems(scans), strict=True)
    ]
    if settings.skip_existing:
        # The metrics are written last: without them a scan was interrupted, and is done again.
        kept = [job for job in jobs if not job.files["metrics"].exists()]
        return kept, len(jobs) - len(kept)
    there = [path for job in jobs for path in job.files.values() if path.exists()]
    if there and not settings.overwrite:
        raise OutputExistsError(
            f"{there[0]} exists ({len(there)} such files): give another --out, --skip-existing or --overwrite"
        )
    return jobs, 0


def _without_results(scans: Sequence[Scan], settings: RestoreSettings, output: Output) -> list[Scan]:
    """Leave out what lies in the output folder, so that a second call does not restore the first one's results."""
    out = settings.out.resolve()
    if settings.scan.is_dir() and settings.scan.resolve().is_relative_to(out):
        raise click.UsageError(f"--out {settings.out}: holds the scans; choose a folder of its own for the results")
    if not settings.scan.is_dir():
        return list(scans)
    kept = [scan for scan in scans if not scan.path.resolve().is_relative_to(out)]
    if len(kept) < len(scans):
        output.say(f"{len(scans) - len(kept)} files in {settings.out} are results, not scans: left out.")
    return kept


def _restore_one(
    settings: RestoreSettings, model: Model, job: _Job, output: Output, advance: Callable[[float], None]
) -> None:
    from genesis_core.inference.restore import restore
    from genesis_core.inference.result_files import write_restoration
    from genesis_core.volumes.reading import read_volume

    began = said = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal said
        advance(done / total)
        now = time.monotonic()
        if output.as_json and (now - said >= _SECONDS_BETWEEN_RECORDS or done == total):
            said = now
            left = (now - began) / done * (total - done)
            output.record(
                {"event": "progress", "scan": job.name, "done": done, "total": total, "seconds_left": round(left, 1)}
            )

    volume = read_volume(job.scan.path, series=job.scan.series)
    restoration = restore(
        model,
        volume,
        overlap=settings.overlap,
        device=settings.device,
        batch_size=settings.batch_size,
        precision=settings.precision,
        progress=progress,
    )
    write_restoration(
        restoration, job.files, _facts(settings, model, job), overwrite=settings.overwrite or settings.skip_existing
    )
    _tell(output, job, restoration, time.monotonic() - began)


def _facts(settings: RestoreSettings, model: Model, job: _Job) -> dict[str, Any]:
    card = model.card
    return {
        "schema": 1,
        "scan": job.name,
        "id": job.scan.id,
        "model": {"name": card.name, "weights_sha256": card.weights_sha256},
        "settings": settings.model_dump(mode="json", include={"overlap", "device", "batch_size", "precision"}),
    }


def _tell(output: Output, job: _Job, restoration: Restoration, seconds: float) -> None:
    facts = restoration.as_json()
    numbers = ", ".join(
        f"{key.upper().replace('_', ' ')} {'infinite' if value is None else f'{value:.4g}'}"
        for key, value in facts["metrics"].items()
    )
    output.say(f"{job.name}: {restoration.windows} windows in {seconds:.1f} s; {numbers} -> {job.files['restored']}")
    # The last note is the same for every scan, and said once at the end.
    for note in restoration.notes[:-1]:
        output.say(f"  {note}")
    files = {part: str(path) for part, path in job.files.items()}
    output.record(
        {"event": "restored", "scan": job.name, "id": job.scan.id, "seconds": seconds, "files": files, **facts}
    )


@contextmanager
def _bar(output: Output, scans: int) -> Iterator[Callable[[int, float], None]]:
    """Yield a function that shows (scans done, share of the current one) as one bar over all scans, on a terminal."""
    if not output.is_terminal:
        yield lambda number, share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("restoring", total=scans)
        yield lambda number, share: bar.update(
            task, completed=number + share, description=f"restoring scan {number + 1} of {scans}"
        )


command = settings_command(
    "restore",
    RestoreSettings,
    run,
    text=(
        "Restore scans with a pre-trained model; write the restoration residual.\n\n"
        "Writes, for each scan and on its own grid: NAME_restored, NAME_residual (restored - scan, signed, in HU or "
        "the scan's units), NAME_outside_window (0 within the model's intensity window, 1 below, 2 above) and "
        "NAME_metrics.json. The residual shows what the model cannot restore (noise, fine texture, whatever was rare "
        "in its training data), not disease. In a folder, a scan that cannot be restored is named and left out; the "
        "exit code is then 1."
    ),
    example="napari-genesis restore scans/ --model runs/lung --out restored/",
    arguments={"SCAN": "scan"},
    options={
        "--model": "model",
        "--out": "out",
        "--overlap": "overlap",
        "--device": "device",
        "--batch-size": "batch_size",
        "--precision": "precision",
        "--format": "format",
        "--skip-existing": "skip_existing",
        "--overwrite": "overwrite",
    },
)
