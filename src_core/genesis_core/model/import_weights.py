"""Turning a published checkpoint into a model folder, with a report of every tensor.

Which checkpoint it is, is told by the names of its tensors (`published_sources`); the facts in the card are those of
the publication, since such a file holds weights only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genesis_core.errors import ModelError, OutputExistsError
from genesis_core.model.card import ModelCard
from genesis_core.model.checkpoint_file import CheckpointFile, read_checkpoint
from genesis_core.model.folder import CARD, Model, load_model, save_model
from genesis_core.model.import_report import ImportReport, UnmatchedWeightsError
from genesis_core.model.layout import Contents, convert, other_architecture, recognise
from genesis_core.model.nnunet_plans import NNUNetPlan, find_plan
from genesis_core.model.published_file import fetch, hub_place
from genesis_core.model.published_nnunet import NNUNET
from genesis_core.model.published_sources import LAYOUTS, SOURCES, PublishedSource, find_source
from genesis_core.model.versions import software_versions
from genesis_core.model.weights import listed, refuse_not_finite
from genesis_core.networks.registry import create_network
from genesis_core.networks.settings import NetworkSettings, StandardisedSettings
from genesis_core.volumes.intensity import ZScoreIntensity

# Starts what the file does not hold; a fixed seed, so that the same file always gives the same model.
_SEED = 0
_UNKNOWN_PATCH = (96, 96, 96)


@dataclass(frozen=True, eq=False)
class Imported:
    """The model as it was written to its folder, and what was found in the file."""

    model: Model
    report: ImportReport


def import_weights(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    minimum_matched: float = 1.0,
    keep_head: bool = False,
    sha256: str | None = None,
    overwrite: bool = False,
) -> Imported:
    """Convert a published checkpoint into the model folder `out`.

    path: a torch file (old or new format), or the same tensors as .safetensors, or `hf://owner/repository/file`, which
    is fetched. Its tensors may be bare or nested, with or without `module.` or `backbone.` before their names. Which of
    the known checkpoints it is, the report and the card say. No code in it is run.
    minimum_matched: fraction of the encoder's and decoder's tensors that must match, in [0, 1]. Channels and widths are
    read from the file. What is missing is started at random (seed 0), and the card says so.
    keep_head: keep the text-driven last layer of SuPreM's U-Net and Swin UNETR, which then segment their 32 classes;
    without it they are sources to start from. sha256: what the file's must be; by default a file that is fetched must
    be the published one where its SHA-256 is known.
    Raises UnmatchedWeightsError (a ModelError, with the report) below that fraction or if the file holds parameters of
    another architecture; ModelError if it cannot be read or fetched, needs code, is not the file it should be, or holds
    NaN; OutputExistsError if `out` exists.
    """
    out = Path(out)
    if not 0 <= minimum_matched <= 1:
        raise ModelError(f"minimum_matched = {minimum_matched}: expected a fraction from 0 to 1")
    _check_output(out, overwrite)
    place = hub_place(os.fspath(path))
    path = Path(path) if place is None else fetch(place)
    file = read_checkpoint(path)
    if place is not None and sha256 is None:
        published = [one for one in SOURCES if (one.repository, one.file) == (place.repository, place.file)]
        sha256 = next((one.sha256 for one in published if one.sha256), None)
    _check_digest(file, path, sha256)
    contents = recognise(file.tensors, LAYOUTS)
    known = contents is not None
    contents = contents or Contents(file.tensors, LAYOUTS[0], "")
    source = find_source(contents, file) if known else None
    plan = find_plan(file, path) if contents.layout is NNUNET and source is None else None
    settings = _standardised(_settings(contents, source, path, keep_head), source, plan)
    network = create_network(settings, seed=_SEED)
    title = source.title if source is not None else "" if plan is None else plan.title
    report = _transfer(file, contents if known else None, source, title, network, path, minimum_matched)
    card = _card(file, contents, source, settings, report, path)
    save_model(out, network, card if plan is None else _planned(card, plan, settings, report))
    return Imported(load_model(out), report)


def _check_output(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not overwrite:
        raise OutputExistsError(
            f"{out}: already there; choose another folder, or replace it with --overwrite (overwrite=True)"
        )
    if not out.is_dir() or (any(out.iterdir()) and not (out / CARD).is_file()):
        raise OutputExistsError(f"{out}: not a model folder, so it is not overwritten; choose another folder")


def _check_digest(file: CheckpointFile, path: Path, wanted: str | None) -> None:
    if wanted is not None and file.digest != wanted.strip().lower():
        raise ModelError(
            f"{path}: its SHA-256 is {file.digest}, and {wanted} is expected: damaged, replaced, or another file. "
            "If you trust it nevertheless, give its own SHA-256 as the one that is expected"
        )


def _settings(contents: Contents, source: PublishedSource | None, path: Path, keep_head: bool) -> NetworkSettings:
    """Return the settings of the network the file is for, with the last layer that is wanted."""
    settings = contents.layout.settings(contents.own())
    classes = contents.classes_of_text_head
    if keep_head:
        if not classes:
            raise ModelError(
                f"{path}: holds no text-driven last layer, which SuPreM's U-Net and Swin UNETR have; a last layer of "
                "any other kind is kept anyway"
            )
        return settings.model_copy(update={"head": "text_driven", "out_channels": classes})
    if source is not None and not source.head:
        return settings.model_copy(update={"out_channels": 1})
    return settings


def _standardised(
    settings: NetworkSettings, source: PublishedSource | None, plan: NNUNetPlan | None
) -> NetworkSettings:
    """Let the network turn [0, 1] into the z-scores its weights were learnt on, where that is what they are for."""
    if not isinstance(settings, StandardisedSettings):
        return settings
    if plan is not None:
        return settings.model_copy(update={"input_scale": plan.scale, "input_shift": plan.shift})
    if source is not None and isinstance(source.preprocessing.intensity, ZScoreIntensity):
        limit = source.preprocessing.intensity.limit
        return settings.model_copy(update={"input_scale": 2 * limit, "input_shift": -limit})
    return settings


def _transfer(
    file: CheckpointFile,
    contents: Contents | None,
    source: PublishedSource | None,
    title: str,
    network: nn.Module,
    path: Path,
    minimum_matched: float,
) -> ImportReport:
    """Copy what fits into the network, or raise."""
    state = network.state_dict()
    found = contents or Contents(file.tensors, LAYOUTS[0], "")
    drop_head = source is not None and not source.head
    converted, findings = convert(found, network.settings, state, drop_head=drop_head)
    report = ImportReport(
        file=_readable(str(path)),
        digest=file.digest,
        known_digest=source.sha256 if source is not None else "",
        layout=contents.layout.title if contents is not None else "",
        source=title,
        prefix=file.prefix + found.prefix,
        findings=tuple(findings),
        minimum_matched=minimum_matched,
    )
    foreign = other_architecture(found, findings)
    if foreign:
        raise UnmatchedWeightsError(
            f"{path}: holds parameters the published network ({found.layout.title}) has no place for "
            f"({listed(foreign)}); it was written from another architecture",
            report,
        )
    if report.matched_fraction < minimum_matched:
        raise UnmatchedWeightsError(_shortfall(path, report), report)
    if not converted:
        raise UnmatchedWeightsError(f"{path}: not one tensor matches; there is nothing to import", report)
    refuse_not_finite(converted, path)
    with torch.no_grad():
        for key, tensor in converted.items():
            state[key].copy_(tensor)
    return report


def _shortfall(path: Path, report: ImportReport) -> str:
    counts = ", ".join(
        f"{len(names)} {status} ({listed(names)})"
        for status, names in [
            ("missing", report.missing),
            ("mis-shaped", report.mis_shaped),
            ("unexpected", report.unexpected),
        ]
        if names
    )
    kinds = "; ".join(layout.title for layout in LAYOUTS)
    seen = f"it looks like: {report.layout}" if report.layout else f"is it a checkpoint of a kind we know ({kinds})?"
    return (
        f"{path}: only {report.matched_fraction:.0%} of the encoder and decoder match, "
        f"{report.minimum_matched:.0%} are required: {counts}; {seen}"
    )


def _card(
    file: CheckpointFile,
    contents: Contents,
    source: PublishedSource | None,
    settings: NetworkSettings,
    report: ImportReport,
    path: Path,
) -> ModelCard:
    name = _readable(path.stem)
    origin = f"{_readable(path.name)}, in the layout of {contents.layout.title}, SHA-256 {file.digest}"
    common: dict[str, Any] = {
        "name": name,
        "learnt": contents.parts,
        "network": settings,
        "versions": software_versions(),
        "notes": (*_notes(source, report), *_doubts(report)),
    }
    epoch = {} if file.epoch is None else {"epoch": file.epoch}
    if source is None:
        return ModelCard(
            task="pretraining",
            activation="none",
            patch_size=_UNKNOWN_PATCH,
            data=epoch,
            source=origin,
            source_licence="not known",
            licence="not known: that of whoever gave you the file",
            **common,
        )
    segments = source.task == "segmentation" and settings.out_channels == len(source.structures)
    restores = source.task == "restoration" and report.head_matched
    return ModelCard(
        task=source.task if restores or segments else "pretraining",
        activation="sigmoid",
        structures=source.structures if segments else (),
        preprocessing=source.preprocessing,
        patch_size=source.patch_size,
        loss=source.loss,
        data={"scans": source.trained_on, **({"modality": source.modality} if source.modality else {}), **epoch},
        source=f"{source.title}: {origin}",
        source_licence=source.licence,
        licence=source.licence,
        **common,
    )


def _planned(card: ModelCard, plan: NNUNetPlan, settings: NetworkSettings, report: ImportReport) -> ModelCard:
    """Return the card with what the plans in the file say of preprocessing, patch and structures."""
    outputs = len(plan.structures) + (1 if plan.activation == "softmax" else 0)
    segments = report.head_matched and bool(plan.structures) and outputs == settings.out_channels
    return card.model_copy(
        update={
            "task": "segmentation" if segments else "pretraining",
            "activation": plan.activation if segments else "none",
            "structures": plan.structures if segments else (),
            "preprocessing": plan.preprocessing,
            "patch_size": plan.patch,
            "channels": plan.channels if len(plan.channels) == settings.in_channels else (),
            "source": f"{plan.title}: {card.source}",
            "notes": (*plan.notes, *_doubts(report)),
        }
    )


def _notes(source: PublishedSource | None, report: ImportReport) -> tuple[str, ...]:
    if source is None:
        return (
            "Not recognised as one of the published checkpoints we know, though laid out like one: what it was trained "
            "on, how scans are prepared for it and what its outputs mean are not known.",
        )
    same = "Training data, loss, intensity window and patch size are as published; the file itself holds weights only."
    numbers = "The label values are those of the SuPreM template (place in its output), not those of AbdomenAtlas."
    return (*source.notes, same, *((numbers,) if source.structures and report.head_matched else ()))


def _doubts(report: ImportReport) -> list[str]:
    notes = []
    if report.known_digest and report.known_digest != report.digest:
        notes.append(f"The file's SHA-256 is {report.digest_in_words}.")
    if not report.head_matched:
        notes.append("The last layer was not taken from the file and was started at random: fine-tune before use.")
    if report.matched_fraction < 1:
        notes.append(
            f"Only {report.matched_fraction:.1%} of the encoder and decoder came from the file; the rest was started "
            f"at random: {listed(report.missing + report.mis_shaped)}."
        )
    return notes


def _readable(text: str) -> str:
    """Replace bytes of a file's name that are no text: the card is UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
