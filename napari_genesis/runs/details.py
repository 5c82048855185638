"""What there is to say of one run: what it is worth, what it is made of, and what went wrong. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis_core.durations import duration
from genesis_core.errors import GenesisError
from genesis_core.model.card import ModelCard, read_card
from genesis_core.model.ensemble import listed_models
from genesis_core.studies.run_comparison import NOT_SET, flat_settings
from genesis_core.studies.run_figures import held_out_means
from genesis_core.training.run_folder import RunFolder
from napari_genesis.jobs.last_words import read_last_words
from napari_genesis.runs.cells import TASKS, size_text
from napari_genesis.runs.listing import RunSummary
from napari_genesis.training.wording import place

_WARNINGS = 3
_STRUCTURES = 12


@dataclass(frozen=True)
class RunDetails:
    """lines: (what, text) in the order they are shown. trouble: why it ended or cannot be read. warnings: the last."""

    path: Path
    lines: tuple[tuple[str, str], ...]
    trouble: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_details(run: RunSummary) -> RunDetails:
    """Read what is told of a run; what is damaged is said, and the rest is told all the same."""
    trouble = [run.trouble] if run.trouble else []
    try:
        settings = flat_settings(run.path)
    except (GenesisError, OSError) as problem:
        settings = {}
        trouble.append(str(problem))
    card: ModelCard | None = None
    try:
        card = _card(run.path)
    except (GenesisError, OSError) as problem:
        trouble.append(f"Its model cannot be read: {problem}")
    if run.word in ("failed", "interrupted"):
        trouble += read_last_words(RunFolder(run.path))
    made: tuple[tuple[str, Callable[[], str]], ...] = (
        ("structures", lambda: _structures(run.path)),
        ("made of", lambda: _made_of(run, settings)),
        ("data", lambda: _data(run, settings, card)),
        ("source", lambda: _source(run, settings, card)),
        ("licence", lambda: _licence(card)),
        ("model", lambda: _model(run, card)),
        ("folder", lambda: _folder(run)),
    )
    lines = tuple((what, text) for what, make in made if (text := make()))
    return RunDetails(run.path, lines, tuple(dict.fromkeys(trouble)), run.warnings[-_WARNINGS:])


def _card(path: Path) -> ModelCard | None:
    """Return the card of a run's model, the first one of folds; None if there is no model yet."""
    folder = path / next(iter(listed_models(path)), "model")
    return read_card(folder / "model.yaml") if (folder / "model.yaml").is_file() else None


def _structures(path: Path) -> str:
    means = held_out_means(path)
    names = [name for name in means if name.startswith("dice_")]
    told = ", ".join(f"{name.removeprefix('dice_')} {means[name]:.3f}" for name in names[:_STRUCTURES])
    more = f" and {len(names) - _STRUCTURES} more" if len(names) > _STRUCTURES else ""
    return f"Dice: {told}{more}" if told else ""


def _made_of(run: RunSummary, settings: dict[str, str]) -> str:
    known = {key: value for key, value in settings.items() if value not in ("none", NOT_SET)}
    patch = known.get("sampling.patch_size", "").replace(", ", " x ")
    parts = [
        TASKS.get(run.task, ""),
        known.get("recipe.name") and f"recipe {known['recipe.name']}",
        known.get("network.width") and f"width {known['network.width']}",
        patch and f"patch {patch}",
        known.get("training.batch_size") and f"batch {known['training.batch_size']}",
        known.get("training.learning_rate") and f"rate {known['training.learning_rate']}",
        known.get("seed") and f"seed {known['seed']}",
        f"device {run.device}",
        run.host and f"machine {run.host}",
    ]
    return ", ".join(part for part in parts if part)


def _data(run: RunSummary, settings: dict[str, str], card: ModelCard | None) -> str:
    folder = settings.get("data.scans" if run.task == "restoration" else "data.labelled", "none")
    counts = [] if card is None else counts_in_words(card.data)
    return ", ".join([*([place(Path(folder))] if folder != "none" else []), *counts])


def counts_in_words(data: Mapping[str, Any]) -> list[str]:
    """Return who trains and who is held out, by parts that add up; "subjects" of older cards counts both."""
    told = []
    by_part = data.get("subjects_by_part") or {}
    for part, words in (("training", "train"), ("validation", "held out")):
        cases, subjects = data.get(f"{part}_cases"), by_part.get(part)
        if isinstance(cases, int):
            of = f" of {subjects:,} {'subject' if subjects == 1 else 'subjects'}" if isinstance(subjects, int) else ""
            told.append(f"{cases:,} {'case' if cases == 1 else 'cases'}{of} {words}")
    if isinstance(data.get("subjects"), int) and not by_part:
        told.append(f"{data['subjects']:,} subjects in all")
    scans = data.get("scans")
    return [*([f"{scans:,} scans"] if isinstance(scans, int) else []), *told]


def _source(run: RunSummary, settings: dict[str, str], card: ModelCard | None) -> str:
    if run.source is None:
        return "from scratch" if run.task == "segmentation" else ""
    licence = card.source_licence if card is not None and card.source_licence else "licence not stated"
    transfer = settings.get("transfer", "")
    return f"{place(run.source)}" + (f", {transfer}" if transfer else "") + f" ({licence})"


def _licence(card: ModelCard | None) -> str:
    return "" if card is None else card.licence or "not stated"


def _model(run: RunSummary, card: ModelCard | None) -> str:
    if card is None:
        return "none written yet"
    several = f"{run.folds[1]} models, applied together; " if run.folds[1] else ""
    prepared = card.preprocessing.describe() if card.preprocessing is not None else "preprocessing not known"
    return several + prepared


def _folder(run: RunSummary) -> str:
    size = "" if run.size is None else f" ({size_text(run.size)})"
    trained = f", trained for {duration(run.seconds)}" if run.seconds >= 1 else ""
    return f"{place(run.path)}{size}{trained}"
