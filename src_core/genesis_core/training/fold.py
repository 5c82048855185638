"""One training of a fine-tuning: network, transfer, loop, and then the Dice of whole held-out scans."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from genesis_core.durations import duration
from genesis_core.training.events import Event
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.held_out import FILE, means, read_scores, score_held_out, write_scores
from genesis_core.training.parameter_groups import parameter_groups
from genesis_core.training.patch_check import check_patch
from genesis_core.training.prepared_set import PreparedSet
from genesis_core.training.pretrain_settings import Cases
from genesis_core.training.processes import ALONE, Processes
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import write_settings
from genesis_core.training.saying import forward
from genesis_core.training.settings import DEFAULT_STEPS
from genesis_core.training.stopping import StopRequest
from genesis_core.training.together import batch_in_words, threads_here, with_processes

if TYPE_CHECKING:
    from torch import nn

    from genesis_core.training.loop import Training
    from genesis_core.training.stepping import Groups
    from genesis_core.training.transfer import TransferReport

# Steps timed before a training, and the part of a time budget its steps may plan for: the rest is validation.
_TIMED, _PLANNED_SHARE = 20, 0.8


def train_fold(
    run: RunFolder,
    prepared: PreparedSet,
    number: int,
    request: StopRequest,
    report: Callable[[Event], None] | None,
    *,
    resume: bool,
    alive: Callable[[int], None] | None = None,
    processes: Processes = ALONE,
) -> None:
    """Train fold `number` in `run`, then score its held-out cases; the run's status says how it ended.

    alive: called with the step again and again while it works, also between two events. processes: those that train it
    together; the first one scores, while the others wait.
    """
    import torch

    from genesis_core.sampling.labelled_sampler import LabelledSampler
    from genesis_core.targets.segmentation import SegmentationTask
    from genesis_core.training.hardware import resolve_precision
    from genesis_core.training.loop import Training

    cases, start = prepared.splits[number], prepared.start
    settings = processes.on_main(lambda: _fold_settings(run, prepared, cases, resume))
    # Without it a fold that is killed in its first moments would be no run that can go on.
    write_settings(run, settings)
    say = forward(run, report)
    begun = resume and processes.share((run.checkpoints / "last.pt").exists())
    training = with_processes(settings.training, processes, begun=begun)
    torch.set_num_threads(threads_here(training, processes))
    precision = processes.share(resolve_precision(training.precision, start.device))
    training = training.model_copy(update={"precision": precision})
    seed = settings.seed + number
    samplers = [
        LabelledSampler([prepared.cached[name] for name in names], settings.sampling, seed) if names else None
        for names in (cases.training, cases.validation)
    ]
    assert samplers[0] is not None
    task = SegmentationTask(
        prepared.target,
        samplers[0],
        samplers[1],
        settings.augmentation,
        seed=seed,
        validation_samples=settings.validation_samples,
        batch_size=training.batch_size,
    )
    network, groups = _network(settings, prepared, number, say, first=not begun)
    network.to(start.device)
    check_patch(network, settings.network.in_channels, settings.sampling.patch_size)
    loop = Training(
        task,
        network,
        training,
        run,
        seed=seed,
        device=start.device,
        save_model=lambda trained, figures: _save_model(run, settings, prepared, number, trained, figures),
        report=report,
        groups=groups,
        processes=processes,
    )
    if not begun or training.max_steps is None:
        training = training.model_copy(update={"max_steps": _steps(loop, training.max_steps, training.max_hours)})
        loop.plan(training)
    assert training.max_steps is not None
    write_settings(run, settings.model_copy(update={"training": training, "cases": cases}))
    if shared := batch_in_words(training, processes, getattr(settings.network, "norm", "instance")):
        loop.emit("processes", step=0, processes=processes.count, message=shared)
    for message in task.notes if not begun else ():
        loop.emit("warning", step=0, message=message)
    outcome = loop.train(training.max_steps, request, resume=begun)

    def score() -> None:
        if read_scores(run.path / FILE) is None:
            # A run whose scans are still being scored is not finished: whoever watches it would look too early.
            run.set_status("running", outcome.progress.step, training.max_steps, "segmenting the held-out cases")
            _score(run, settings.model_copy(update={"training": training}), prepared, cases, request, say, alive)

    if outcome.state == "finished" and cases.validation:
        processes.on_main(score)


def _fold_settings(run: RunFolder, prepared: PreparedSet, cases: Cases, resume: bool) -> FinetuneSettings:
    from genesis_core.training.run_settings import read_settings

    training = prepared.settings.training
    if resume and run.is_run:
        stored = read_settings(run)
        assert isinstance(stored, FinetuneSettings)
        # Steps were planned by timing; timing again would plan others.
        training = stored.training
    hours = prepared.settings.training.max_hours
    share = None if hours is None else hours / len(prepared.splits)
    training = training.model_copy(update={"max_hours": share})
    return prepared.settings.model_copy(update={"cases": cases, "folds": 1, "training": training})


def _network(
    settings: FinetuneSettings, prepared: PreparedSet, number: int, say: Any, *, first: bool
) -> tuple[nn.Module, Groups | None]:
    """Build the network and put the source's weights into it; return it and how its parameters are grouped."""
    from genesis_core.networks.initialisation import initialise
    from genesis_core.networks.registry import create_network
    from genesis_core.training.transfer import start_from

    seed = settings.seed + number
    network = create_network(settings.network, seed=seed)
    initialise(network, settings.initialisation, seed)
    source = prepared.start.source
    if prepared.start.models:
        done, sentence = _go_on(network, prepared, number)
    elif source is None:
        return network, None
    else:
        learnt = source.card.learnt
        part = learnt if settings.transfer == "auto" or learnt == "encoder" else settings.transfer
        done = start_from(network, source, part)
        sentence = done.sentence(f"model '{source.card.name}'")
        if learnt == "encoder" and settings.transfer != "encoder":
            sentence += " The source has learnt its encoder alone: its decoder is no better than a fresh one."
    if first:
        say("transfer", {"step": 0, "message": sentence}, None)
    freezing = settings.freezing
    if freezing.freeze == "nothing" and freezing.layer_decay == 1:
        return network, None
    transferred = frozenset((*done.taken, *done.inflated))
    return network, lambda one, steps: parameter_groups(one, freezing, transferred, steps)


def _go_on(network: nn.Module, prepared: PreparedSet, number: int) -> tuple[TransferReport, str]:
    """Put all weights of fold `number` of the run before into the network; another fold's saw what is held out here."""
    from genesis_core.model.folder import load_model
    from genesis_core.training.transfer import go_on_from

    folder, card = prepared.start.models[number], prepared.start.cards[number]
    done = go_on_from(network, load_model(folder))
    which = f"model '{card.name}'" if len(prepared.splits) == 1 else f"the model of fold {number + 1}"
    step = f", its state of step {card.metrics['step']:.0f}" if "step" in card.metrics else ""
    assert prepared.settings.rounds is not None
    run = prepared.settings.rounds.previous.resolve().name
    return done, (
        f"all {len(done.taken)} tensors go on from {which} of {run}{step}, the last layer included; the optimiser "
        "starts afresh, and the learning rate is warmed up again"
    )


def _steps(loop: Training, steps: int | None, hours: float | None) -> int:
    """Time a few steps, say what the training will take, and return how many it has."""
    seconds = loop.seconds_per_step(min(_TIMED, steps or _TIMED))
    if steps is None:
        steps = DEFAULT_STEPS if hours is None else max(1, int(hours * 3600 * _PLANNED_SHARE / seconds))
    loop.emit(
        "planned",
        step=0,
        steps=steps,
        seconds_per_step=round(seconds, 4),
        message=f"{steps} steps at {seconds:.2f} s: about {duration(steps * seconds)}, and a little more to validate",
    )
    return steps


def _score(
    run: RunFolder,
    settings: FinetuneSettings,
    prepared: PreparedSet,
    cases: Cases,
    request: StopRequest,
    say: Any,
    alive: Callable[[int], None] | None,
) -> None:
    """Segment the held-out scans whole, write their Dice, and put its mean into the model card."""
    from genesis_core.inference.sliding_window import Stopped
    from genesis_core.model.folder import load_model, save_model

    model = load_model(run.model, prepared.start.device)
    step, total = run.status().step, settings.training.max_steps

    def asked_to_stop() -> bool:
        # One scan may take minutes, and a run without a sign of life counts as lost elsewhere.
        run.heartbeat(step, total)
        if alive is not None:
            alive(step)
        return request.reason is not None

    try:
        held_out = score_held_out(
            model,
            [prepared.cases[name] for name in cases.validation],
            prepared.target,
            prepared.found.structures,
            device=prepared.start.device,
            precision=settings.training.precision,
            report=lambda case, dice: say(
                "held_out", {"step": step, "case": case, "dice": dice}, f"{prepared.cases[case].name} ({case})"
            ),
            stop=asked_to_stop,
        )
    except Stopped:
        message = f"asked to stop ({request.reason}) while the held-out cases were segmented"
        run.set_status("stopped", step, total, message)
        return
    figures = {f"held_out_{name}": value for name, value in means(held_out.scores).items()}
    card = model.card.model_copy(update={"metrics": {**model.card.metrics, **figures}})
    save_model(run.model, model.network, card)
    write_scores(run.path / FILE, held_out)
    say("scores", {"step": step, "cases": len(held_out.scores), **means(held_out.scores)}, None)
    run.set_status("finished", step, total, "trained, and scored on the held-out cases")


def _save_model(
    run: RunFolder,
    settings: FinetuneSettings,
    prepared: PreparedSet,
    number: int,
    network: nn.Module,
    figures: dict[str, float],
) -> None:
    from genesis_core.model.card import LabelEntry, ModelCard
    from genesis_core.model.folder import save_model

    source, cases = prepared.start.card_of(number), prepared.splits[number]
    facts = prepared.found.facts
    seen = {"seen": source.data["seen"]} if source is not None and "seen" in source.data else {}
    card = ModelCard(
        name=run.name,
        task="segmentation",
        network=settings.network,
        activation=prepared.target.activation,
        preprocessing=prepared.preprocessing,
        patch_size=settings.sampling.patch_size,
        channels=facts.channels,
        left_words=settings.augmentation.left_words,
        right_words=settings.augmentation.right_words,
        structures=tuple(
            LabelEntry(name=one.name, value=one.value, colour=one.colour) for one in prepared.target.outputs
        ),
        loss="soft Dice + cross-entropy",
        data={
            "modality": facts.modality,
            "training_cases": len(cases.training),
            "validation_cases": len(cases.validation),
            "subjects": facts.subjects,
            "subjects_by_part": _subjects_by_part(prepared, cases),
            "spacing_range": [
                [min(axis) for axis in zip(*facts.spacings, strict=True)],
                [max(axis) for axis in zip(*facts.spacings, strict=True)],
            ],
            "percentiles": facts.percentile_ranges,
            **seen,
        },
        metrics=figures,
        source=None if source is None else source.origin,
        source_licence=None if source is None else source.licences,
    )
    save_model(run.model, network, card)


def _subjects_by_part(prepared: PreparedSet, cases: Cases) -> dict[str, int]:
    """Return how many people train, and how many are held out."""
    parts = {"training": cases.training, "validation": cases.validation}
    return {part: len({prepared.cases[name].subject for name in names}) for part, names in parts.items()}
