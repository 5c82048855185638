"""A fine-tuning before its first step: the set is looked at, the plan made and written down, cases cached and split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genesis_core.sampling.labelled_cache import CachedCase
from genesis_core.sampling.labelled_preparing import prepare_cases
from genesis_core.targets.segmentation_target import Region, Target, choose_activation, without_ignored
from genesis_core.training.continuing import as_in_card, freeze, refuse_missing, round_plan
from genesis_core.training.events import Event
from genesis_core.training.finetune_plan import Given, Plan, make_plan
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.labelled_data import LabelledSet, look_at_set
from genesis_core.training.pretrain_settings import Cases
from genesis_core.training.round_chain import read_round, write_round
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import write_settings
from genesis_core.training.saying import Say, forward
from genesis_core.training.source_remarks import seen_before, source_remarks
from genesis_core.training.starting_point import Start as Start
from genesis_core.training.starting_point import network_from
from genesis_core.training.starting_point import starting_point as starting_point
from genesis_core.volumes.labelled.case import Case
from genesis_core.volumes.labelled.split_file import write_split
from genesis_core.volumes.labelled.splitting import Split, split_cases
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.scans import Scan

if TYPE_CHECKING:
    from genesis_core.model.card import ModelCard

SPLIT = "split.json"
_AS_SCANNED = "as scanned"


@dataclass(frozen=True, eq=False)
class PreparedSet:
    """Everything the folds share. settings: as planned. cached: prepared cases by pseudonym. splits: per fold.

    cases: the cases themselves, by pseudonym.
    """

    settings: FinetuneSettings
    start: Start
    found: LabelledSet
    target: Target
    preprocessing: Preprocessing
    cached: dict[str, CachedCase]
    cases: dict[str, Case]
    splits: tuple[Cases, ...]


def plan_set(
    settings: FinetuneSettings, start: Start, say: Say, should_stop: Callable[[], bool]
) -> tuple[FinetuneSettings, LabelledSet, Plan | None] | None:
    """Look at the set and return the settings with everything decided, and the plan (None: it was made before)."""
    found = look_at_set(settings, say, should_stop)
    if found is None:
        return None
    if settings.rounds is not None and not settings.data.regions:
        found = as_in_card(found, start.structures)
    if settings.plan:
        return settings, found, None
    if settings.rounds is not None:
        plan, frozen = round_plan(settings, found, start)
        for message, said in frozen.remarks:
            say("warning", {"step": 0, "message": message}, said)
        plan.reasons["data.structures"] = _structures_in_words(found)
        return settings.model_copy(update={"plan": dict(plan.reasons)}), found, plan
    card = None if start.source is None else start.source.card
    plan = make_plan(found.facts, start.machine, _given(settings), card, settings.network)
    return _planned(settings, found, plan, start), found, plan


def prepare_set(
    run: RunFolder,
    settings: FinetuneSettings,
    start: Start,
    report: Callable[[Event], None] | None,
    should_stop: Callable[[], bool],
) -> PreparedSet | None:
    """Check, plan, cache and split; what was decided is written into the run. None if `should_stop` said so.

    Raises as `look_at_set`, `prepare_cases` and `split_cases` do, and RunError if a case of a resumed run is gone.
    """
    say = forward(run, report)
    planned = plan_set(settings, start, say, should_stop)
    if planned is None:
        return None
    settings, found, plan = planned
    _be_discreet(run, settings, found)
    if plan is not None:
        say("plan", {"step": 0, "reasons": plan.reasons}, None)
        for message in (*plan.warnings, *source_remarks(found, start)):
            say("warning", {"step": 0, "message": message}, None)
    preprocessing = settings.data.preprocessing(found.facts.modality)
    prepared, problems = prepare_cases(
        found.cases,
        found.structures,
        preprocessing,
        settings.data.cache,
        progress=lambda done, total, _id: say("preparing", {"done": done, "total": total}, None),
        should_stop=should_stop,
    )
    if should_stop():
        return None
    for case, reason in problems:
        text = f"is left out: {reason.removeprefix(f'{case.id}: ')}"
        say("warning", {"step": 0, "message": f"{case.id} {text}"}, f"{case.name} ({case.id}) {text}")
    cached = {case.id: case for case in prepared}
    cases = {case.id: case for case in found.cases if case.id in cached}
    target, why = _target(settings, found, prepared)
    network = settings.network.model_copy(
        update={"in_channels": len(prepared[0].images), "out_channels": target.out_channels}
    )
    update = {"network": network, "activation": target.activation, "plan": {**settings.plan, "activation": why}}
    settings = settings.model_copy(update=update)
    splits = _splits(run, settings, found, cases, say)
    if len(splits) == 1:
        settings = settings.model_copy(update={"cases": splits[0]})
    write_settings(run, settings)
    for message in seen_before(found, start, {name for split in splits for name in split.validation}):
        say("warning", {"step": 0, "message": message}, None)
    counted = (
        f"{len(cases)} cases of {found.facts.subjects} subjects to learn {', '.join(o.name for o in target.outputs)}"
    )
    message = f"{counted}. {preprocessing.describe()} {why}"
    say("prepared", {"cases": len(cases), "left_out": len(found.check.left_out), "message": message}, None)
    return PreparedSet(settings, start, found, target, preprocessing, cached, cases, splits)


def _be_discreet(run: RunFolder, settings: FinetuneSettings, found: LabelledSet) -> None:
    """Let the run write pseudonyms where file names would stand."""
    run.discretion.learn_folder(settings.data.cache, "(cache)")
    run.discretion.learn_folder(settings.data.labelled, "(cases)")
    if settings.rounds is not None:
        run.discretion.learn_folder(settings.rounds.corrected, "(corrected cases)")
        run.discretion.learn_folder(settings.rounds.previous, "(run before)")
    run.discretion.learn_folder(run.path, "(run)")
    run.discretion.learn_scans(
        Scan(source.path, case.name, None, case.id)
        for case in found.check.folder.cases
        for source in (*case.images, *([part for _, part in case.label.parts] if case.label else []))
    )


def _given(settings: FinetuneSettings) -> Given:
    training, network, spacing = settings.training, settings.network, settings.data.spacing
    patch = settings.sampling.patch_size
    return Given(
        spacing=(spacing[0], spacing[1], spacing[2]) if isinstance(spacing, tuple) else spacing,
        patch=(patch[0], patch[1], patch[2]) if settings.is_given("sampling.patch_size") else None,
        width=getattr(network, "width", None) if settings.is_given("network.width") else None,
        norm=getattr(network, "norm", None) if settings.is_given("network.norm") else None,
        batch_size=training.batch_size if settings.is_given("training.batch_size") else None,
        steps=training.max_steps,
        hours=training.max_hours,
        folds=settings.folds if settings.cases is None else 1,
    )


def _planned(settings: FinetuneSettings, found: LabelledSet, plan: Plan, start: Start) -> FinetuneSettings:
    source = None if start.source is None else start.source.card
    data: dict[str, Any] = {"modality": found.facts.modality, "spacing": plan.spacing or _AS_SCANNED}
    if source is not None and source.preprocessing is not None:
        own, scans = source.preprocessing, found.facts.modality
        # A window is in its modality's units; a rule that is fitted to each scan serves any.
        if settings.data.intensity is None and (own.modality == scans or own.intensity.kind != "window"):
            data["intensity"] = own.intensity
            plan.reasons["data.intensity"] = "the source's: its weights were learnt on it."
        elif settings.data.intensity is None:
            plan.reasons["data.intensity"] = f"the usual of {scans.upper()}: the source's window is of other units."
        if not settings.is_given("data.axis_codes"):
            data["axis_codes"] = own.axis_codes
    plan.reasons["data.structures"] = _structures_in_words(found)
    if source is not None:
        plan.reasons["transfer"] = _transfer_in_words(settings, source)
    network = settings.network if source is None else network_from(source)
    update = {"width": plan.width, "norm": plan.norm} if plan.norm is not None else {"width": plan.width}
    network = network.model_copy(update={key: value for key, value in update.items() if hasattr(network, key)})
    training: dict[str, Any] = {"batch_size": plan.batch_size, "max_steps": plan.steps}
    if not settings.is_given("training.keep"):
        training["keep"] = plan.keep
    return settings.model_copy(
        update={
            "data": settings.data.model_copy(update=data),
            "network": network,
            "sampling": settings.sampling.model_copy(update={"patch_size": plan.patch}),
            "training": settings.training.model_copy(update=training),
            "folds": plan.folds,
            "plan": dict(plan.reasons),
        }
    )


def _structures_in_words(found: LabelledSet) -> str:
    """Say what is learnt, from how many cases, and where nobody looked for it."""
    records = {record.structure.name: record for record in found.check.structures}
    parts, partly = [], False
    for structure in without_ignored(found.structures):
        record = records[structure.name]
        partly |= record.looked_for < len(found.cases)
        parts.append(f"{structure.name} (drawn in {record.cases} of {record.looked_for} cases it was looked for in)")
    text = ", ".join(parts)
    if not partly:
        return f"{text}."
    everywhere = f"of {len(found.cases)} cases in all"
    return f"{text}; {everywhere}. Each is learnt where it was looked for and left open elsewhere (sigmoid)."


def _transfer_in_words(settings: FinetuneSettings, source: ModelCard) -> str:
    if settings.transfer == "encoder+decoder" and source.learnt == "encoder":
        return "encoder: the source has learnt no more, though you set encoder+decoder."
    if settings.transfer != "auto":
        return f"{settings.transfer}: as you set it."
    # Zhou et al. 2021, sec. 3.2; the experience is in benchmarks/RESULTS.md, "Does pre-training help?".
    return (
        "auto: all that the source has learnt but the last layer, as published. In short trainings the "
        "encoder alone has done better (--transfer encoder); --twins compares with no source at all."
    )


def _target(settings: FinetuneSettings, found: LabelledSet, prepared: list[CachedCase]) -> tuple[Target, str]:
    structures = without_ignored(found.structures)
    regions = tuple(Region(name, tuple(members)) for name, members in settings.data.regions.items())
    activation, why = choose_activation(
        structures,
        overlapping=any(case.layers > 1 for case in prepared),
        partially_labelled=any(not all(case.annotated) for case in prepared),
        regions=regions,
    )
    if settings.activation != "auto" and settings.activation != activation:
        same = "as you set it" if settings.rounds is None else "as in the run that this one continues"
        activation, why = settings.activation, f"{settings.activation}, {same}."
    return Target(structures, activation, regions), why


def draw_splits(settings: FinetuneSettings, found: LabelledSet, cases: Sequence[Case]) -> tuple[Split, ...]:
    """Return the split of a planned training, or one for each of its folds. Raises VolumeError as `split_cases`."""
    return split_cases(
        cases,
        contents=found.check.contents(),
        folds=settings.folds if settings.folds != 1 else None,
        validation_fraction=settings.data.validation_fraction,
        seed=settings.seed,
    )


def _splits(
    run: RunFolder, settings: FinetuneSettings, found: LabelledSet, cases: dict[str, Case], say: Say
) -> tuple[Cases, ...]:
    """Return which cases train and which are held out, per fold: as the run stored it, or decided now."""
    stored = read_round(run)
    if stored is None and settings.cases is not None:
        stored = (settings.cases,)
    if stored is not None:
        names = [name for split in stored for name in (*split.training, *split.validation)]
        refuse_missing(settings, names, cases)
        new = [name for name in cases.keys() - set(names) if cases[name].part != "test"]
        if new and settings.rounds is None:
            what = "1 case is" if len(new) == 1 else f"{len(new)} cases are"
            say(
                "warning",
                {"step": 0, "message": f"{what} new in the folder since this run began: not used by it"},
                None,
            )
        return stored
    if settings.rounds is not None:
        return write_round(run, settings, freeze(settings, found.check, cases).splits)
    members = tuple(cases.values())
    splits = draw_splits(settings, found, members)
    write_split(splits, run.path / SPLIT)
    drawn = tuple(
        Cases(
            training=tuple(case.id for case in split.cases_of("training", members)),
            validation=tuple(case.id for case in split.cases_of("validation", members)),
        )
        for split in splits
    )
    return write_round(run, settings, drawn)
