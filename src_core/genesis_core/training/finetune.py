"""Fine-tuning: a labelled folder in, a segmentation model out, planned from the data and honest about how good it is.

Under 20 subjects it is several trainings: every subject is held out once (folds), each case gets a figure from a model
that never saw it, and the models of all folds are applied together. The loop, the run folder and the resume are those
of pre-training; what differs is the task.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from genesis_core.atomic import write_text
from genesis_core.model.ensemble import ENSEMBLE
from genesis_core.settings import dump_yaml, validate
from genesis_core.training.connecting import connected
from genesis_core.training.events import Event
from genesis_core.training.failures import named_failure
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.fold import train_fold
from genesis_core.training.held_out import FILE, HeldOut, means, read_scores, write_scores
from genesis_core.training.labelled_data import find_set
from genesis_core.training.prepared_set import PreparedSet, Start, prepare_set, starting_point
from genesis_core.training.process_failures import cause_of, forget_notes
from genesis_core.training.processes import Processes
from genesis_core.training.round_chain import finetuning_of
from genesis_core.training.rounds import continued, is_same_round
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import write_settings
from genesis_core.training.run_start import find_run
from genesis_core.training.shortcuts import with_shortcuts
from genesis_core.training.stopping import StopRequest
from genesis_core.training.together import in_turns, with_processes

Reporter = Callable[[Event], None]


def finetune(
    labelled: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] = "run",
    *,
    source: str | os.PathLike[str] | None = None,
    previous: str | os.PathLike[str] | None = None,
    corrected: str | os.PathLike[str] | None = None,
    start: Literal["previous", "source"] | None = None,
    settings: dict[str, Any] | None = None,
    resume: bool = False,
    report: Reporter | None = None,
    stop: Callable[[], bool] | None = None,
    folds: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    max_steps: int | None = None,
    max_hours: float | None = None,
    batch_size: int | None = None,
    patch_size: Any = None,
    width: int | None = None,
) -> RunFolder:
    """Learn to segment what is drawn in a labelled folder, and return the run.

    labelled: a folder in any of the known layouts, or a table. out: the run's folder, new unless `resume`. source: a
    run or model to start from; None: from scratch. previous: a fine-tuning to continue, whose cases and held-out ones
    these are; corrected: labelled folder whose cases join the training; start: "previous" (its models) or "source" (as
    it began), see `rounds.next_round`. settings: any setting by its nested name, as in run.yaml; the
    keywords below are shortcuts and win. max_hours: for all folds together. patch_size: voxels (z, y, x).
    report: receives every event. stop: asked before each step; True stops with a checkpoint written.
    Raises SettingsError, VolumeError, SamplingError, ModelError, TrainingError, RunError, OutputExistsError.
    Source: Zhou et al. 2021, sec. 3.2 (fine-tuning all layers of encoder and decoder).
    """
    shortcuts = {
        "data.labelled": None if labelled is None else Path(labelled),
        "out": Path(out),
        "source": None if source is None else Path(source),
        "rounds.previous": None if previous is None else Path(previous),
        "rounds.corrected": None if corrected is None else Path(corrected),
        "rounds.start": start,
        "resume": "yes" if resume else None,
        "folds": folds,
        "seed": seed,
        "device": device,
        "training.max_steps": max_steps,
        "training.max_hours": max_hours,
        "training.batch_size": batch_size,
        "sampling.patch_size": patch_size,
        "network.width": width,
    }
    values = with_shortcuts(settings or {}, shortcuts)
    return run_finetuning(validate(FinetuneSettings, values, where="finetune"), report=report, stop=stop)


def run_finetuning(
    settings: FinetuneSettings, *, report: Reporter | None = None, stop: Callable[[], bool] | None = None
) -> RunFolder:
    """Run, or go on with, the fine-tuning of `settings`; see `finetune`. torchrun or srun may have started several."""
    with connected(settings.device) as processes:
        return _run(settings, processes, report if processes.is_main else None, stop)


def _run(
    settings: FinetuneSettings, processes: Processes, report: Reporter | None, stop: Callable[[], bool] | None
) -> RunFolder:
    def found() -> tuple[bool, FinetuneSettings, bool]:
        run, own, done = find_run(_as_stored(settings), report, is_scored)
        if not done:
            own = continued(own)
            # Anything that is wrong with the folder shows before a run folder is made.
            find_set(own)
        return run is not None, own, done

    resume, settings, done = processes.on_main(found)
    assert settings.out is not None
    run = RunFolder(settings.out, writes=processes.is_main)
    if done:
        return run
    start = _on(processes, settings, starting_point(settings))
    # All folds have batches of one size, also those that begin after a resume with other processes.
    made_for = processes.on_main(lambda: with_processes(settings.training, processes, begun=resume)).processes
    settings = settings.model_copy(update={"training": settings.training.model_copy(update={"processes": made_for})})
    processes.on_main(lambda: _begin(run, settings, resume=resume))
    try:
        with StopRequest(run.stop_file, stop) as request:
            prepared = in_turns(
                processes,
                lambda own: prepare_set(run, own, start, report, lambda: request.reason is not None),
                settings,
                lambda made: made.settings,
            )
            if prepared is None:
                message = f"asked to stop ({request.reason}) while the cases were prepared"
                run.set_status("stopped", run.status().step, settings.training.max_steps, message)
            elif len(prepared.splits) == 1:
                train_fold(run, prepared, 0, request, report, resume=resume, processes=processes)
            else:
                _train_folds(run, prepared, request, report, processes)
    except BaseException as problem:
        error = named_failure(cause_of(problem, processes, run), settings.training)
        run.note_failure(settings.training.max_steps, str(error) or "interrupted before the end")
        if error is problem:
            raise
        raise error from problem
    finally:
        run.close()
    return run


def _begin(run: RunFolder, settings: FinetuneSettings, *, resume: bool) -> None:
    """Make the run's folder, or clear it of what an earlier attempt left; say that it runs."""
    if not resume:
        RunFolder.create(run.path)
        write_settings(run, settings)
    run.forget_stop()
    forget_notes(run)
    run.set_status("running", run.status().step, settings.training.max_steps)


def _on(processes: Processes, settings: FinetuneSettings, start: Start) -> Start:
    """Return the start on this process's own device, and, on a CPU, with its share of the memory."""
    if processes.count == 1:
        return start
    device = processes.device(settings.device)
    share = processes.local_count if device.type == "cpu" else 1
    machine = replace(start.machine, memory=start.machine.memory // share)
    return replace(start, device=str(device), machine=machine)


def _as_stored(settings: FinetuneSettings) -> FinetuneSettings:
    """Return settings that name the round of the run in `out` as it does, if it is the same: then it can be resumed."""
    if settings.rounds is None or settings.out is None or settings.resume == "no":
        return settings
    run = RunFolder(settings.out)
    stored = finetuning_of(run).rounds if run.is_run else None
    same = stored is not None and is_same_round(settings.rounds, stored)
    return settings.model_copy(update={"rounds": stored}) if same else settings


def is_scored(run: RunFolder, settings: FinetuneSettings) -> bool:
    """Whether the held-out cases of a finished run have been segmented and compared, or there are none."""
    nobody = settings.folds == 1 and settings.cases is not None and not settings.cases.validation
    return nobody or read_scores(run.path / FILE) is not None


def _train_folds(
    run: RunFolder, prepared: PreparedSet, request: StopRequest, report: Reporter | None, processes: Processes
) -> None:
    """Train one model per fold, each in a run folder of its own, then list them as one ensemble."""
    count = len(prepared.splits)
    held_out = HeldOut({}, {})
    steps = 0
    for number in range(count):
        fold = RunFolder(run.path / "folds" / str(number), writes=processes.is_main)
        resume = processes.on_main(partial(_find_or_make, fold))
        event = run.write_event("fold", step=steps, fold=number + 1, folds=count, folder=f"folds/{number}")
        if report:
            report(event)

        def alive(step: int, before: int = steps) -> None:
            run.heartbeat(before + step, None)

        def told(event: Event, alive: Callable[[int], None] = alive) -> None:
            alive(int(event.get("step") or 0))
            if report:
                report(event)

        try:
            if not processes.on_main(partial(_is_done, fold, prepared, number)):
                train_fold(fold, prepared, number, request, told, resume=resume, alive=alive, processes=processes)
        finally:
            fold.close()
        status = processes.share(fold.status())
        steps += status.step
        if status.state != "finished":
            run.set_status("stopped", steps, None, f"fold {number + 1} of {count}: {status.message}")
            return
        held_out = held_out.joined(read_scores(fold.path / FILE) or HeldOut({}, {}))
    if not processes.is_main:
        return
    write_scores(run.path / FILE, held_out)
    write_text(run.path / ENSEMBLE, dump_yaml({"models": [f"folds/{number}/model" for number in range(count)]}))
    message = f"all {count} folds done"
    event = run.write_event("folds_finished", step=steps, folds=count, reason=message, **means(held_out.scores))
    if report:
        report(event)
    run.set_status("finished", steps, steps, message)


def _is_done(fold: RunFolder, prepared: PreparedSet, number: int) -> bool:
    """Whether a fold was trained and scored before: its model is the one that its figures are of."""
    scored = not prepared.splits[number].validation or read_scores(fold.path / FILE) is not None
    return fold.is_run and fold.status().state == "finished" and scored


def _find_or_make(fold: RunFolder) -> bool:
    """Make the folder of a fold that has not begun; return whether it had."""
    if fold.is_run:
        return True
    fold.path.parent.mkdir(exist_ok=True)
    RunFolder.create(fold.path)
    return False
