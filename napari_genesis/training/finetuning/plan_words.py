"""A plan of a fine-tuning in a few rows for a narrow dock, and as a text with every reason. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from genesis_core.training.finetune_settings import FinetuneSettings


@dataclass(frozen=True)
class PlanRow:
    """name: what is decided. value: how, in a few words. reason: why, in a sentence or two."""

    name: str
    value: str
    reason: str


def plan_rows(settings: FinetuneSettings, reasons: Mapping[str, str]) -> list[PlanRow]:
    """Return what a user wants to see of a plan before it is carried out."""
    network, training = settings.network, settings.training
    width, norm = getattr(network, "width", None), getattr(network, "norm", None)
    rows = [
        PlanRow("voxels", _voxels(settings), _why(reasons, "data.spacing")),
        PlanRow(
            "sub-volumes",
            f"{_times(settings.sampling.patch_size)}, {training.batch_size} at a time",
            _why(reasons, "sampling.patch_size", "training.batch_size"),
        ),
        PlanRow(
            "network",
            ", ".join(part for part in (f"width {width}" if width else "", f"{norm} norm" if norm else "") if part)
            or str(getattr(network, "kind", "")),
            _why(reasons, "network.width", "network.norm", "memory"),
        ),
        PlanRow("held out", _held_out(settings), _why(reasons, "folds", "training.keep")),
        PlanRow("length", _length(settings), _why(reasons, "training.max_steps")),
    ]
    if "transfer" in reasons:
        rows.append(PlanRow("takes over", _transfer(settings), reasons["transfer"]))
    return rows


def plan_text(settings: FinetuneSettings, reasons: Mapping[str, str], warnings: tuple[str, ...]) -> str:
    """Return the plan with every reason, as `--dry-run` tells it: one setting a paragraph, warnings first."""
    told = [f"warning: {one}" for one in warnings]
    told += [f"{key}\n    {reason}" for key, reason in reasons.items()]
    return "\n\n".join(told)


def _voxels(settings: FinetuneSettings) -> str:
    spacing = settings.data.spacing
    return f"{_times(spacing)} mm (x, y, z)" if isinstance(spacing, tuple) else "as scanned"


def _held_out(settings: FinetuneSettings) -> str:
    if settings.folds is not None and settings.folds > 1:
        return f"every subject once, in {settings.folds} trainings"
    fraction = settings.data.validation_fraction
    return f"{fraction:.0%} of the subjects" if fraction else "nobody"


def _length(settings: FinetuneSettings) -> str:
    training = settings.training
    each = " each" if (settings.folds or 1) > 1 else ""
    if training.max_hours is not None and training.max_steps is None:
        return "as many steps as fit the time"
    return f"{training.max_steps:,} steps{each}" if training.max_steps else "decided at the start"


def _transfer(settings: FinetuneSettings) -> str:
    return "all but the last layer" if settings.transfer == "auto" else settings.transfer.replace("+", " and ")


def _why(reasons: Mapping[str, str], *keys: str) -> str:
    return "\n".join(reasons[key] for key in keys if key in reasons)


def _times(values: tuple[float, ...] | tuple[int, ...]) -> str:
    return " x ".join(f"{value:.3g}" for value in values)
