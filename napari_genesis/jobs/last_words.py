"""Why a run's process ended: its exit code in words, and the last lines it wrote to stderr.

Stderr may name files, and so patients: it goes to a log in the user's own log folder. What is kept in the run folder,
for a napari that is started later or elsewhere, is the end of it without names.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
from contextlib import suppress
from pathlib import Path

from genesis_core.atomic import write_text
from genesis_core.training.discretion import Discretion
from genesis_core.training.run_folder import RunFolder

KEPT = "last_words.txt"
# As many lines as a traceback's end takes; the log itself may be long.
_LINES = 20
_TAIL_BYTES = 8192


def log_file(run: RunFolder) -> Path:
    """Return where stderr of the run's process goes, on this machine."""
    import platformdirs

    place = os.path.abspath(run.path)
    digits = hashlib.blake2b(place.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
    folder = Path(platformdirs.user_log_dir("napari-genesis", appauthor=False)) / "runs"
    return folder / f"{Path(place).name}-{digits}.log"


def exit_in_words(code: int) -> str:
    """Return what the exit code of a run's process means; empty for one that did what it was asked to."""
    if code in (0, 130):
        return ""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = " The system does so when memory runs out." if name == "SIGKILL" else ""
        return f"Its process was killed ({name}).{hint}"
    return f"Its process ended with exit code {code}."


def last_lines(path: Path) -> tuple[str, ...]:
    """Return the last lines of a log that say something; none if there is no log."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-_LINES:]


def keep_last_words(run: RunFolder, code: int, scans: Path | None) -> None:
    """Write into the run folder why its process ended, without names; one that ended well leaves nothing behind.

    scans: the folder it learnt from. A run folder that is gone, or a full disk, is no reason to fail here.
    """
    words = exit_in_words(code)
    if not words:
        # Some systems keep a file that another process has open.
        with suppress(OSError):
            forget_last_words(run)
        with suppress(OSError):
            log_file(run).unlink(missing_ok=True)
        return
    # Warnings stand in the events, by pseudonyms.
    lines = [line for line in last_lines(log_file(run)) if not line.startswith("warning:")]
    try:
        write_text(run.path / KEPT, "\n".join((words, *(_discreet(line, scans) for line in lines))) + "\n")
    except OSError:
        return


def read_last_words(run: RunFolder) -> tuple[str, ...]:
    """Return what is known of why a run's process ended, line by line; from this machine's log if it says more."""
    kept = last_lines(run.path / KEPT)
    said = last_lines(log_file(run))
    return (*kept[:1], *said) if said else kept


def forget_last_words(run: RunFolder) -> None:
    """Remove what an earlier process left, before another starts."""
    (run.path / KEPT).unlink(missing_ok=True)


def _discreet(line: str, scans: Path | None) -> str:
    if scans is not None:
        # Names with spaces end at the colon or the quote that follows a path in a message.
        for form in {str(scans), str(scans.absolute()), str(scans.resolve())}:
            line = re.sub(re.escape(form) + r"[^:'\"]*", "(scans)", line)
    return Discretion().text(line)
