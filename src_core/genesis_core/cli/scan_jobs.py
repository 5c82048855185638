"""What commands share that apply a model to a scan or a folder of scans: one job a scan, and a bad one stops no other.

Results that are there are refused before any work, skipped, or replaced; Ctrl-C and SIGTERM, and a caller's `stop`, end
the command between two writes, so that no half-written file stays and `--skip-existing` goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from genesis_core.cli.interrupting import stopped_by_signals
from genesis_core.cli.output import Output
from genesis_core.cli.scan_pace import ScanPace
from genesis_core.errors import GenesisError, OutputExistsError

if TYPE_CHECKING:
    from genesis_core.volumes.scans import Scan

# Programs that listen to --json hear of progress about this often.
_SECONDS_BETWEEN_RECORDS = 1.0


class Job(Protocol):
    """One scan (or case) to be done."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...

    @property
    def id(self) -> str:
        """Its pseudonym."""
        ...

    @property
    def files(self) -> dict[str, Path]:
        """Where its results go, by part."""
        ...

    @property
    def complete(self) -> Path:
        """The file that is written last."""
        ...


J = TypeVar("J", bound=Job)


@dataclass
class Tally:
    """What came of the jobs. done: how many are finished. failed: names."""

    done: int = 0
    failed: list[str] = field(default_factory=list)


def scans_to_do(scan: Path, out: Path, output: Output) -> list[Scan]:
    """Return the scans that `scan` is or holds, without results of an earlier call that lie in the output folder.

    Raises click.UsageError if there is none, if `out` is a file, or if it holds the scans themselves.
    """
    from genesis_core.volumes.scans import survey_folder

    if out.exists() and not out.is_dir():
        raise click.UsageError(f"--out {out}: a file, where a folder is wanted")
    survey = survey_folder(scan)
    for folder in survey.closed:
        output.warn(f"a folder could not be listed: {folder}")
    if survey.skipped:
        output.say(f"{survey.skipped} other files are no scans by their names: left out.")
    scans = _without_results(survey.scans, scan, out, output)
    if not scans:
        raise click.UsageError(f"{scan}: no scan there (see: napari-genesis inspect)")
    return scans


def _without_results(scans: Sequence[Scan], scan: Path, out: Path, output: Output) -> list[Scan]:
    """Leave out what lies in the output folder, so that a second call does not take results for scans."""
    where = out.resolve()
    if scan.is_dir():
        holds = scan.resolve().is_relative_to(where)
    else:
        # The file given, or the one it links to: a label map called alike would take its place.
        holds = where in (scan.parent.resolve(), scan.resolve().parent)
    if holds:
        raise click.UsageError(f"--out {out}: holds the scans; choose a folder of its own for the results")
    if not scan.is_dir():
        return list(scans)
    kept = [one for one in scans if not one.path.resolve().is_relative_to(where)]
    if len(kept) < len(scans):
        output.say(f"{len(scans) - len(kept)} files in {out} are results, not scans: left out.")
    return kept


def pending(jobs: Sequence[J], *, skip_existing: bool, overwrite: bool) -> tuple[list[J], int]:
    """Return what is to be done and how many jobs are skipped; refuse before any work if results are in the way.

    Raises click.UsageError if both are asked for, or if two jobs would write one file; OutputExistsError if a result is
    there and neither is.
    """
    if skip_existing and overwrite:
        raise click.UsageError("--skip-existing and --overwrite contradict each other: give one")
    owners: dict[str, J] = {}
    for job in jobs:
        for path in job.files.values():
            # Some file systems hold A and a to be the same.
            first = owners.setdefault(str(path).casefold(), job)
            if first is not job:
                raise click.UsageError(
                    f"{first.name} and {job.name} would both be written to {path}: rename one of them"
                )
    if skip_existing:
        # What is written last was not written if a job was interrupted: it is done again.
        kept = [job for job in jobs if not job.complete.exists()]
        return kept, len(jobs) - len(kept)
    there = [path for job in jobs for path in job.files.values() if path.exists()]
    if there and not overwrite:
        raise OutputExistsError(
            f"{there[0]} exists ({len(there)} such files): give another --out, --skip-existing or --overwrite"
        )
    return list(jobs), 0


def run_jobs(
    jobs: Sequence[J],
    work: Callable[[J, Callable[[int, int], None]], None],
    output: Output,
    *,
    done_word: str,
    skipped: int = 0,
    raise_single: bool = True,
    stop: Callable[[], bool] | None = None,
) -> Tally:
    """Do `work` on every job; name the bad ones and go on.

    work: gets the job and a function (done, total) that shows progress with the time left. done_word: "restored".
    raise_single: let the only job's error end the command instead. stop: asked between jobs; `work` may ask it as well,
    and raise Stopped. Raises KeyboardInterrupt, after saying how to go on, when the command is stopped by Ctrl-C or
    SIGTERM, and Stopped with the same words when it is stopped by `stop`.
    """
    from genesis_core.inference.sliding_window import Stopped

    tally = Tally()
    pace = ScanPace(len(jobs))
    try:
        with stopped_by_signals(), _bar(output, done_word) as show:
            for job in jobs:
                if stop is not None and stop():
                    raise Stopped
                pace.begin()
                output.record({"event": "begun", "scan": job.name, "id": job.id, **_place(pace)})
                show(pace)
                try:
                    work(job, _progress(job, pace, show, output))
                    tally.done += 1
                    pace.end(counts=True)
                except (GenesisError, OSError, MemoryError) as problem:
                    # How fast a bad scan was found to be one tells nothing of the others.
                    pace.end(counts=False)
                    tally.failed.append(job.name)
                    reason = str(problem) or "out of memory"
                    output.record({"event": "failed", "scan": job.name, "id": job.id, "reason": reason})
                    if raise_single and len(jobs) == 1 and isinstance(problem, GenesisError | OSError):
                        raise
                    output.warn(f"{job.name} is left out: {reason}")
    except (KeyboardInterrupt, Stopped) as end:
        said = f"Stopped: {tally.done} of {len(jobs)} scans {done_word}; --skip-existing goes on from here."
        output.say(said)
        output.record({"event": "stopped", done_word: tally.done, "skipped": skipped, "failed": tally.failed})
        if isinstance(end, Stopped):
            raise Stopped(said) from None
        raise
    return tally


def tell_tally(tally: Tally, total: int, skipped: int, out: Path, output: Output, *, done_word: str) -> int:
    """Say how many scans were done, skipped and failed; return the exit code, 1 if one failed."""
    already = f", {skipped} already there" if skipped else ""
    missing = f", {len(tally.failed)} failed: {', '.join(tally.failed)}" if tally.failed else ""
    output.say(f"{tally.done} of {total} scans {done_word}{already}{missing}. Results: {out}")
    return 1 if tally.failed else 0


def _place(pace: ScanPace) -> dict[str, int | float | None]:
    """Return which scan of how many it is, and how long everything will still take, None where nobody can tell yet."""
    return {"number": pace.number, "scans": pace.scans, "seconds_left_all": _rounded(pace.seconds_left_all)}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _progress(job: Job, pace: ScanPace, show: Callable[[ScanPace], None], output: Output) -> Callable[[int, int], None]:
    said = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal said
        pace.windows(done, total)
        show(pace)
        now = time.monotonic()
        if output.as_json and (now - said >= _SECONDS_BETWEEN_RECORDS or done == total):
            said = now
            output.record(
                {
                    "event": "progress",
                    "scan": job.name,
                    "done": done,
                    "total": total,
                    "seconds_left": _rounded(pace.seconds_left),
                    **_place(pace),
                }
            )

    return progress


@contextmanager
def _bar(output: Output, done_word: str) -> Iterator[Callable[[ScanPace], None]]:
    """Yield a function that shows how far everything is as one bar over all scans, on a terminal."""
    if not output.is_terminal:
        yield lambda pace: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"scans {done_word}", total=None, left="")
        yield lambda pace: bar.update(
            task,
            total=pace.scans,
            completed=pace.done,
            description=f"scan {pace.number} of {pace.scans}",
            left=pace.words,
        )
