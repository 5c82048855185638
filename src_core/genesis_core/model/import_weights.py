"""Turning the published Models Genesis checkpoint into a model folder, with a report of every tensor.

The facts about the published model in the card (window, patch, loss, data) are those of its training code and paper;
the file itself holds weights only. Source: Zhou et al. 2021 (Models Genesis) and its PyTorch code.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from genesis_core.errors import ModelError, OutputExistsError
from genesis_core.model.card import ModelCard
from genesis_core.model.checkpoint_file import CheckpointFile, read_checkpoint
from genesis_core.model.folder import CARD, Model, load_model, save_model
from genesis_core.model.import_report import ImportReport, UnmatchedWeightsError
from genesis_core.model.published_unet import convert, infer_settings, other_architecture
from genesis_core.model.versions import software_versions
from genesis_core.model.weights import listed, refuse_not_finite
from genesis_core.networks.registry import create_network
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.volumes.intensity import WindowIntensity
from genesis_core.volumes.preprocessing import Preprocessing

# 64 x 64 x 32 (x, y, z) as published. Source: Zhou et al. 2021, sec. 3.
PATCH_SIZE = (32, 64, 64)
LICENCE = (
    "Arizona State University licence of the Models Genesis code: academic, non-commercial use only. "
    "Terms of the weights themselves: as stated where the file was downloaded; check them before use."
)
# Starts what the file does not hold; a fixed seed, so that the same file always gives the same model.
_SEED = 0


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
    overwrite: bool = False,
) -> Imported:
    """Convert a checkpoint laid out like the published `Genesis_Chest_CT.pt` into the model folder `out`.

    path: a torch file (old or new format, with or without `module.` before the names, bare or under `state_dict`), or
    the same tensors as .safetensors; kernels in (x, y, z). No code in it is run.
    minimum_matched: fraction of the encoder's and decoder's 62 tensors that must match, in [0, 1]. Channels in and out
    and the width are read from the file. What is missing is started at random (seed 0), and the card says so.
    Raises UnmatchedWeightsError (a ModelError, with the report) below that fraction or if the file holds parameters of
    another architecture; ModelError if it cannot be read, needs code, or holds NaN; OutputExistsError if `out` exists.
    """
    path, out = Path(path), Path(out)
    if not 0 <= minimum_matched <= 1:
        raise ModelError(f"minimum_matched = {minimum_matched}: expected a fraction from 0 to 1")
    _check_output(out, overwrite)
    file = read_checkpoint(path)
    settings = infer_settings(file.tensors)
    network = create_network(settings, seed=_SEED)
    report = _transfer(file, network, path, minimum_matched)
    save_model(out, network, _card(file, settings, report, path))
    return Imported(load_model(out), report)


def _check_output(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not overwrite:
        raise OutputExistsError(f"{out}: already there; choose another folder, or allow it to be overwritten")
    if not out.is_dir() or (any(out.iterdir()) and not (out / CARD).is_file()):
        raise OutputExistsError(f"{out}: not a model folder, so it is not overwritten; choose another folder")


def _transfer(file: CheckpointFile, network: nn.Module, path: Path, minimum_matched: float) -> ImportReport:
    """Copy what fits into the network, or raise."""
    state = network.state_dict()
    converted, findings = convert(file, state)
    report = ImportReport(
        file=_readable(str(path)),
        digest=file.digest,
        prefix=file.prefix,
        findings=tuple(findings),
        minimum_matched=minimum_matched,
    )
    foreign = other_architecture(findings)
    if foreign:
        raise UnmatchedWeightsError(
            f"{path}: holds parameters the published ReLU network has no place for ({listed(foreign)}); "
            "it was written from another architecture",
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
    return (
        f"{path}: only {report.matched_fraction:.0%} of the encoder and decoder match, "
        f"{report.minimum_matched:.0%} are required: {counts}; is it a checkpoint of the published 3D U-Net?"
    )


def _card(file: CheckpointFile, settings: UNet3DSettings, report: ImportReport, path: Path) -> ModelCard:
    name = _readable(path.stem)
    notes = [
        "Converted from the published layout: kernel axes reversed once, so that the network takes (z, y, x).",
        "Published training ignored the voxel spacing of its scans and cut cubes of 64 x 64 x 32 voxels (x, y, z).",
        "Its norm uses the batch's own statistics in evaluation too, so a result depends on what shares its batch.",
        "Training data, loss, intensity window and patch size are as published; the file itself holds weights only.",
    ]
    if not report.head_matched:
        notes.append("The last layer was not in the file and was started at random: fine-tune before restoring scans.")
    if report.matched_fraction < 1:
        notes.append(
            f"Only {report.matched_fraction:.1%} of the encoder and decoder came from the file; the rest was started "
            f"at random: {listed(report.missing + report.mis_shaped)}."
        )
    data: dict[str, object] = {
        "scans": "LUNA16 chest CT, 445 for training and 178 for validation, if this is the published Genesis_Chest_CT"
    }
    if file.epoch is not None:
        data["epoch"] = file.epoch
    return ModelCard(
        name=name,
        task="restoration",
        network=settings,
        activation="sigmoid",
        preprocessing=Preprocessing(
            modality="ct", axis_codes="LPS", spacing=None, intensity=WindowIntensity(low=-1000.0, high=1000.0)
        ),
        patch_size=PATCH_SIZE,
        loss="mean squared error of the sigmoid output",
        data=data,
        source=f"{_readable(path.name)}, in the layout of Models Genesis (Zhou et al. 2021), SHA-256 {file.digest}",
        source_licence=LICENCE,
        licence=LICENCE,
        versions=software_versions(),
        notes=tuple(notes),
    )


def _readable(text: str) -> str:
    """Replace bytes of a file's name that are no text: the card is UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
