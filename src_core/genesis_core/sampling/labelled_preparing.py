"""Bringing labelled cases into the cache: those that can be used, in their order, and why the others cannot."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from genesis_core.errors import CacheError, GenesisError, SamplingError
from genesis_core.parallel import for_each
from genesis_core.sampling.cache import cache_folder, sweep
from genesis_core.sampling.labelled_cache import CachedCase, open_cached_case

if TYPE_CHECKING:
    from genesis_core.volumes.label_volume import Structure
    from genesis_core.volumes.labelled.case import Case
    from genesis_core.volumes.preprocessing import Preprocessing

Progress = Callable[[int, int, str], None]


def prepare_cases(
    cases: Sequence[Case],
    structures: Sequence[Structure],
    preprocessing: Preprocessing,
    cache_dir: Path | None = None,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    threads: int = 2,
) -> tuple[list[CachedCase], list[tuple[Case, str]]]:
    """Put every case into the cache; return those that can be used, in their order, and (case, reason) of the others.

    structures: as `open_cached_case` takes them. progress: called as (done, total, id) from this thread. should_stop:
    asked between cases; once it says so no further case is begun, and what is done is returned. threads: cases prepared
    at once, each held in memory. Raises SamplingError if no case can be used, CacheError if the cache cannot be
    written.
    """
    if not cases:
        raise SamplingError("no labelled case found: check the folder")
    sweep(cache_folder(cache_dir))
    results: dict[int, CachedCase] = {}
    problems: dict[int, tuple[Case, str]] = {}

    def work(case: Case) -> CachedCase:
        return open_cached_case(case, structures, preprocessing, cache_dir)

    threads = min(threads, os.cpu_count() or 1)
    with closing(for_each(cases, work, threads=threads, should_stop=should_stop)) as pairs:
        for number, outcome in pairs:
            if isinstance(outcome, CacheError):
                raise outcome
            if isinstance(outcome, Exception):
                problems[number] = (cases[number], _reason(cases[number], outcome))
            else:
                results[number] = outcome
            if progress:
                progress(len(results) + len(problems), len(cases), cases[number].id)
    stopped = len(results) + len(problems) < len(cases)
    if not results and not stopped:
        some = "; ".join(f"{case.id}: {reason}" for case, reason in list(problems.values())[:3])
        raise SamplingError(f"none of the {len(cases)} labelled cases can be used: {some}")
    return [results[n] for n in sorted(results)], [problems[n] for n in sorted(problems)]


def _reason(case: Case, problem: Exception) -> str:
    if isinstance(problem, GenesisError):
        text = str(problem)
        # Reasons end up in records that are shared, so files and case go by the pseudonym there.
        parts = () if case.label is None else case.label.parts
        for source in (*case.images, *(source for _, source in parts)):
            text = text.replace(str(source.path), case.id)
        return text.replace(f"{case.name}:", f"{case.id}:")
    if isinstance(problem, MemoryError):
        return "it does not fit into memory"
    # One case that trips over a defect of ours must not cost the others; the type tells that it is one.
    return f"unexpected {type(problem).__name__}: {problem}"
