"""Asking a short-lived Python process for one JSON object: what needs torch is answered without loading it here.

Importing torch holds up the window for a second or two, and keeps a gigabyte; a process of its own does neither.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from genesis_core.errors import GenesisError

_LONGEST = 180.0


class NoAnswerError(GenesisError):
    """A question to another process got no answer."""


def no_console() -> dict[str, Any]:
    """Return the arguments of Popen by which no console window opens, on the one system that opens one."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {}


def ask(module: str, question: Any = None, *, seconds: float = _LONGEST) -> Any:
    """Return the JSON that `python -m module` prints, given `question` as JSON on its stdin.

    Raises NoAnswerError, with the last line the process wrote to stderr, if there is none.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            **no_console(),
        )
        return json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NoAnswerError(f"{module}: {problem}") from None
    except ValueError:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise NoAnswerError(said[-1] if said else f"{module}: ended with exit code {done.returncode}") from None
