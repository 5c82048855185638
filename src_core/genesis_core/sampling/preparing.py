"""Bringing a list of scans into the cache: the modality is decided for all of them, and bad ones are reported."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from genesis_core.atomic import write_text
from genesis_core.errors import CacheError, GenesisError, SamplingError
from genesis_core.parallel import for_each
from genesis_core.sampling.cache import CachedScan, cache_folder, open_cached, sweep
from genesis_core.sampling.fingerprint import CACHE_FORMAT, source_fingerprint

if TYPE_CHECKING:
    from genesis_core.volumes.preprocessing import Preprocessing
    from genesis_core.volumes.scans import Scan

Modality = Literal["ct", "mr"]
Progress = Callable[[int, int, str], None]
Problem = tuple["Scan", str]
Result = TypeVar("Result")


class _Named(Protocol):
    """What is prepared: a scan or a case."""

    @property
    def id(self) -> str:
        """Its pseudonym."""
        ...


Item = TypeVar("Item", bound=_Named)


def prepare_scans(
    scans: Sequence[Scan],
    preprocessing: Preprocessing,
    cache_dir: Path | None = None,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    threads: int = 2,
) -> tuple[list[CachedScan], list[Problem]]:
    """Put every scan into the cache; return those that can be used, in their order, and (scan, reason) of the others.

    progress: called as (done, total, id) from this thread. should_stop: asked between scans; once it says so no further
    scan is begun, and what is done is returned. threads: scans prepared at once, each held in memory.
    Raises SamplingError if no scan can be used, CacheError if the cache cannot be written.
    """
    if not scans:
        raise SamplingError("no scan found: check data.scans")
    sweep(cache_folder(cache_dir))
    results, problems, stopped = prepare_each(
        scans, lambda scan: open_cached(scan, preprocessing, cache_dir), _hidden, progress, should_stop, threads
    )
    if not results and not stopped:
        raise none_usable("scans", scans, problems)
    return results, problems


def decide_modality(
    scans: Sequence[Scan],
    asked: Literal["auto", "ct", "mr"] = "auto",
    cache_dir: Path | None = None,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    threads: int = 2,
) -> tuple[Modality, str]:
    """Return what the scans are, and a sentence that says how it is known.

    With "auto" every scan is looked at, once: what was seen is kept in the cache. Scans that cannot be read are passed
    over here, and reported when they are prepared. Raises SamplingError if none can be read, or if both kinds occur.
    """
    if asked != "auto":
        return asked, f"data.modality is {asked}."
    if not scans:
        raise SamplingError("no scan found: check data.scans")
    folder = cache_folder(cache_dir)
    guesses, problems, stopped = prepare_each(
        scans, lambda scan: _guess(scan, folder), _hidden, progress, should_stop, threads
    )
    if not guesses:
        if stopped:
            raise SamplingError("stopped before the modality was known")
        raise none_usable("scans", scans, problems)
    # Label maps have no modality; they are left out, and named, when the scans are prepared.
    guesses = [guess for guess in guesses if not guess["label_map"]] or guesses
    found = {kind: [guess for guess in guesses if guess["modality"] == kind] for kind in ("ct", "mr")}
    if found["ct"] and found["mr"]:
        fewer = min(found.values(), key=len)
        raise SamplingError(
            f"{len(found['ct'])} scans look like CT and {len(found['mr'])} like MR, but one intensity mapping must "
            "serve all: set --modality to ct or mr, or keep them apart. The fewer are (napari-genesis inspect --json "
            "names them): " + ", ".join(f"{guess['id']} ({guess['reason']})" for guess in fewer[:5])
        )
    kind: Modality = "ct" if found["ct"] else "mr"
    doubtful = sum(guess["certainty"] < 0.6 for guess in guesses)
    doubt = f" {doubtful} of them are doubtful: set data.modality to be sure." if doubtful else ""
    what = "The readable scan looks" if len(guesses) == 1 else f"All {len(guesses)} readable scans look"
    return kind, f"{what} like {kind.upper()}.{doubt}"


def _guess(scan: Scan, folder: Path) -> dict[str, Any]:
    path = folder / f"{source_fingerprint(scan)}.modality.{CACHE_FORMAT}.json"
    try:
        return {**_known(path), "id": scan.id}
    except (OSError, ValueError):
        pass  # Not looked at before, or the note is damaged: the scan itself is asked.
    from genesis_core.volumes.modality import guess_modality
    from genesis_core.volumes.reading import read_volume

    guess = guess_modality(read_volume(scan.path, series=scan.series))
    found = {
        "modality": guess.modality,
        "certainty": guess.certainty,
        "reason": guess.reason,
        "label_map": guess.label_map,
    }
    try:
        write_text(path, json.dumps(found))
    except OSError as problem:
        raise CacheError(
            f"{folder}: the cache cannot be written ({problem.strerror}); set data.cache elsewhere"
        ) from None
    return {**found, "id": scan.id}


def _known(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or found.keys() != {"modality", "certainty", "reason", "label_map"}:
        raise ValueError(f"{path}: not a note on a modality")
    if found["modality"] not in ("ct", "mr") or not isinstance(found["certainty"], float):
        raise ValueError(f"{path}: not a note on a modality")
    return found


def prepare_each(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    hidden: Callable[[Item, str], str],
    progress: Progress | None,
    should_stop: Callable[[], bool] | None,
    threads: int,
) -> tuple[list[Result], list[tuple[Item, str]], bool]:
    """Do `work` on every scan or case in a few threads.

    hidden: returns a reason without paths and names, since reasons end up in records that are shared. Returns results
    and (item, reason) of the others, both in order, and whether it was stopped. Raises CacheError at once.
    """
    results: dict[int, Result] = {}
    problems: dict[int, tuple[Item, str]] = {}
    # Each thread holds a whole scan: more of them than cores would only cost memory.
    threads = min(threads, os.cpu_count() or 1)
    with closing(for_each(items, work, threads=threads, should_stop=should_stop)) as pairs:
        for number, outcome in pairs:
            item = items[number]
            if isinstance(outcome, CacheError):
                raise outcome
            if isinstance(outcome, GenesisError):
                problems[number] = (item, hidden(item, str(outcome)))
            elif isinstance(outcome, MemoryError):
                problems[number] = (item, "it does not fit into memory")
            elif isinstance(outcome, Exception):
                # One that trips over a defect of ours must not cost the others; the type tells that it is one.
                problems[number] = (item, f"unexpected {type(outcome).__name__}: {outcome}")
            else:
                results[number] = outcome
            if progress:
                progress(len(results) + len(problems), len(items), item.id)
    stopped = len(results) + len(problems) < len(items)
    return [results[n] for n in sorted(results)], [problems[n] for n in sorted(problems)], stopped


def none_usable(what: str, items: Sequence[Item], problems: Sequence[tuple[Item, str]]) -> SamplingError:
    """Return the error that none of the items can be used, with the first reasons. what: "scans"."""
    some = "; ".join(f"{item.id}: {reason}" for item, reason in problems[:3])
    return SamplingError(f"none of the {len(items)} {what} can be used: {some}")


def _hidden(scan: Scan, text: str) -> str:
    return text.replace(str(scan.path), scan.id)
