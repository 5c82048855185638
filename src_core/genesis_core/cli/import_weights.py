"""`napari-genesis import-weights`: a published checkpoint becomes a model folder, with a report of what matched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.errors import SettingsError
from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    from genesis_core.model.import_report import ImportReport

# More would push the error off the screen.
_MOST_PROBLEMS = 10


class ImportSettings(Settings):
    """What to convert, and where to."""

    file: str | None = setting(
        None, "Published checkpoint (.pt, .pth, .safetensors), or hf://OWNER/REPOSITORY/FILE to fetch it."
    )
    out: Path | None = setting(None, "Model folder to write; must not exist.")
    list: bool = setting(False, "Show the published checkpoints that are known, and stop.")
    minimum_matched: float = setting(1.0, "Fraction of encoder and decoder tensors that must match.", ge=0, le=1)
    keep_head: bool = setting(
        False,
        "Keep the last layer of SuPreM's U-Net or Swin UNETR, to segment its 32 classes with; else it is a source.",
    )
    sha256: str | None = setting(None, "What the file's SHA-256 must be; empty: the published file's, if fetched.")
    overwrite: bool = setting(False, "Replace a model folder that is already there.")


def run(settings: ImportSettings, output: Output) -> None:
    """Convert, and print the report, which is printed as well if the file does not fit."""
    from genesis_core.model.import_report import UnmatchedWeightsError
    from genesis_core.model.import_weights import import_weights

    if settings.list:
        _list(output)
        return
    assert settings.file is not None
    assert settings.out is not None
    try:
        imported = import_weights(
            settings.file,
            settings.out,
            minimum_matched=settings.minimum_matched,
            keep_head=settings.keep_head,
            sha256=settings.sha256,
            overwrite=settings.overwrite,
        )
    except UnmatchedWeightsError as problem:
        _show(problem.report, output, None)
        raise
    report, card = imported.report, imported.model.card
    _show(report, output, settings.out)
    if not report.source:
        output.warn(
            "not one of the published checkpoints we know: its preprocessing, classes and licence are not known"
        )
    if report.known_digest and report.known_digest != report.digest:
        output.warn(f"the file's SHA-256 is {report.digest_in_words}")
    if not report.head_matched:
        output.warn("the last layer was not taken from the file and was started at random; fine-tune before use")
    if card.learnt == "encoder":
        output.warn("such files hold an encoder alone; the decoder is ours and was started at random")
    if report.matched_fraction < 1:
        output.warn(
            f"only {report.matched_fraction:.1%} of the encoder and decoder came from the file; "
            "the rest was started at random"
        )
    if card.preprocessing is not None:
        output.say(f"expects: {card.preprocessing.describe()}")
    if card.task == "segmentation":
        output.say(f"segments {len(card.structures)} structures; choose some with `segment --structures`")
    output.say(f"model written to {settings.out}")
    output.say(f"licence: {card.licence}")


def _show(report: ImportReport, output: Output, out: Path | None) -> None:
    output.record({"event": "imported" if out else "refused", "model": str(out) if out else None, **report.as_json()})
    output.say(f"recognised as: {report.source or report.layout or 'nothing we know'}")
    output.say(f"SHA-256: {report.digest} ({report.digest_in_words})")
    output.table(("part", "matched", "missing", "mis-shaped", "unexpected", "not needed"), report.rows())
    output.say("{} of the published network's {} tensors are in the file and fit".format(*report.published_tensors))
    problems = report.problems()
    for item in problems[:_MOST_PROBLEMS]:
        output.say(f"{item.status}: {item.published} {item.note}".rstrip())
    if len(problems) > _MOST_PROBLEMS:
        output.say(f"and {len(problems) - _MOST_PROBLEMS} more; --json tells them all")


def _list(output: Output) -> None:
    from genesis_core.model.published_sources import SOURCES

    for source in SOURCES:
        classes = [entry.name for entry in source.structures]
        expects = f"{source.preprocessing.describe()} Patch {','.join(map(str, source.patch_size))}."
        facts = {
            "name": source.name,
            "title": source.title,
            "file": source.place,
            "licence": source.licence,
            "trained_on": source.trained_on,
            "expects": expects,
            "classes": classes,
            "sha256": source.sha256 or None,
        }
        output.record({"event": "source", **facts})
        output.say(f"{source.name}: {source.title}")
        output.say(f"  file        {source.place}")
        output.say(f"  licence     {source.licence}")
        output.say(f"  trained on  {source.trained_on}")
        output.say(f"  expects     {expects}")
        output.say(f"  classes     {', '.join(classes) if classes else 'none: a source to start from'}")
        output.say(f"  SHA-256     {source.sha256 or 'not known'}")


def _complete(values: dict[str, Any]) -> dict[str, Any]:
    """Refuse what is incomplete before anything is read."""
    for key in () if values.get("list") else ("file", "out"):
        if values.get(key) is None:
            raise SettingsError(f"napari-genesis import-weights: '{key}' is required and was not given")
    return values


command = settings_command(
    "import-weights",
    ImportSettings,
    run,
    text="Convert a published checkpoint (Models Genesis, SuPreM, MedicalNet, nnU-Net v2, ...) into a model folder.",
    example="napari-genesis import-weights Genesis_Chest_CT.pt --out models/genesis_chest_ct",
    arguments={"FILE": "file"},
    options={
        "--out": "out",
        "--list": "list",
        "--minimum-matched": "minimum_matched",
        "--keep-head": "keep_head",
        "--sha256": "sha256",
        "--overwrite": "overwrite",
    },
    prepare=_complete,
)
