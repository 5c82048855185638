"""`napari-genesis rank`: let a fine-tuned model propose labels for a folder of scans, and rank them by what teaches.

Makes a review, or goes on with it; the window runs this command too, so that it never stalls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genesis_core.cli.interrupting import parent_option
from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    from genesis_core.studies.review.decisions import CaseState
    from genesis_core.studies.review.ranking import Proposal
    from genesis_core.studies.review.review import Review

# Programs that listen to --json hear of progress about this often.
_SECONDS_BETWEEN_RECORDS = 1.0


class RankSettings(Settings):
    """What `napari-genesis rank` is told."""

    scans: Path = setting(..., "Folder of scans that nobody has labelled.")
    model: Path = setting(..., "The fine-tuned run (or model folder) that proposes.")
    out: Path = setting(..., "Folder of the review: made, or gone on with.")
    order: Literal["uncertainty", "random", "stratified", "name"] = setting(
        "uncertainty",
        "Order of the table: most uncertain first, shuffled, in turns small, medium and large, or by name.",
    )
    seed: int = setting(0, "Of the random and the stratified order.", ge=0)
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:1, mps.")
    precision: Literal["float32", "bfloat16"] = setting("float32", "Number format of the network's arithmetic.")


def run(settings: RankSettings, output: Output) -> int:
    """Propose for every scan that has no proposal yet, and print the queue. Returns 0, or 1 if a scan failed."""
    from genesis_core.inference.predictor import choose_device
    from genesis_core.inference.sliding_window import Stopped
    from genesis_core.studies.review.decisions import read_states
    from genesis_core.studies.review.proposing import propose
    from genesis_core.studies.review.queue import order
    from genesis_core.training.stopping import StopRequest

    # What is wrong with the device is wrong with every scan: said before a folder is made.
    choose_device(settings.device)
    review = _review(settings, output)
    teller = _Teller(output)
    stop_file = review.folder / "stop"
    stop_file.unlink(missing_ok=True)
    with StopRequest(stop_file) as request:
        try:
            with teller.bar() as progress:
                proposals = propose(
                    review,
                    device=settings.device,
                    precision=settings.precision,
                    progress=progress,
                    stop=lambda: request.reason is not None,
                    report=teller.hear,
                )
        except Stopped:
            stop_file.unlink(missing_ok=True)
            output.say(f"Stopped ({request.reason}): {teller.done} scans proposed; the same command goes on from here.")
            output.record({"event": "stopped", "proposed": teller.done, "failed": teller.failed})
            raise KeyboardInterrupt from None
    states = read_states(review)
    queue = order(proposals, states, settings.order, settings.seed)
    _table(queue, states, output)
    failed = f", {len(teller.failed)} failed: {', '.join(teller.failed)}" if teller.failed else ""
    already = len(proposals) - teller.done
    known = f", {already} already there" if already > 0 else ""
    output.say(f"{teller.done} scans proposed{known}{failed}. Review: {review.folder}")
    output.record(
        {
            "event": "finished",
            "review": str(review.folder),
            "proposed": teller.done,
            "left_out": teller.left_out,
            "failed": teller.failed,
            "order": [one.case for one in queue],
        }
    )
    return 1 if teller.failed else 0


def _review(settings: RankSettings, output: Output) -> Review:
    """Make the review, or open it and let the run be its newest round."""
    from genesis_core.errors import ReviewError
    from genesis_core.studies.review.review import REVIEW, Review, require_segmenting

    if not (settings.out / REVIEW).is_file():
        return Review.create(settings.out, scans=settings.scans, run=settings.model)
    review = Review.open(settings.out)
    if not _same(review.scans, settings.scans):
        raise ReviewError(f"{settings.out}: is a review of other scans ({review.scans}); choose another --out")
    require_segmenting(settings.model)
    if not any(_same(known, settings.model) for known in review.rounds):
        review = review.add_round(settings.model)
        output.say(f"{settings.model} is now round {len(review.rounds) - 1} of this review.")
    if not _same(review.run, settings.model):
        raise ReviewError(
            f"{settings.out}: this review goes on with {review.run}, a later round than {settings.model}; rank with "
            "that one, or make another review"
        )
    return review


def _same(first: Path, second: Path) -> bool:
    return first.resolve() == second.resolve()


class _Teller:
    """Hears what ranking reports, says it to people and programs, and counts."""

    def __init__(self, output: Output) -> None:
        self.done, self.left_out, self.failed = 0, list[str](), list[str]()
        self._output = output
        self._said = 0.0

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take one report."""
        kind = event["event"]
        if kind == "preparing":
            if self._is_time() or event["done"] == event["total"]:
                self._output.record(dict(event))
            return
        self._output.record(dict(event))
        if kind == "proposed":
            self.done += 1
            flags = "".join(f"; {flag['sentence'].rstrip('.')}" for flag in event["flags"])
            self._output.say(
                f"{event['case']}: uncertainty {event['uncertainty']:.3f} in {event['seconds']:.1f} s{flags}"
            )
        elif kind == "note":
            self._output.warn(str(event["message"]))
        else:
            (self.failed if kind == "failed" else self.left_out).append(str(event["case"]))
            say = self._output.warn if kind == "failed" else self._output.say
            say(f"{event['case']} is left out: {event['reason']}")

    @contextmanager
    def bar(self) -> Iterator[Callable[[int, int, int, int], None]]:
        """Yield what shows progress: one bar over all scans on a terminal, records for programs, else nothing."""
        began = time.monotonic()

        def tell(case: int, cases: int, window: int, windows: int) -> None:
            share = (case + window / windows if case < cases else cases) / max(cases, 1)
            if not (self._is_time() or case == cases):
                return
            left = (time.monotonic() - began) * (1 - share) / share if share else None
            self._output.record(
                {
                    "event": "progress",
                    "done": case,
                    "total": cases,
                    "windows_done": window,
                    "windows_total": windows,
                    "seconds_left": None if left is None else round(left, 1),
                }
            )

        if not self._output.is_terminal:
            yield tell
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("scans ranked", total=None)

            def show(case: int, cases: int, window: int, windows: int) -> None:
                done = case + window / windows if case < cases else cases
                name = f"scan {min(case + 1, cases)} of {cases}"
                bar.update(task, total=cases, completed=done, description=name)

            yield show

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now - self._said < _SECONDS_BETWEEN_RECORDS:
            return False
        self._said = now
        return True


def _table(queue: Sequence[Proposal], states: Mapping[str, CaseState], output: Output) -> None:
    from genesis_core.studies.review.decisions import OPEN

    rows = []
    for one in queue:
        state = states.get(one.case, OPEN)
        kinds = dict.fromkeys(flag.kind for flag in one.flags)
        names = {kind: ", ".join(flag.structure for flag in one.flags if flag.kind == kind) for kind in kinds}
        flags = "; ".join(f"{kind.replace('_', ' ')} ({names[kind]})" for kind in kinds)
        word = f"{state.state}, flagged" if state.flagged else state.state
        rows.append([one.case, f"{one.uncertainty:.3f}", f"{sum(one.volumes_ml.values()):.4g}", word, flags])
    if rows and not output.as_json:
        output.table(["case", "uncertainty", "ml", "state", "to look at"], rows)


command = settings_command(
    "rank",
    RankSettings,
    run,
    text=(
        "Propose labels for unlabelled scans, ranked by uncertainty.\n\n"
        "Makes a review folder, or goes on with it: proposals with places to look at and flags (empty, in pieces, at "
        "the border, unusual volume). Scans the model was trained on are named and left out. Correct and accept them "
        "in the window; what is accepted lies in corrected/, a labelled folder that finetune takes. Stop at any time: "
        "the same command goes on. A scan that cannot be segmented is named and left out; the exit code is then 1."
    ),
    example="napari-genesis rank scans/ --model runs/liver --out reviews/liver",
    arguments={"SCANS": "scans"},
    options={
        "--model": "model",
        "--out": "out",
        "--order": "order",
        "--seed": "seed",
        "--device": "device",
        "--precision": "precision",
    },
    extra=[parent_option()],
    paths=("scans", "model", "out"),
)
