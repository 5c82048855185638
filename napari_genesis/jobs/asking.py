"""Asking a short-lived Python process for one JSON object: what needs torch is answered without loading it here.

Importing torch holds up the window for a second or two, and keeps a gigabyte; a process of its own does neither.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from genesis_core.errors import GenesisError

# Seconds that an answer may take, and between two looks whether it is still wanted.
_LONGEST, _LOOK_EVERY = 180.0, 0.1


class NoAnswerError(GenesisError):
    """A question to another process got no answer."""


def no_console() -> dict[str, Any]:
    """Return the arguments of Popen by which no console window opens, on the one system that opens one."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {}


def ask(
    module: str, question: Any = None, *, seconds: float = _LONGEST, given_up: Callable[[], bool] = lambda: False
) -> Any:
    """Return the JSON that `python -m module` prints, given `question` as JSON on its stdin.

    given_up: asked several times a second; True ends the process. Raises NoAnswerError, with the last line the process
    wrote to stderr, if there is no answer.
    """
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            **no_console(),
        )
    except OSError as problem:
        raise NoAnswerError(f"{module}: {problem}") from None
    with process:
        out, err = _answer_of(process, module, json.dumps(question), time.monotonic() + seconds, given_up)
    try:
        return json.loads(out)
    except ValueError:
        said = [line for line in err.splitlines() if line.strip()]
        raise NoAnswerError(said[-1] if said else f"{module}: ended with exit code {process.returncode}") from None


def _answer_of(
    process: subprocess.Popen[str], module: str, question: str | None, end: float, given_up: Callable[[], bool]
) -> tuple[str, str]:
    while True:
        try:
            return process.communicate(question, timeout=_LOOK_EVERY)
        except subprocess.TimeoutExpired:
            # What was asked is not asked again.
            question = None
        if given_up() or time.monotonic() > end:
            process.kill()
            process.communicate()
            raise NoAnswerError(f"{module}: {'given up' if given_up() else 'no answer in time'}")
