"""Keeping what was painted on a case as its draft: the pieces of work that do it, made in the window, done in a thread.

When they are done, in which order, and what is tried again is the business of `case_work`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from napari_genesis.correct.case_files import checksum, labels_of
from napari_genesis.correct.open_case import OpenCase
from napari_genesis.correct.wording import in_words

_log = logging.getLogger(__name__)


def keeping(case: OpenCase) -> Callable[[], bool]:
    """Return the work that writes the draft of a case as it is now, if its labels differ from what is kept.

    It returns whether they did. What is decided stays as it is; labels that equal the proposal again need no draft.
    """
    if case.decided:
        return lambda: False
    states = case.states()

    def keep() -> bool:
        from genesis_core.studies.review import drop_draft, write_draft

        if tuple(checksum(np.asarray(one.data)) for one in states) == case.saved:
            return False
        labels, known = labels_of(states, case.structures)
        if known == case.proposed:
            drop_draft(case.review, case.case)
        else:
            write_draft(case.review, case.case, labels)
        # Noted in the thread that writes, which does one thing after another.
        case.saved = known
        return True

    return keep


def told(keep: Callable[[], bool]) -> Callable[[], bool]:
    """Return work whose failure is said by napari, and logged: the dock that would say it is gone."""

    def run() -> bool:
        from napari.utils.notifications import show_error

        try:
            return keep()
        except Exception as problem:
            words = f"Review was closed, and a draft could not be kept: {in_words(problem)}. Save the layer yourself."
            _log.error(words)
            show_error(words)
            raise

    return run
