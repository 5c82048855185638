"""`napari-genesis restore`: restore scans, and write the restoration residual on each scan's own grid."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genesis_core.cli.output import Output
from genesis_core.cli.scan_jobs import pending, run_jobs, scans_to_do, tell_tally
from genesis_core.cli.settings_command import settings_command
from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    from genesis_core.inference.restore import Restoration
    from genesis_core.model.folder import Model
    from genesis_core.volumes.scans import Scan


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

    @property
    def id(self) -> str:
        return self.scan.id

    @property
    def complete(self) -> Path:
        return self.files["metrics"]


def run(settings: RestoreSettings, output: Output, *, stop: Callable[[], bool] | None = None) -> int:
    """Restore every scan; a bad one is named and left out. Returns 0 if all went well, 1 if a scan failed.

    stop: asked between windows; ends in Stopped, with what is finished kept.
    """
    from genesis_core.inference.predictor import choose_device
    from genesis_core.inference.restore import RESIDUAL_LIMITS, refuse_segmenting_folds, require_restoring_model
    from genesis_core.inference.result_files import require_writable, restoration_files, result_stems
    from genesis_core.model.folder import load_model

    scans = scans_to_do(settings.scan, settings.out, output)
    every = [
        _Job(scan, restoration_files(settings.out, stem, settings.format))
        for scan, stem in zip(scans, result_stems(scans), strict=True)
    ]
    jobs, skipped = pending(every, skip_existing=settings.skip_existing, overwrite=settings.overwrite)
    # What is wrong with the folder, the model or the device is wrong with every scan: said once, before the first.
    require_writable(settings.out, [path for job in jobs for path in job.files.values()])
    refuse_segmenting_folds(settings.model)
    model = load_model(settings.model)
    require_restoring_model(model, settings.batch_size)
    choose_device(settings.device)

    def work(job: _Job, progress: Callable[[int, int], None]) -> None:
        _restore_one(settings, model, job, output, progress, stop)

    tally = run_jobs(jobs, work, output, done_word="restored", skipped=skipped, stop=stop)
    code = tell_tally(tally, len(jobs), skipped, settings.out, output, done_word="restored")
    if tally.done:
        output.say(RESIDUAL_LIMITS)
    output.record({"event": "finished", "restored": tally.done, "skipped": skipped, "failed": tally.failed})
    return code


def _restore_one(
    settings: RestoreSettings,
    model: Model,
    job: _Job,
    output: Output,
    progress: Callable[[int, int], None],
    stop: Callable[[], bool] | None,
) -> None:
    from genesis_core.inference.restore import restore
    from genesis_core.inference.result_files import write_restoration
    from genesis_core.volumes.reading import read_volume

    began = time.monotonic()
    volume = read_volume(job.scan.path, series=job.scan.series)
    restoration = restore(
        model,
        volume,
        overlap=settings.overlap,
        device=settings.device,
        batch_size=settings.batch_size,
        precision=settings.precision,
        progress=progress,
        stop=stop,
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
    windows = f"{restoration.windows} window{'s' * (restoration.windows != 1)}"
    output.say(f"{job.name}: {windows} in {seconds:.1f} s; {numbers} -> {job.files['restored']}")
    # The last note is the same for every scan, and said once at the end.
    for note in restoration.notes[:-1]:
        output.say(f"  {note}")
    files = {part: str(path) for part, path in job.files.items()}
    output.record(
        {"event": "restored", "scan": job.name, "id": job.scan.id, "seconds": seconds, "files": files, **facts}
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
