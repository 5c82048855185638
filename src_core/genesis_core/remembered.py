"""Facts about files that took long to find out, kept on disk and valid as long as the files are untouched.

A file counts as untouched while its path, size, modification time and inode are what they were. The store names files
by a hash, holds no path of its own, and is never trusted for more than time: one that is damaged, locked or cannot be
written is said once, and everything is simply found out again.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)
# Another process writes for well under a millisecond; one that holds the store longer is stuck.
_LOCK_SECONDS = 5.0
# Some file systems note times in steps of up to two seconds; a file written just now may change within the same step.
_COARSE_NS, _COARSE_SECONDS = 1_000_000_000, 2.5
_said: set[str] = set()


def cache_root() -> Path:
    """Return the folder of everything that may be deleted at any time: $GENESIS_CACHE, or the user's cache folder."""
    asked = os.environ.get("GENESIS_CACHE")
    if asked:
        return Path(asked).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("napari-genesis", appauthor=False))


class Remembered:
    """A store of facts of one `kind`; `version` is raised whenever the same file would now give other facts.

    folder: where the store lives; None: "remembered" in the cache. fresh: answer nothing that is known already, only
    keep what is found anew. Safe for any number of threads and processes; nothing is raised for a bad store.
    """

    def __init__(self, kind: str, version: int, folder: Path | None = None, *, fresh: bool = False) -> None:
        self.path = (cache_root() / "remembered" if folder is None else folder) / f"{kind}.{version}.sqlite"
        self._fresh = fresh
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner = 0
        self._given_up = False
        # The state of files as it was before somebody began to read them.
        self._asked: dict[bytes, bytes] = {}

    def find(self, paths: Sequence[Path], key: str = "") -> dict[str, Any] | None:
        """Return what was kept about these files under `key`; None if nothing was, or a file was touched since.

        Ask before reading the files: `keep` then keeps only what was found on files that stayed as they were.
        """
        name, state = _name(paths, key), _state(paths)
        if state is None:
            return None
        row = None if self._fresh else self._run("SELECT state, facts FROM facts WHERE name = ?", (name,))
        if row is not None and row[0] == state:
            try:
                facts = json.loads(row[1])
            except ValueError:
                facts = None
            if isinstance(facts, dict):
                return facts
        with self._lock:
            self._asked[name] = state
        return None

    def keep(self, paths: Sequence[Path], facts: dict[str, Any], key: str = "") -> None:
        """Keep `facts` (what JSON can hold) about these files, unless one changed since `find` was asked about them."""
        name, state = _name(paths, key), _state(paths)
        with self._lock:
            before = self._asked.pop(name, state)
        if state is not None and before == state and not _just_written(paths):
            values = (name, state, json.dumps(facts), int(time.time()))
            self._run("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)", values)

    def close(self) -> None:
        """Let go of the file; the next question opens it again."""
        with self._lock:
            self._close()

    def _run(self, statement: str, values: tuple[Any, ...]) -> Any:
        with self._lock:
            if self._given_up:
                return None
            try:
                return self._execute(statement, values)
            except sqlite3.OperationalError as problem:
                return self._give_up(problem)
            except sqlite3.DatabaseError as problem:
                self._say(f"is damaged ({problem}) and is begun anew")
                try:
                    self._close()
                    self.path.unlink(missing_ok=True)
                    return self._execute(statement, values)
                except (sqlite3.Error, OSError) as worse:
                    return self._give_up(worse)
            except (sqlite3.Error, OSError) as problem:
                return self._give_up(problem)

    def _execute(self, statement: str, values: tuple[Any, ...]) -> Any:
        if self._connection is None or self._owner != os.getpid():
            self._connection, self._owner = self._open(), os.getpid()
        return self._connection.execute(statement, values).fetchone()

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, _LOCK_SECONDS, check_same_thread=False, isolation_level=None)
        try:
            # A killed process loses nothing by it; a power cut may, which costs only time. No WAL: home may be on NFS.
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = TRUNCATE")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS facts (name BLOB PRIMARY KEY, state BLOB, facts TEXT, kept INTEGER)"
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        # A connection that came along through a fork belongs to the parent.
        if self._connection is not None and self._owner == os.getpid():
            self._connection.close()
        self._connection = None

    def _give_up(self, problem: Exception) -> None:
        self._given_up = True
        self._say(f"cannot be used ({problem}): what is found out now will be found out again next time")

    def _say(self, text: str) -> None:
        if str(self.path) not in _said:
            _said.add(str(self.path))
            _log.warning("%s %s", self.path, text)


def _name(paths: Sequence[Path], key: str) -> bytes:
    text = "\0".join([key, *(os.path.abspath(path) for path in paths)])
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _state(paths: Sequence[Path]) -> bytes | None:
    try:
        found = [os.stat(path) for path in paths]
    except OSError:
        return None
    facts = [(state.st_size, state.st_mtime_ns, state.st_ino) for state in found]
    return blake2b(json.dumps(facts).encode(), digest_size=16).digest()


def _just_written(paths: Sequence[Path]) -> bool:
    try:
        times = [os.stat(path).st_mtime_ns for path in paths]
    except OSError:
        return True
    return any(stamp % _COARSE_NS == 0 and 0 <= time.time() - stamp / 1e9 < _COARSE_SECONDS for stamp in times)
