"""The folders of a tree with the names of their files: links are followed but not in circles, hidden names left out.

What the files are is told elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def walk_folders(root: Path, closed: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder, relative to `root` with "/" ("." for itself), with the sorted names of its files.

    closed: gets the folders that could not be listed, each with the reason.
    """
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(".", frozenset())]
    while waiting:
        place, above = waiting.pop()
        try:
            status = os.stat(root / place)
            if (key := (status.st_dev, status.st_ino)) in above:
                continue
            with os.scandir(root / place) as entries:
                found = sorted((entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith("."))
        except OSError as problem:
            closed.append(f"{place}: {problem.strerror or problem}")
            continue
        start = "" if place == "." else f"{place}/"
        waiting += [(start + name, above | {key}) for name, is_folder in found if is_folder]
        yield place, [name for name, is_folder in found if not is_folder]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # A link to itself raises in `entry.is_dir`; it is no folder.
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
