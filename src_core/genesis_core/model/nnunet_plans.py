"""What nnU-Net's plans say of one of its networks: how scans are prepared, its patch, and what it segments.

They lie in the checkpoint itself (`init_args`), or in `plans.json` and `dataset.json` beside it or a folder above.
Facts of the format: nnU-Net v2's published plans; arrays and spacings there are in the order z, y, x.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from genesis_core.errors import ModelError
from genesis_core.model.card import LabelEntry
from genesis_core.model.checkpoint_file import CheckpointFile
from genesis_core.volumes.intensity import WindowIntensity, ZScoreIntensity
from genesis_core.volumes.preprocessing import Preprocessing

# How far z-scores reach that are carried through [0, 1], in standard deviations; beyond, they are clipped.
DEVIATIONS = 5.0
_MAX_BYTES = 64 << 20
# The networks we have, and what lies between their convolutions.
_KINDS = ("PlainConvUNet", "ResidualEncoderUNet")
_EPSILON, _SLOPE = 1e-5, 0.01


@dataclass(frozen=True)
class NNUNetPlan:
    """preprocessing: None if it cannot be told as ours. patch: z, y, x. scale, shift: of the input, as in the settings.

    activation: softmax with the background first, or sigmoid for regions that overlap. structures: in the order of the
    outputs.
    """

    title: str
    preprocessing: Preprocessing | None
    patch: tuple[int, int, int]
    scale: float
    shift: float
    structures: tuple[LabelEntry, ...]
    activation: Literal["softmax", "sigmoid"]
    channels: tuple[str, ...]
    notes: tuple[str, ...]


def find_plan(file: CheckpointFile, path: Path) -> NNUNetPlan | None:
    """Return what the plans of a checkpoint say, or None if there are none in it or beside it.

    Raises ModelError if they are there and cannot be followed: damaged, axes transposed, the second stage of a cascade.
    """
    told = file.told.get("init_args")
    told = told if isinstance(told, Mapping) else {}
    plans, dataset, name = told.get("plans"), told.get("dataset_json"), told.get("configuration")
    plans = plans if isinstance(plans, Mapping) else _beside(path, "plans.json")
    if plans is None:
        return None
    dataset = dataset if isinstance(dataset, Mapping) else _beside(path, "dataset.json")
    # Folders are called TRAINER__PLANS__CONFIGURATION, with one folder a fold in them.
    name = name if isinstance(name, str) else path.absolute().parent.parent.name.rpartition("__")[2]
    try:
        return _plan(plans, dataset or {}, name, file)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as problem:
        raise ModelError(
            f"{path}: its nnU-Net plans cannot be read for the configuration '{name}' "
            f"({type(problem).__name__}: {str(problem)[:200]})"
        ) from None


def _beside(path: Path, name: str) -> Mapping[str, Any] | None:
    """Return the content of a JSON file beside the checkpoint or a folder above, or None."""
    for folder in (path.absolute().parent, path.absolute().parent.parent):
        place = folder / name
        if not place.is_file():
            continue
        try:
            if place.stat().st_size > _MAX_BYTES:
                raise ModelError(f"{place}: larger than such a file can be")
            content = json.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as problem:
            raise ModelError(f"{place}: cannot be read ({str(problem)[:200]})") from None
        if not isinstance(content, Mapping):
            raise ModelError(f"{place}: not a file of nnU-Net (expected names and values)")
        return content
    return None


def _plan(plans: Mapping[str, Any], dataset: Mapping[str, Any], name: str, file: CheckpointFile) -> NNUNetPlan:
    configuration = _configuration(plans, name)
    if list(plans.get("transpose_forward", [0, 1, 2])) != [0, 1, 2]:
        raise ModelError(
            f"its nnU-Net plans turn the axes of scans ({list(plans['transpose_forward'])}), which is not supported"
        )
    if configuration.get("previous_stage"):
        raise ModelError(f"'{name}' is the second stage of a cascade, which also needs the labels of the first")
    _check_architecture(configuration)
    patch = [int(length) for length in configuration["patch_size"]]
    flat = len(patch) == 2
    notes = [
        "nnU-Net takes scans in the orientation they are stored in. Here they are turned to LPS first: if those it was "
        "trained on were stored otherwise, change axis_codes in this card.",
        "nnU-Net resamples with splines of order 3, mirrors and averages five folds; here one network is applied once.",
    ]
    spacing = None if flat else tuple(float(mm) for mm in reversed(configuration["spacing"]))
    if flat:
        mm = " x ".join(f"{float(one):g}" for one in configuration["spacing"])
        notes.append(f"A network of slices: its plans resample them to {mm} mm (y, x), which is not done here.")
    intensity, scale, shift = _intensity(plans, configuration, notes)
    preprocessing = None
    if intensity is not None:
        preprocessing = Preprocessing.model_validate(
            {
                "modality": "ct" if isinstance(intensity, WindowIntensity) else "mr",
                "axis_codes": "LPS",
                "spacing": spacing,
                "intensity": intensity,
            }
        )
    structures, activation = _structures(dataset)
    trainer = file.told.get("trainer_name")
    return NNUNetPlan(
        title=f"nnU-Net v2: {plans.get('dataset_name', 'a data set')}, {name}"
        + (f", {trainer}" if isinstance(trainer, str) else ""),
        preprocessing=preprocessing,
        patch=(1, patch[0], patch[1]) if flat else (patch[0], patch[1], patch[2]),
        scale=scale,
        shift=shift,
        structures=structures,
        activation=activation,
        channels=_channels(dataset),
        notes=tuple(notes),
    )


def _configuration(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration with all it inherits."""
    merged: dict[str, Any] = {}
    seen: set[str] = set()
    while name and name not in seen:
        seen.add(name)
        one = plans["configurations"][name]
        merged = {**one, **merged}
        name = one.get("inherits_from") or ""
    return merged


def _check_architecture(configuration: Mapping[str, Any]) -> None:
    """Raise ModelError for what tensors do not tell and our network has otherwise: what lies between convolutions."""
    architecture = configuration.get("architecture") or {}
    kind = str(architecture.get("network_class_name") or configuration.get("UNet_class_name") or _KINDS[0])
    given = architecture.get("arch_kwargs") or {}
    epsilon = (given.get("norm_op_kwargs") or {}).get("eps", _EPSILON)
    slope = (given.get("nonlin_kwargs") or {}).get("negative_slope", _SLOPE)
    unlike = [
        kind.rpartition(".")[2] not in _KINDS and kind,
        not str(given.get("nonlin", "LeakyReLU")).endswith("LeakyReLU") and f"nonlin {given['nonlin']}",
        slope != _SLOPE and f"negative_slope {slope}",
        epsilon != _EPSILON and f"eps {epsilon} of its norm",
        bool(given.get("nonlin_first")) and "nonlin_first",
        given.get("pool_type", "conv") != "conv" and f"pool_type {given['pool_type']}",
    ]
    found = [str(reason) for reason in unlike if reason]
    if found:
        raise ModelError(f"its nnU-Net plans ask for {', '.join(found)[:200]}, which our network has not")


def _intensity(
    plans: Mapping[str, Any], configuration: Mapping[str, Any], notes: list[str]
) -> tuple[WindowIntensity | ZScoreIntensity | None, float, float]:
    """Return our rule into [0, 1], and the scale and shift that bring its result to what the weights know."""
    schemes = set(configuration["normalization_schemes"])
    facts = plans.get("foreground_intensity_properties_per_channel") or {}
    if schemes == {"CTNormalization"} and len(facts) == 1:
        (one,) = facts.values()
        low, high = float(one["percentile_00_5"]), float(one["percentile_99_5"])
        mean, deviation = float(one["mean"]), max(float(one["std"]), 1e-8)
        return WindowIntensity(low=low, high=high), (high - low) / deviation, (low - mean) / deviation
    if schemes == {"ZScoreNormalization"}:
        if any(configuration.get("use_mask_for_norm") or []):
            notes.append("Published: mean and deviation of the voxels that are not 0. Here: of all voxels.")
        notes.append(f"z-scores beyond {DEVIATIONS:g} deviations are clipped here.")
        return ZScoreIntensity(limit=DEVIATIONS), 2 * DEVIATIONS, -DEVIATIONS
    notes.append(f"Its intensities are normalised by {', '.join(sorted(schemes))}, which is not done here.")
    return None, 1.0, 0.0


def _structures(dataset: Mapping[str, Any]) -> tuple[tuple[LabelEntry, ...], Literal["softmax", "sigmoid"]]:
    labels = {str(name): value for name, value in (dataset.get("labels") or {}).items() if name != "ignore"}
    order = dataset.get("regions_class_order")
    if any(isinstance(value, list | tuple) for value in labels.values()):
        regions = [name for name, value in labels.items() if value != 0]
        pairs = zip(regions, order or range(1, len(regions) + 1), strict=True)
        return tuple(LabelEntry(name=name, value=int(value)) for name, value in pairs), "sigmoid"
    numbered = sorted((int(value), name) for name, value in labels.items() if int(value) > 0)
    return tuple(LabelEntry(name=name, value=value) for value, name in numbered), "softmax"


def _channels(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    names = dataset.get("channel_names") or dataset.get("modality") or {}
    return tuple(str(names[key])[:200] for key in sorted(names, key=int))
