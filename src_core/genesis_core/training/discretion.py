"""Keeping names of files out of what a run writes for others: its folder may be shared, and paths name patients.

A run learns which scans and folders it works with. In every text it writes, scans then go by their pseudonyms, its
folders by what they are, and any other absolute path by the word "(path)". People at the terminal still see the paths.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genesis_core.volumes.scans import Scan

# From a root to the end of the word; what follows a space is only caught where the path is known.
_ABSOLUTE = re.compile(r"(?<![\w./~)])(?:/(?=[^\s/])|~/|[A-Za-z]:[\\/](?=\S))[^\s:;,'\"()]*")
# Shorter names ("a", "1.nii") may stand in any sentence, and tell nothing.
_SHORTEST_NAME = 6


class Discretion:
    """Turns a text or an event into one without names of files."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}

    def learn_folder(self, path: str | os.PathLike[str] | None, word: str) -> None:
        """From now on the folder `path` goes by `word`, however it is written."""
        if path is not None:
            for form in (
                Path(path).absolute(),
                Path(path).resolve(),
                *([Path(path)] if Path(path).parent.name else []),
            ):
                self._words[str(form)] = word

    def learn_scans(self, scans: Iterable[Scan]) -> None:
        """From now on these scans go by their pseudonyms, by path, by relative path and by name."""
        for scan in scans:
            for form in (scan.path, scan.path.absolute(), scan.path.resolve()):
                self._words[str(form)] = scan.id
            for name in (scan.relative, scan.path.name):
                if len(name) >= _SHORTEST_NAME:
                    self._words.setdefault(name, scan.id)

    def text(self, text: str) -> str:
        """Return `text` without the names it has learnt and without absolute paths."""
        # A sentence holds few paths, a run may know thousands: only what occurs is replaced, the longest first.
        for name in sorted((name for name in self._words if name in text), key=len, reverse=True):
            text = text.replace(name, self._words[name])
        return _ABSOLUTE.sub("(path)", text)

    def values(self, value: Any) -> Any:
        """Return `value` (what JSON can hold) with every text in it gone through `text`."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.values(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.values(inner) for inner in value]
        return value
