"""A run that continues another one, once its cases are known: who trains, who stays held out, and the reasons for both.

Whoever was held out in the first round is held out in every one, fold by fold; otherwise the Dice of two rounds could
not be compared, and a corrected case might teach the very scan it is measured on. Corrected cases only ever train.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from genesis_core.errors import RunError
from genesis_core.training.finetune_plan import Plan, step_memory
from genesis_core.training.pretrain_settings import Cases
from genesis_core.training.round_chain import finetuning_of, frozen_cases, is_corrected
from genesis_core.training.rounds import default_steps, whole_steps
from genesis_core.training.run_folder import RunFolder
from genesis_core.volumes.labelled.layout import some
from genesis_core.volumes.labelled.splitting import subject_id

if TYPE_CHECKING:
    from genesis_core.model.card import LabelEntry
    from genesis_core.training.finetune_settings import FinetuneSettings
    from genesis_core.training.labelled_data import LabelledSet
    from genesis_core.training.starting_point import Start
    from genesis_core.volumes.labelled.case import Case
    from genesis_core.volumes.labelled.check_records import LabelledCheck


@dataclass(frozen=True)
class Frozen:
    """Who trains and who is held out, per fold. joined: corrected cases that train in some fold, by pseudonym.

    remarks: what the user should know, by pseudonyms, each with the sentence for the person alone.
    """

    splits: tuple[Cases, ...]
    joined: tuple[str, ...]
    remarks: tuple[tuple[str, str], ...]


def freeze(settings: FinetuneSettings, check: LabelledCheck, cases: Mapping[str, Case]) -> Frozen:
    """Return the split of the run before, with the corrected cases in the training of every fold that may have them.

    check: of both sets. cases: usable ones, by pseudonym. A corrected case is left out of a fold in which its subject
    or its voxels are held out, and of all folds if they are set aside for the test.
    Raises RunError if a case of the run before is not among them.
    """
    assert settings.rounds is not None
    previous = RunFolder.open(settings.rounds.previous)
    before = frozen_cases(previous, finetuning_of(previous))
    known = [name for split in before for name in (*split.training, *split.validation)]
    # An accepted correction may have been taken back since; a case of the first round is what others are compared by.
    refuse_missing(settings, [name for name in known if not is_corrected(name)], cases)
    corrected = [name for name in cases if is_corrected(name)]
    met = _Met(check)
    tested = [name for name in corrected if met.touches(name, met.test)]
    allowed = [name for name in corrected if name not in tested]
    splits, left_out = [], []
    for number, split in enumerate(before, 1):
        held = [name for name in allowed if met.touches(name, split.validation)]
        left_out += [(number, name) for name in held]
        first = [name for name in split.training if not is_corrected(name)]
        training = (*first, *(name for name in allowed if name not in held))
        splits.append(Cases(training=training, validation=split.validation))
    remarks = [_left_out(names, numbers, len(before), cases) for numbers, names in _by_folds(left_out).items()]
    if tested:
        remarks.append(_told(tested, "left out: the set keeps their scan or subject for the test", cases))
    gone = {name for name in known if is_corrected(name)} - set(corrected)
    if gone:
        text = f"{len(gone)} corrected cases of the round before are not there any more, and no longer trained on"
        remarks.append((f"{text} ({some(sorted(gone))})", ""))
    new = [name for name, case in cases.items() if name not in known and not is_corrected(name)]
    if new:
        text = (
            "are new in the labelled folder, and no part of these rounds: put them into the folder of corrected cases "
            "to train on them"
        )
        remarks.append(_told(new, text, cases))
    joined = tuple(name for name in allowed if any(name in split.training for split in splits))
    return Frozen(tuple(splits), joined, tuple(remarks))


def refuse_missing(settings: FinetuneSettings, names: Sequence[str], cases: Collection[str]) -> None:
    """Raise RunError, naming their pseudonyms, if some of a run's cases are not there."""
    missing = list(dict.fromkeys(name for name in names if name not in cases))
    if missing:
        where = settings.data.labelled
        if all(is_corrected(name) for name in missing) and settings.rounds is not None:
            where = settings.rounds.corrected
        raise RunError(
            f"{where}: {len(missing)} of the run's cases are not there or no longer usable "
            f"({', '.join(missing[:3])}): put them back to go on with this run"
        )


class _Met:
    """Which cases share a subject or the voxels of a scan. test: those that the set keeps for the test."""

    def __init__(self, check: LabelledCheck) -> None:
        self._subjects: dict[str, set[str]] = {}
        self._prints: dict[str, set[str]] = {}
        for record in check.cases:
            self._subjects[record.id] = {record.subject}
            self._prints[record.id] = {one.fingerprint for one in record.channels if not one.is_constant}
        for case in check.usable_cases:
            # Subjects that share a scan are one.
            self._subjects[case.id].add(subject_id(case.subject))
        self.test = tuple(record.id for record in check.cases if record.part == "test")

    def touches(self, name: str, others: Collection[str]) -> bool:
        """Whether a case shares its subject or a scan with one of the others."""
        return any(
            self._subjects[name] & self._subjects.get(other, set())
            or self._prints[name] & self._prints.get(other, set())
            for other in others
        )


def as_in_card(found: LabelledSet, entries: Sequence[LabelEntry]) -> LabelledSet:
    """Return the set with the numbers and colours of a model's structures; labels are read by their own, as before."""
    known = {entry.name: entry for entry in entries}
    structures = tuple(
        replace(one, value=known[one.name].value, colour=known[one.name].colour or one.colour)
        if one.name in known
        else one
        for one in found.structures
    )
    values = {one.name: one.value for one in structures}
    listed = found.check.folder.structures
    if all(values.get(one.name, one.value) == one.value for one in listed):
        return replace(found, structures=structures)
    # The folder numbers its structures otherwise than when the rounds began.
    cases = tuple(
        case if case.numbering or is_corrected(case.id) else replace(case, numbering=listed) for case in found.cases
    )
    return replace(found, cases=cases, structures=structures)


def round_plan(settings: FinetuneSettings, found: LabelledSet, start: Start) -> tuple[Plan, Frozen]:
    """Return the plan of a round: all of it is the run before's, but for its steps; with reasons and warnings."""
    assert settings.rounds is not None
    rounds, training, data = settings.rounds, settings.training, settings.data
    name = rounds.previous.resolve().name
    frozen = freeze(settings, found.check, {case.id: case for case in found.cases})
    patch = settings.sampling.patch_size
    size = (patch[0], patch[1], patch[2])
    spacing = (data.spacing[0], data.spacing[1], data.spacing[2]) if isinstance(data.spacing, tuple) else None
    width = int(getattr(settings.network, "width", 0))
    held = {one for split in frozen.splits for one in split.validation}
    folds = len(frozen.splits)
    same = f"as in {name}, which this run continues."
    reasons = {
        "rounds.start": _start(settings, start, name),
        "rounds.corrected": _corrected(settings, frozen),
        "cases": (
            f"{len(held)} cases stay held out{' in the same folds' if folds > 1 else ''}, as in every round, so that "
            "the Dice of the rounds can be compared; corrected cases are only trained on."
        ),
        "data.spacing": f"{'none' if spacing is None else ' x '.join(f'{one:.3g}' for one in spacing) + ' mm'}: {same}",
        "sampling.patch_size": f"{','.join(map(str, size))} voxels: {same}",
        "network": f"{settings.network.kind}: {same}",
        "training.batch_size": f"{training.batch_size}: {same}",
        "training.max_steps": _steps(settings, name),
        "training.keep": f"{training.keep}: {same}",
        "folds": f"{folds}: {same}",
    }
    memory = step_memory(size, training.batch_size, width, start.machine.item, settings.network)
    warnings: tuple[str, ...] = ()
    if memory > start.machine.memory:
        warnings = (
            f"a step is estimated to take {memory / 1e9:.1f} GB, and {start.machine.memory / 1e9:.1f} GB are free: "
            "lower --batch-size, or close other programs",
        )
    plan = Plan(
        spacing=spacing,
        patch=size,
        width=width,
        norm=getattr(settings.network, "norm", None),
        batch_size=training.batch_size,
        steps=training.max_steps,
        folds=folds,
        keep=training.keep,
        memory=memory,
        reasons=reasons,
        warnings=warnings,
    )
    return plan, frozen


def _start(settings: FinetuneSettings, start: Start, name: str) -> str:
    if settings.rounds is not None and settings.rounds.start == "source":
        begun = "from scratch" if start.source is None else f"from model '{start.source.card.name}'"
        return f"source: begins again as {name} began, {begun}, with a whole schedule."
    training = settings.training
    each = "the model" if len(start.cards) == 1 else "the model of the same fold"
    falls = {"cosine": ", and falls to 0 as a cosine", "step": ", and is halved in steps", "constant": ", and stays"}
    return (
        f"previous: goes on from {each} of {name} ({training.keep} state), all layers, the last one included. Its "
        "schedule had ended, so this is a new one: the optimiser starts afresh, and the learning rate is warmed up to "
        f"{training.learning_rate:g} again{falls[training.schedule]}."
    )


def _corrected(settings: FinetuneSettings, frozen: Frozen) -> str:
    if settings.rounds is None or settings.rounds.corrected is None:
        return "none: no folder of corrected cases was named; it trains on the cases of the run before."
    count = len(frozen.joined)
    joins = "1 corrected case joins" if count == 1 else f"{count} corrected cases join"
    first = {one for split in frozen.splits for one in split.training} - set(frozen.joined)
    return f"{joins} the {len(first)} that trained before."


def _steps(settings: FinetuneSettings, name: str) -> str:
    assert settings.rounds is not None
    steps, hours = settings.training.max_steps, settings.training.max_hours
    if steps is None:
        return f"as many as fit into {hours:g} hours, by timing the first ones."
    if steps != default_steps(settings.rounds):
        return f"{steps}: as you set it."
    whole = whole_steps(settings.rounds.previous)
    if settings.rounds.start == "source":
        return (
            f"{steps}: as many as the whole training before {name} had."
            if whole != steps
            else f"{steps}: all of a whole training."
        )
    return f"{steps}: a quarter of the {whole} of a whole training, since nothing starts from scratch."


def _by_folds(left_out: Sequence[tuple[int, str]]) -> dict[tuple[int, ...], list[str]]:
    """Return the cases that are left out of the same folds, together."""
    folds: dict[str, tuple[int, ...]] = {}
    for number, name in left_out:
        folds[name] = (*folds.get(name, ()), number)
    grouped: dict[tuple[int, ...], list[str]] = {}
    for name, numbers in folds.items():
        grouped.setdefault(numbers, []).append(name)
    return grouped


def _left_out(names: Sequence[str], numbers: tuple[int, ...], count: int, cases: Mapping[str, Case]) -> tuple[str, str]:
    where = "" if count == 1 else f" of the training of fold {', '.join(map(str, numbers))}"
    return _told(names, f"left out{where}: their scan or subject is held out there", cases)


def _told(names: Sequence[str], text: str, cases: Mapping[str, Case]) -> tuple[str, str]:
    """Return a sentence on some cases by pseudonyms, and the same by the names that people know."""
    counted = f"{len(names)} case{'s' * (len(names) != 1)}"
    known = [cases[name].name for name in names if name in cases]
    return f"{counted} {text} ({some(list(names))})", f"{counted} {text} ({some(known)})"
