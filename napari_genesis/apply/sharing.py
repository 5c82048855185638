"""The same as a command: what the dock does with a layer or a folder, as a line for a terminal. No Qt."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_genesis.apply.models import ModelEntry

_NO_FILE = "SCAN.nii.gz"


def as_command(entry: ModelEntry, scan: Path | None, out: Path, options: Mapping[str, Any]) -> str:
    """Return the line. scan: a file or a folder, None where a layer came from no file.

    options: settings of the command by name, those that differ from their defaults; what restoring has not is left out.
    """
    words = ["napari-genesis", "segment" if entry.segments else "restore", str(scan or _NO_FILE)]
    words += ["--model", str(entry.path), "--out", str(out)]
    for name, value in options.items():
        if not entry.segments and not _restores(name):
            continue
        spelling = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(spelling if value else f"--no-{name.replace('_', '-')}")
        elif isinstance(value, list | tuple):
            words += [spelling, ",".join(map(str, value))]
        else:
            words += [spelling, str(value)]
    return shlex.join(words) + "\n"


def _restores(name: str) -> bool:
    from genesis_core.cli.restore import RestoreSettings

    return name in RestoreSettings.model_fields
