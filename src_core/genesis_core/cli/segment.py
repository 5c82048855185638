"""`napari-genesis segment`: segment scans with a fine-tuned model, and write label maps on each scan's own grid."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genesis_core.cli.output import Output
from genesis_core.cli.scan_jobs import Tally, pending, run_jobs, scans_to_do, tell_tally
from genesis_core.cli.segment_seen import learnt_from, tell_seen, training_case
from genesis_core.cli.segment_settings import STATED, SegmentSettings
from genesis_core.cli.settings_command import settings_command

if TYPE_CHECKING:
    from genesis_core.inference.cases import CaseFiles
    from genesis_core.inference.postprocessing import Cleaning
    from genesis_core.inference.segment import Segmentation
    from genesis_core.model.card import ModelCard
    from genesis_core.model.folder import Model
    from genesis_core.studies.review.usual import TrainedOn
    from genesis_core.volumes.scans import Scan


@dataclass(frozen=True)
class _Job:
    case: CaseFiles
    files: dict[str, Path]

    @property
    def name(self) -> str:
        return self.case.name

    @property
    def id(self) -> str:
        return self.case.id

    @property
    def complete(self) -> Path:
        return self.files["information"]


def run(settings: SegmentSettings, output: Output, *, stop: Callable[[], bool] | None = None) -> int:
    """Segment every case; a bad one is named and left out. Returns 0 if all went well, 1 if a case failed.

    stop: asked between windows, views and models; ends in Stopped, with what is finished kept.
    """
    from genesis_core.inference.cases import group_cases
    from genesis_core.inference.organ_rules import check_organ_rules
    from genesis_core.inference.predictor import choose_device
    from genesis_core.inference.result_files import require_writable
    from genesis_core.inference.segmentation_files import segmentation_files
    from genesis_core.inference.segmenting_models import require_segmenting_models, views_of
    from genesis_core.inference.selected_structures import select_structures
    from genesis_core.model.ensemble import load_ensemble

    # What is wrong with the models, the device or the settings is wrong with every scan: said before the first.
    models = [model for path in settings.model for model in load_ensemble(path)]
    require_segmenting_models(models, settings.batch_size)
    models = [select_structures(model, settings.structures) for model in models]
    card, preprocessing = require_segmenting_models(models, settings.batch_size)
    views_of(card, preprocessing, settings.flips)
    check_organ_rules(settings.organ_rules, [entry.name for entry in card.structures])
    _cleaning(settings).check([entry.name for entry in card.structures])
    choose_device(settings.device)
    cases, left_out = group_cases(_scans(settings, card, output), card.network.in_channels, card.channels)
    every = [_Job(case, segmentation_files(settings.out, case.stem, settings.format)) for case in cases]
    jobs, skipped = pending(every, skip_existing=settings.skip_existing, overwrite=settings.overwrite)
    require_writable(settings.out, [path for job in jobs for path in job.files.values()])
    _say_ensemble(models, output)
    for name, reason in left_out:
        output.warn(f"{name} is left out: {reason}")
        output.record({"event": "failed", "scan": name, "reason": reason})
    if not every:
        raise click.UsageError(f"{settings.scan}: no complete case there for a model that looks at several channels")

    learnt = learnt_from(settings.model, output, stop)
    seen: list[str] = []

    def work(job: _Job, progress: Callable[[int, int], None]) -> None:
        if _segment_one(settings, models, learnt, job, output, progress, stop):
            seen.append(job.name)

    try:
        tally = run_jobs(
            jobs,
            work,
            output,
            done_word="segmented",
            skipped=skipped,
            raise_single=not left_out and len(every) == 1,
            stop=stop,
        )
    finally:
        _write_table(settings.out, every)
        tell_seen(seen, output)
    tally = Tally(tally.done, [*(name for name, _ in left_out), *tally.failed])
    code = tell_tally(tally, len(jobs) + len(left_out), skipped, settings.out, output, done_word="segmented")
    output.record({"event": "finished", "segmented": tally.done, "skipped": skipped, "failed": tally.failed})
    return code


def _scans(settings: SegmentSettings, card: ModelCard, output: Output) -> list[Scan]:
    """Return the scans asked for; with a file that is one channel of several (NAME_0000), also the others beside it."""
    stem = _stem(settings.scan)
    numbered = settings.scan.is_file() and stem[-5:-4] == "_" and stem[-4:].isdigit()
    if card.network.in_channels == 1 or not numbered:
        return scans_to_do(settings.scan, settings.out, output)
    beside = scans_to_do(settings.scan.parent, settings.out, output)
    ends = {f"{stem[:-4]}{number:04d}" for number in range(card.network.in_channels)}
    return [scan for scan in beside if scan.path.parent == settings.scan.parent and _stem(scan.path) in ends]


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]


def _cleaning(settings: SegmentSettings) -> Cleaning:
    from genesis_core.inference.postprocessing import Cleaning

    return Cleaning(settings.minimum_ml, settings.largest_component, settings.fill_holes, settings.fill_slices)


def _say_ensemble(models: Sequence[Model], output: Output) -> None:
    if len(models) > 1:
        output.say(f"The mean of {len(models)} models: {', '.join(model.card.name for model in models)}.")


def _segment_one(
    settings: SegmentSettings,
    models: Sequence[Model],
    learnt: TrainedOn,
    job: _Job,
    output: Output,
    progress: Callable[[int, int], None],
    stop: Callable[[], bool] | None,
) -> bool:
    """Segment and write one case; return whether the model has learnt from it."""
    from genesis_core.inference.cases import read_case_volumes
    from genesis_core.inference.segment import segment
    from genesis_core.inference.segmentation_files import (
        TRAINING_CASE,
        refuse_unknown_labels,
        require_dicom_memory,
        require_series,
        write_segmentation,
    )

    began = time.monotonic()
    if settings.skip_existing:
        # Labels that somebody drew may be called like a case.
        refuse_unknown_labels(job.files)
    if settings.format == "dicom_seg":
        # Known before an hour of computing.
        require_series(job.case.scans[0])
    volumes = read_case_volumes(job.case, models[0].card.network.in_channels)
    if settings.format == "dicom_seg":
        require_dicom_memory(models[0].card, volumes[0].array.size)
    segmentation = segment(
        models,
        volumes,
        overlap=settings.overlap,
        flips=settings.flips,
        device=settings.device,
        batch_size=settings.batch_size,
        precision=settings.precision,
        largest_component=settings.largest_component,
        fill_holes=settings.fill_holes,
        fill_slices=settings.fill_slices,
        minimum_ml=settings.minimum_ml,
        organ_rules=settings.organ_rules,
        uncertainty=settings.uncertainty,
        progress=progress,
        stop=stop,
    )
    facts, notes = _facts(settings, models, job), segmentation.notes
    known = training_case(learnt, volumes)
    if known is not None:
        facts[TRAINING_CASE] = known
        note = f"The model was trained or validated on this scan ({known}): its result tells nothing of new scans."
        segmentation = replace(segmentation, notes=(*notes, note))
    files = write_segmentation(
        segmentation,
        job.files,
        facts,
        scans=job.case.scans,
        overwrite=settings.overwrite or settings.skip_existing,
    )
    # That it was in training is said once, of all scans.
    _tell(output, job, segmentation, files, time.monotonic() - began, notes)
    return known is not None


def _facts(settings: SegmentSettings, models: Sequence[Model], job: _Job) -> dict[str, Any]:
    return {
        "schema": 1,
        "case": job.name,
        "id": job.id,
        "scans": [scan.relative if scan.relative != "." else job.name for scan in job.case.scans],
        "models": [{"name": model.card.name, "weights_sha256": model.card.weights_sha256} for model in models],
        "settings": settings.model_dump(mode="json", include=STATED),
    }


def _tell(
    output: Output, job: _Job, segmentation: Segmentation, files: dict[str, Path], seconds: float, notes: Sequence[str]
) -> None:
    volumes = ", ".join(f"{name} {ml:.4g} ml" for name, ml in segmentation.volumes_ml.items() if ml)
    written = files.get("labels") or files["layers"]
    windows = f"{segmentation.windows} window{'s' * (segmentation.windows != 1)}"
    output.say(f"{job.name}: {windows} in {seconds:.1f} s; {volumes or 'nothing found'} -> {written}")
    for note in notes:
        output.say(f"  {note}")
    places = {part: str(path) for part, path in files.items()}
    facts = segmentation.as_json()
    output.record({"event": "segmented", "scan": job.name, "id": job.id, "seconds": seconds, "files": places, **facts})


def _write_table(out: Path, jobs: Sequence[_Job]) -> None:
    """Write the table of all cases that are finished, those of earlier calls included."""
    from genesis_core.atomic import write_text
    from genesis_core.inference.segmentation_files import VOLUMES_TABLE, volumes_table

    finished = [job.complete for job in jobs if job.complete.is_file()]
    if finished:
        write_text(out / VOLUMES_TABLE, volumes_table(finished))


def _with_models(values: dict[str, Any]) -> dict[str, Any]:
    """Let models given as options win over those of a --config file."""
    given = values.pop("models", ())
    return {**values, "model": list(given)} if given else values


command = settings_command(
    "segment",
    SegmentSettings,
    run,
    text=(
        "Segment scans with a fine-tuned model.\n\n"
        "Writes, for each scan and on its own grid: NAME.nii.gz with NAME.json (names, numbers, colours), or "
        "NAME.seg.nrrd, or NAME.dcm; NAME_segmentation.json (model, settings, volumes, what was noticed), and for all "
        "scans volumes.csv. Several channels: NAME_0000, NAME_0001 and so on, names that end in the channels' own, or "
        "4D files. In a folder, a scan that cannot be segmented is named and left out; the exit code is then 1."
    ),
    example="napari-genesis segment scans/ --model runs/liver --out labels/",
    arguments={"SCAN": "scan"},
    options={
        "--out": "out",
        "--overlap": "overlap",
        "--flips": "flips",
        "--largest-component": "largest_component",
        "--fill-holes": "fill_holes",
        "--fill-slices": "fill_slices",
        "--minimum-ml": "minimum_ml",
        "--structures": "structures",
        "--organ-rules": "organ_rules",
        "--uncertainty": "uncertainty",
        "--format": "format",
        "--device": "device",
        "--batch-size": "batch_size",
        "--precision": "precision",
        "--skip-existing": "skip_existing",
        "--overwrite": "overwrite",
    },
    extra=[
        click.Option(
            ["--model", "models"],
            metavar="PATH",
            multiple=True,
            help="A run or a model folder; given several times, or a run with folds, their mean.",
        )
    ],
    prepare=_with_models,
    paths=("scan",),
)
