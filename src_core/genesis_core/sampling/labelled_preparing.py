"""Bringing labelled cases into the cache: those that can be used, in their order, and why the others cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genesis_core.errors import SamplingError
from genesis_core.sampling.cache import cache_folder, sweep
from genesis_core.sampling.labelled_cache import CachedCase, open_cached_case
from genesis_core.sampling.preparing import Progress, none_usable, prepare_each

if TYPE_CHECKING:
    from genesis_core.volumes.label_volume import Structure
    from genesis_core.volumes.labelled.case import Case
    from genesis_core.volumes.preprocessing import Preprocessing


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
    results, problems, stopped = prepare_each(
        cases,
        lambda case: open_cached_case(case, structures, preprocessing, cache_dir),
        _hidden,
        progress,
        should_stop,
        threads,
    )
    if not results and not stopped:
        raise none_usable("labelled cases", cases, problems)
    return results, problems


def _hidden(case: Case, text: str) -> str:
    parts = () if case.label is None else case.label.parts
    for source in (*case.images, *(source for _, source in parts)):
        text = text.replace(str(source.path), case.id)
    return text.replace(f"{case.name}:", f"{case.id}:")
