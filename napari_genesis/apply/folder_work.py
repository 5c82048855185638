"""A folder of scans, by the very functions of the commands `segment` and `restore`: same files, same messages.

This file only listens to what they say; they ask the dock between two windows whether to end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genesis_core.cli.output import Output
from genesis_core.errors import OutputExistsError, SettingsError
from genesis_core.inference.sliding_window import Stopped
from napari_genesis.apply.progress import Progress, Reporting

if TYPE_CHECKING:
    from genesis_core.cli.restore import RestoreSettings
    from genesis_core.cli.segment_settings import SegmentSettings

# Of a bar, for each scan.
_STEPS = 1000


@dataclass(frozen=True)
class FolderDone:
    """What came of a folder. failed: (scan, reason). said: the command's own last sentence, without their names.

    warned: of the folder, in sentences. notes: (scan, what was noticed or changed), of those that were done.
    """

    out: Path
    done: int
    skipped: int
    failed: tuple[tuple[str, str], ...]
    said: str
    warned: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


class _Listening(Output):
    """Where a command says what it does; what programs hear becomes progress."""

    def __init__(self, report: Reporting) -> None:
        super().__init__(as_json=True)
        self._report = report
        self.said: list[str] = []
        self.warned: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.notes: list[tuple[str, str]] = []
        self.finished: dict[str, Any] = {}

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)

    def record(self, values: dict[str, Any]) -> None:
        event = values["event"]
        if event in ("begun", "progress"):
            self._report.latest = _place(values)
        elif event == "failed":
            self.failed.append((values["scan"], values["reason"]))
        elif event in ("segmented", "restored"):
            # The last note of a restoration is the residual's limits, which the command says once, at its end.
            notes = values["notes"] if event == "segmented" else values["notes"][:-1]
            self.notes += [(values["scan"], note) for note in notes]
        elif event == "finished":
            self.finished = values


def _place(values: dict[str, Any]) -> Progress:
    """Return how far the folder is. Before a scan's first window ("begun") only the others' time can be known."""
    number, scans, total = values["number"], values["scans"], values.get("total", 1)
    here, everything = values.get("seconds_left"), values["seconds_left_all"]
    return Progress(
        f"scan {number} of {scans}: {values['scan']}",
        round(_STEPS * (number - 1 + values.get("done", 0) / total)),
        _STEPS * scans,
        here if everything is None else everything,
        counted="scans",
        only_this=everything is None,
    )


def apply_to_folder(settings: SegmentSettings | RestoreSettings, report: Reporting) -> FolderDone:
    """Segment or restore every scan of a folder into another one.

    Raises GenesisError for what the command refuses, in its words, and Stopped when it was asked to end; what was
    finished by then stays.
    """
    from genesis_core.cli.segment_settings import SegmentSettings

    output = _Listening(report)
    report.begin("loading the model")
    try:
        if isinstance(settings, SegmentSettings):
            from genesis_core.cli.segment import run as run_segment

            run_segment(settings, output, stop=report.stop)
        else:
            from genesis_core.cli.restore import run as run_restore

            run_restore(settings, output, stop=report.stop)
    except OutputExistsError:
        raise OutputExistsError(
            f"{settings.out} holds results of these scans already, and nothing is overwritten: choose another folder "
            "for the results, or let finished scans be left out"
        ) from None
    except Stopped as end:
        # The dock has a box for the command's option.
        raise Stopped(str(end).replace("--skip-existing goes on", "with finished scans left out it goes on")) from None
    except click.ClickException as problem:
        raise SettingsError(problem.message.removeprefix("--out ")) from None
    found = output.finished
    done = next((int(found[word]) for word in ("segmented", "restored") if word in found), 0)
    said = next((line for line in reversed(output.said) if str(settings.out) in line), "")
    # Each one that failed stands below it with its reason.
    said = said.replace(f" failed: {', '.join(found.get('failed', ()))}.", " failed.")
    failed = tuple((name, reason.removeprefix(f"{settings.scan / name}: ")) for name, reason in output.failed)
    told = {f"{name} is left out: {reason}" for name, reason in output.failed}
    warned = tuple(text for text in output.warned if text not in told)
    return FolderDone(settings.out, done, int(found.get("skipped", 0)), failed, said, warned, tuple(output.notes))
