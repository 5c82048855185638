"""Let the newest model of a review propose: segment every scan that it has not segmented yet, and rank them.

One scan at a time is in memory. A case's line in ranking.jsonl is written after its labels, so a killed or stopped
ranking goes on with the scans that are left. A bad scan is named and passed over.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis_core.atomic import write_text
from genesis_core.errors import GenesisError, ReviewError, VolumeError
from genesis_core.studies.review.decisions import read_states
from genesis_core.studies.review.label_files import write_label_files
from genesis_core.studies.review.lines import Line, append_line, read_lines
from genesis_core.studies.review.locking import locked
from genesis_core.studies.review.ranking import (
    RANKING,
    REFERENCE,
    Proposal,
    as_proposals,
    proposal_folder,
    proposals_in,
    read_ranking,
)
from genesis_core.studies.review.usual import TrainedOn, trained_on
from genesis_core.volumes.inspection import scan_files

if TYPE_CHECKING:
    from genesis_core.inference.cases import CaseFiles
    from genesis_core.inference.predictor import Precision
    from genesis_core.model.folder import Model
    from genesis_core.studies.review.review import Review
    from genesis_core.volumes.label_volume import LabelVolume
    from genesis_core.volumes.volume import Volume

# (cases done, cases in all, windows done of the present one, its windows in all)
Progress = Callable[[int, int, int, int], None]
# One mapping with "event": "preparing" (done, total), "left_out" (case, reason), "failed" (case, reason), "note"
# (message), or "proposed" (a proposal's `as_json`, and seconds).
Report = Callable[[dict[str, Any]], None]


def propose(
    review: Review,
    *,
    device: str = "auto",
    precision: Precision = "float32",
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    report: Report | None = None,
) -> list[Proposal]:
    """Segment every scan of the review that has no proposal of its newest model, and return all proposals by name.

    device: cpu, cuda, cuda:1, mps or auto. stop: asked between windows; ends in `Stopped`, with what is done kept.
    Scans whose voxels the model was trained or validated on are left out, and so are those accepted already; both are
    reported. Memory and its bounds are those of `segment`.
    Raises ReviewError if another program ranks with this model now, the disk is full, or there is no scan; ModelError
    and SettingsError as `segment` does for the model and the device.
    """
    from genesis_core.inference.predictor import choose_device
    from genesis_core.inference.segmenting_models import require_segmenting_models
    from genesis_core.inference.sliding_window import Stopped
    from genesis_core.model.ensemble import load_ensemble

    tell = report or (lambda _event: None)
    choose_device(device)
    models = load_ensemble(review.run)
    card, _ = require_segmenting_models(models)
    folder = proposal_folder(review)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise _not_kept(folder, problem) from None
    with locked(folder / ".lock", wait=False, busy="another program is ranking these scans with this model now"):
        cases, left_out = _cases(review, card.network.in_channels, card.channels)
        for name, reason in left_out:
            tell({"event": "left_out", "case": name, "reason": reason})
        learnt = trained_on(
            review.rounds,
            progress=lambda done, total: tell({"event": "preparing", "done": done, "total": total}),
            stop=stop,
        )
        for note in (*learnt.notes, *_region_notes(learnt)):
            tell({"event": "note", "message": note})
        if stop is not None and stop():
            raise Stopped
        try:
            text = json.dumps({"v": 1, "structures": learnt.usual}) + "\n"
            write_text(folder / REFERENCE, text)
        except OSError as problem:
            raise _not_kept(folder, problem) from None
        worker = _Worker(review, models, folder, learnt, device, precision, tell, stop)
        todo = worker.pending(cases)
        for number, case in enumerate(todo):
            if stop is not None and stop():
                raise Stopped
            try:
                worker.propose(case, None if progress is None else partial(progress, number, len(todo)))
            except ReviewError:
                # What is written cannot be kept: that would be so for every scan.
                raise
            except (GenesisError, MemoryError, OSError) as problem:
                tell({"event": "failed", "case": str(case.stem), "reason": str(problem) or "out of memory"})
        if progress is not None:
            progress(len(todo), len(todo), 1, 1)
    return proposals_in(review, folder)


@dataclass(frozen=True)
class _Worker:
    """What is the same for all scans of one ranking."""

    review: Review
    models: tuple[Model, ...]
    folder: Path
    learnt: TrainedOn
    device: str
    precision: Precision
    tell: Report
    stop: Callable[[], bool] | None

    def pending(self, cases: list[CaseFiles]) -> list[CaseFiles]:
        """Return the cases without a proposal for their files as they are now, and report those that are left out."""
        done = read_ranking(self.folder)
        left_out = {line["case"]: line for line in read_lines(self.folder / RANKING) if "left_out" in line}
        accepted = {case for case, state in read_states(self.review).items() if state.state == "accepted"}
        todo = []
        for case in cases:
            name, files = str(case.stem), _state_of(case)
            shown = name.encode("utf-8", "backslashreplace").decode()
            if shown != name:
                # Neither SimpleITK nor a terminal takes such a name.
                self.tell({"event": "failed", "case": shown, "reason": "its name is no valid UTF-8: rename the file"})
            elif name in accepted:
                self.tell({"event": "left_out", "case": name, "reason": "it is accepted already"})
            elif left_out.get(name, {}).get("files") == files:
                self.tell({"event": "left_out", "case": name, "reason": left_out[name]["left_out"]})
            elif done.get(name, {}).get("files") != files:
                todo.append(case)
        return todo

    def propose(self, case: CaseFiles, progress: Callable[[int, int], None] | None) -> None:
        """Segment one case, measure and write it. Raises ReviewError where the result cannot be written."""
        from genesis_core.inference.cases import read_case_volumes
        from genesis_core.inference.segment import segment
        from genesis_core.studies.review.measuring import measure
        from genesis_core.volumes.voxel_fingerprint import image_fingerprint

        began = time.monotonic()
        name, files = str(case.stem), _state_of(case)
        volumes = read_case_volumes(case, self.models[0].card.network.in_channels)
        fingerprints = [image_fingerprint(volume) for volume in volumes]
        where = {
            "sources": [
                {"path": scan.path.relative_to(self.review.scans).as_posix(), "series": scan.series}
                for scan in case.scans
            ],
            "frames": len(volumes) if len(case.scans) < len(volumes) else 1,
            "files": files,
        }
        before = read_ranking(self.folder).get(name)
        if before is not None and before.get("fingerprints") == fingerprints and self._fits(before, volumes[0]):
            # Touched, copied or written in another format, but the same voxels at the same places.
            self._keep({**before, **where})
            return
        known = self.learnt.case_of(fingerprints)
        if known is not None:
            which = "the model" if known == name else f"it is {known}, which the model"
            reason = f"{which} was trained or validated on{' it' * (known == name)}: its proposal would tell nothing"
            self.tell({"event": "left_out", "case": name, "reason": reason})
            self._keep({"v": 1, "case": name, "left_out": reason, "files": files})
            return
        result = segment(
            self.models,
            volumes,
            device=self.device,
            precision=self.precision,
            uncertainty=True,
            progress=progress,
            stop=self.stop,
        )
        assert result.uncertainty is not None
        line = {
            "v": 1,
            "case": name,
            **where,
            "shape": list(volumes[0].shape),
            "spacing": list(volumes[0].spacing),
            "fingerprints": fingerprints,
            "weights_sha256": [model.card.weights_sha256 for model in self.models],
            **measure(name, result.labels, result.uncertainty.array),
            "notes": list(result.notes),
        }
        self._keep({**line, "label": self._write(result.labels, name)})
        seconds = round(time.monotonic() - began, 2)
        (proposal,) = as_proposals(self.review, self.folder, read_ranking(self.folder), [name])
        self.tell({"event": "proposed", **proposal.as_json(), "seconds": seconds})

    def _fits(self, line: Line, volume: Volume) -> bool:
        """Whether what was proposed lies on the grid that the scan has now."""
        from genesis_core.volumes.grid import same_grid
        from genesis_core.volumes.reading import read_header

        try:
            return same_grid(read_header(self.folder / line["label"]).geometry, volume.geometry)
        except VolumeError:
            # A proposal that cannot be read is made again.
            return False

    def _write(self, labels: LabelVolume, name: str) -> str:
        try:
            label, *_ = write_label_files(labels, self.folder, name, overwrite=True)
        except (VolumeError, OSError) as problem:
            raise _not_kept(self.folder, problem) from None
        return label.relative_to(self.folder).as_posix()

    def _keep(self, line: Line) -> None:
        try:
            append_line(self.folder / RANKING, line)
        except OSError as problem:
            raise _not_kept(self.folder, problem) from None


def _not_kept(folder: Path, problem: Exception) -> ReviewError:
    return ReviewError(
        f"{folder}: proposals cannot be written there ({problem}). Is the disk full? What is done is kept, and the "
        "same command goes on with the rest"
    )


def _state_of(case: CaseFiles) -> str:
    """Return what tells whether a case's files were touched: a hash of their names, sizes and times."""
    facts = []
    for scan in case.scans:
        for path in scan_files(scan):
            with suppress(OSError):
                # A file that is gone shows by its absence.
                status = path.stat()
                facts.append([path.name, status.st_size, status.st_mtime_ns])
    return blake2b(json.dumps(facts).encode(), digest_size=12).hexdigest()


def _cases(review: Review, channels: int, names: tuple[str, ...]) -> tuple[list[CaseFiles], list[tuple[str, str]]]:
    from genesis_core.inference.cases import group_cases
    from genesis_core.volumes.scans import survey_folder

    survey = survey_folder(review.scans)
    # A review that lies among the scans is not one of them.
    inside = review.folder.resolve()
    scans = [scan for scan in survey.scans if not scan.path.resolve().is_relative_to(inside)]
    cases, left_out = group_cases(scans, channels, names)
    left_out += [(folder, "the folder could not be listed") for folder in survey.closed]
    if not cases:
        raise ReviewError(f"{review.scans}: no scan there that this model can segment (see: napari-genesis inspect)")
    return cases, left_out


def _region_notes(learnt: TrainedOn) -> list[str]:
    if not learnt.regions:
        return []
    return [
        f"The run learns structures that are made of others ({', '.join(learnt.regions)}). Its proposals can be ranked "
        "and drawn on, but corrections of them cannot teach it: they do not say which of the others a voxel is."
    ]
