"""`napari-genesis import-weights`: a published checkpoint becomes a model folder, with a report of what matched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    from genesis_core.model.import_report import ImportReport


class ImportSettings(Settings):
    """What to convert, and where to."""

    file: Path = setting(..., "Checkpoint of the published 3D U-Net (.pt, .pth, .safetensors).")
    out: Path = setting(..., "Model folder to write; must not exist.")
    minimum_matched: float = setting(1.0, "Fraction of encoder and decoder tensors that must match.", ge=0, le=1)
    overwrite: bool = setting(False, "Replace a model folder that is already there.")


def run(settings: ImportSettings, output: Output) -> None:
    """Convert, and print the report, which is printed as well if the file does not fit."""
    from genesis_core.model.import_report import UnmatchedWeightsError
    from genesis_core.model.import_weights import import_weights

    try:
        imported = import_weights(
            settings.file, settings.out, minimum_matched=settings.minimum_matched, overwrite=settings.overwrite
        )
    except UnmatchedWeightsError as problem:
        _show(problem.report, output, None)
        raise
    _show(imported.report, output, settings.out)
    if not imported.report.head_matched:
        output.warn("the last layer was not in the file and was started at random; fine-tune before restoring scans")
    if imported.report.matched_fraction < 1:
        output.warn(
            f"only {imported.report.matched_fraction:.1%} of the encoder and decoder came from the file; "
            "the rest was started at random"
        )
    output.say(f"model written to {settings.out}")
    output.say(f"licence: {imported.model.card.licence}")


def _show(report: ImportReport, output: Output, out: Path | None) -> None:
    output.record({"event": "imported" if out else "refused", "model": str(out) if out else None, **report.as_json()})
    output.table(("part", "matched", "missing", "mis-shaped", "unexpected", "not needed"), report.rows())
    for item in report.problems():
        output.say(f"{item.status}: {item.published} {item.note}".rstrip())


command = settings_command(
    "import-weights",
    ImportSettings,
    run,
    text="Convert a published Models Genesis checkpoint into a model folder.",
    example="napari-genesis import-weights Genesis_Chest_CT.pt --out models/genesis_chest_ct",
    arguments={"FILE": "file"},
    options={"--out": "out", "--minimum-matched": "minimum_matched", "--overwrite": "overwrite"},
)
