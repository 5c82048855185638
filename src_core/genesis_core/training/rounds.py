"""Rounds of a fine-tuning: a run that continues another one with corrected cases, and the chain of such runs.

What has to stay is taken from the run before: structures by name, preprocessing, patch, network, and whom it held out.
What is said here is read from run folders alone: no weights, no scans, no torch.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any, Literal

from genesis_core.errors import RunError, SettingsError
from genesis_core.training.finetune_settings import FinetuneSettings, FinetuneTraining, RoundSettings
from genesis_core.training.round_chain import Round as Round
from genesis_core.training.round_chain import chain_of, finetuning_of, frozen_cases
from genesis_core.training.round_chain import rounds_of as rounds_of
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.settings import DEFAULT_STEPS

# What a continued run shares with the one before it: its weights, and its figures, fit no other.
_KEPT = (
    "data.names", "data.structures", "data.regions", "data.modality", "data.axis_codes", "data.spacing",
    "data.intensity", "sampling.patch_size", "activation", "folds", "cases",
)  # fmt: skip
_GROUPS = ("data", "sampling", "augmentation", "freezing", "training")
# Going on from a trained model takes this part of a whole training's steps.
_SHARE = 0.25


def next_round(
    previous: str | os.PathLike[str],
    corrected: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] | None,
    start: Literal["previous", "source"] = "previous",
    max_steps: int | None = None,
    max_hours: float | None = None,
) -> FinetuneSettings:
    """Return the settings of a run that continues the fine-tuning `previous`; nothing is written or trained.

    corrected: labelled folder whose cases join the training; None: the one `previous` had, if any. start: "previous"
    goes on from its models, "source" begins again as it began. max_steps, max_hours: budget; neither: a quarter of the
    steps of a whole training for "previous", all of them for "source".
    Raises RunError if `previous` is no fine-tuning, is being trained, or has no model for one of its folds.
    """
    rounds = RoundSettings(
        previous=Path(previous), start=start, corrected=None if corrected is None else Path(corrected)
    )
    training = FinetuneTraining(max_steps=max_steps, max_hours=max_hours)
    return continued(FinetuneSettings(rounds=rounds, training=training, out=None if out is None else Path(out)))


def continued(given: FinetuneSettings) -> FinetuneSettings:
    """Return settings with `rounds` completed from the run before; others, and those of a planned run, as they are.

    What is not given is that run's. Raises SettingsError if something is given that has to stay as it was, or that
    contradicts `rounds.start`, and RunError as `next_round` does.
    """
    from genesis_core.model.card import read_card

    if given.rounds is None or given.plan:
        return given
    if given.twins:
        _refuse_twins(given)
    run = RunFolder.open(given.rounds.previous)
    stored = finetuning_of(run)
    if run.status().is_alive:
        raise RunError(f"{run.path} is being trained now; continue it when it has finished, or stop it first")
    card = read_card(models_of(run, stored)[0] / "model.yaml")
    names = tuple(entry.name for entry in card.structures)
    if stored.data.regions:
        names = stored.data.structures or tuple(dict.fromkeys(n for part in stored.data.regions.values() for n in part))
    intensity = stored.data.intensity or (card.preprocessing.intensity if card.preprocessing else None)
    data = stored.data.model_copy(update={"structures": names, "intensity": intensity})
    kept = stored.model_copy(update={"data": data, "cases": None, "folds": len(frozen_cases(run, stored))})
    _refuse_changes(given, kept, run)
    update: dict[str, Any] = {
        group: getattr(kept, group).model_copy(update=_changes(getattr(given, group), f"{group}.")) for group in _GROUPS
    }
    update |= {
        name: value
        for name, value in _changes(given).items()
        if name not in (*_GROUPS, "network", "plan", "schema_version", "task")
    }
    rounds = _placed(given.rounds, stored)
    update |= {"rounds": rounds, "plan": {}, "out": given.out, "resume": given.resume, "twins": given.twins}
    steps, hours = given.training.max_steps, given.training.max_hours
    if steps is None and hours is None:
        steps = default_steps(rounds)
    update["training"] = update["training"].model_copy(update={"max_steps": steps, "max_hours": hours})
    if rounds.start == "previous" and update["freezing"].freeze == "warmup":
        # Every layer comes from the run before: none is new, and to wait for that one would train nothing.
        update["freezing"] = update["freezing"].model_copy(update={"freeze": "nothing"})
    return kept.model_copy(update=update)


def refuse_twins(run: RunFolder) -> None:
    """Raise SettingsError if a run goes on from another's models, which no twin from scratch can be compared with."""
    _refuse_twins(finetuning_of(run))


def _refuse_twins(settings: FinetuneSettings) -> None:
    if settings.rounds is not None and settings.rounds.start == "previous":
        raise SettingsError(
            "twins tell whether a source helped; a run that goes on from another's models has learnt from its cases "
            "already. Say --start source, or leave the twins out"
        )


def default_steps(rounds: RoundSettings) -> int:
    """Return how many steps a round has that names no budget: all of a whole training, or a quarter of it."""
    whole = whole_steps(rounds.previous)
    return whole if rounds.start == "source" else max(1, round(_SHARE * whole))


def whole_steps(run: Path) -> int:
    """Return the steps of the newest run in the chain that did not go on from another's models."""
    steps = DEFAULT_STEPS
    for folder, settings in chain_of(run):
        first = folder if settings.training.max_steps else RunFolder(folder.path / "folds" / "0")
        own = finetuning_of(first).training.max_steps if first.is_run else None
        steps = own or steps
        if settings.rounds is None or settings.rounds.start == "source":
            break
    return steps


def models_of(run: RunFolder, settings: FinetuneSettings) -> tuple[Path, ...]:
    """Return the model folder of every fold, in their order. Raises RunError if one has none yet."""
    folders = [run.path]
    if settings.cases is None:
        folders = [run.path / "folds" / str(number) for number in range(settings.folds or 1)]
    lacking = [number for number, folder in enumerate(folders, 1) if not (folder / "model" / "model.yaml").is_file()]
    if lacking:
        which = "it has" if len(folders) == 1 else f"{len(lacking)} of its {len(folders)} folds have"
        raise RunError(
            f"{run.path} ({run.status().word}): {which} no model yet, so there is nothing to continue from; resume it "
            f"first: napari-genesis finetune --resume --out {shlex.quote(str(run.path))}"
        )
    return tuple(folder / "model" for folder in folders)


def _placed(rounds: RoundSettings, stored: FinetuneSettings) -> RoundSettings:
    """Return where the rounds' folders are, whatever folder the run is resumed from."""
    corrected = rounds.corrected
    if corrected is None and stored.rounds is not None:
        corrected = stored.rounds.corrected
    return rounds.model_copy(update={"corrected": corrected}).with_paths_from(Path.cwd())


def is_same_round(given: RoundSettings, stored: RoundSettings) -> bool:
    """Whether two settings continue the same run, in the same way, with the same folder, however that is written."""
    places = [(given.previous, stored.previous)]
    if given.corrected is not None:
        places.append((given.corrected, stored.corrected or Path()))
    same = all(os.path.realpath(one) == os.path.realpath(other) for one, other in places)
    return same and given.start == stored.start


def _changes(given: Any, prefix: str = "") -> dict[str, Any]:
    """Return what was set, by name, but for what is kept."""
    return {name: getattr(given, name) for name in given.model_fields_set if prefix + name not in _KEPT}


def _refuse_changes(given: FinetuneSettings, kept: FinetuneSettings, run: RunFolder) -> None:
    plain = FinetuneSettings()
    changed = [
        key
        for key in _KEPT
        if given.is_given(key) and _lookup(given, key) not in (None, _lookup(plain, key), _lookup(kept, key))
    ]
    if given.is_given("network"):
        changed += [
            f"network.{name}"
            for name in sorted(given.network.model_fields_set)
            if getattr(given.network, name) != getattr(kept.network, name, None)
        ]
    if changed:
        raise SettingsError(
            f"{', '.join(changed)} cannot be changed: a run that continues {run.path} has its structures, its "
            "preprocessing, its network and its held-out cases. Start a new run instead (without --continue)"
        )
    assert given.rounds is not None
    if given.rounds.start == "source" or given.source is None:
        return
    if kept.source is None or os.path.realpath(given.source) != os.path.realpath(kept.source):
        raise SettingsError(
            f"source = {given.source}: this run goes on from the models of {run.path}; to begin again from a source, "
            "say --start source"
        )


def _lookup(settings: Any, key: str) -> Any:
    for part in key.split("."):
        settings = getattr(settings, part)
    return settings
