"""Pre-training from a folder of unlabelled scans, the same for Python, the command line and the window.

It decides what the settings leave open (scans, split, modality, precision, threads, steps), writes that into run.yaml,
so that running it again reproduces the run, and hands the rest to the training loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis_core.errors import RunError, SettingsError
from genesis_core.settings import validate
from genesis_core.training.connecting import connected
from genesis_core.training.events import Event
from genesis_core.training.failures import named_failure
from genesis_core.training.patch_check import check_patch
from genesis_core.training.pretrain_settings import PretrainSettings, with_preset
from genesis_core.training.process_failures import cause_of, forget_notes
from genesis_core.training.processes import Processes
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import write_settings
from genesis_core.training.run_start import find_run
from genesis_core.training.saying import forward
from genesis_core.training.settings import DEFAULT_STEPS
from genesis_core.training.shortcuts import with_shortcuts
from genesis_core.training.stopping import StopRequest
from genesis_core.training.together import batch_in_words, in_turns, threads_here, with_processes
from genesis_core.training.verdict import against_collapse, never_better_than_the_mean

if TYPE_CHECKING:
    from torch import nn

    from genesis_core.proxy.restoration import RestorationTask
    from genesis_core.training.scan_data import ScanData

# Part of the time budget that is planned for steps; validations, checkpoints and slower moments take the rest.
_PLANNED_SHARE = 0.8
# Scans are prepared by the thousand; their progress is said this often.
_PREPARING_SECONDS = 1.0


def pretrain(
    scans: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] = "runs/pretrain",
    *,
    preset: str = "standard",
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    report: Callable[[Event], None] | None = None,
    stop: Callable[[], bool] | None = None,
    recipe: Any = None,
    seed: int | None = None,
    device: str | None = None,
    max_steps: int | None = None,
    max_hours: float | None = None,
    batch_size: int | None = None,
    patch_size: Any = None,
    width: int | None = None,
) -> RunFolder:
    """Pre-train a 3D U-Net on the scans of a folder and return the run.

    scans: a folder of unlabelled scans, searched recursively. out: the run's folder, new unless `resume`.
    settings: any setting by its nested name, as in run.yaml; the keywords below it are shortcuts and win.
    recipe: a `Recipe`, a preset's name or a file. patch_size: voxels (z, y, x). report: receives every event.
    stop: asked before each step; True stops with a checkpoint written.
    Raises SettingsError, VolumeError, SamplingError, TrainingError, RunError, OutputExistsError.
    Source: Zhou et al. 2021, sec. 3.1.
    """
    shortcuts = {
        "data.scans": None if scans is None else Path(scans),
        "out": Path(out),
        "resume": "yes" if resume else None,
        "recipe": recipe,
        "seed": seed,
        "device": device,
        "training.max_steps": max_steps,
        "training.max_hours": max_hours,
        "training.batch_size": batch_size,
        "sampling.patch_size": patch_size,
        "network.width": width,
    }
    values = with_shortcuts(with_preset(preset, dict(settings or {})), shortcuts)
    return run_pretraining(validate(PretrainSettings, values, where="pretrain"), report=report, stop=stop)


def run_pretraining(
    settings: PretrainSettings,
    *,
    report: Callable[[Event], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> RunFolder:
    """Run, or go on with, the pre-training of `settings`; see `pretrain`. torchrun or srun may have started several."""
    with connected(settings.device) as processes:
        return _run(settings, processes, report if processes.is_main else None, stop)


def _run(
    settings: PretrainSettings,
    processes: Processes,
    report: Callable[[Event], None] | None,
    stop: Callable[[], bool] | None,
) -> RunFolder:
    def found() -> tuple[bool, PretrainSettings, bool]:
        run, own, done = find_run(settings, report)
        return run is not None, own, done

    resume, settings, done = processes.on_main(found)
    assert settings.out is not None
    run = RunFolder(settings.out, writes=processes.is_main)
    if done:
        return run
    settings = settings.model_copy(update={"data": settings.data.with_mapped_paths()})
    # Anything that is wrong with the input shows before a folder is made.
    _check(settings, run if resume else None)
    begun = resume and processes.share((run.checkpoints / "last.pt").exists())
    processes.on_main(lambda: with_processes(settings.training, processes, begun=begun))
    processes.on_main(lambda: _begin(run, settings, resume=resume))
    for folder, word in ((settings.data.cache, "(cache)"), (settings.data.scans, "(scans)"), (run.path, "(run)")):
        run.discretion.learn_folder(folder, word)
    try:
        with StopRequest(run.stop_file, stop) as request:
            data = _prepare(run, settings, processes, request, report)
            if data is None:
                message = f"asked to stop ({request.reason}) while the scans were prepared"
                run.set_status("stopped", run.status().step, settings.training.max_steps, message)
                return run
            return _train(run, settings, data, request, processes, begun=begun, report=report)
    except BaseException as problem:
        error = named_failure(cause_of(problem, processes, run), settings.training)
        run.note_failure(settings.training.max_steps, str(error) or "interrupted before the training began")
        if error is problem:
            raise
        raise error from problem
    finally:
        run.close()


def _begin(run: RunFolder, settings: PretrainSettings, *, resume: bool) -> None:
    """Make the run's folder, or clear it of what an earlier attempt left; say that it runs."""
    if not resume:
        RunFolder.create(run.path)
        write_settings(run, settings)
    run.forget_stop()
    forget_notes(run)
    run.set_status("running", run.status().step, settings.training.max_steps)


def _prepare(
    run: RunFolder,
    settings: PretrainSettings,
    processes: Processes,
    request: StopRequest,
    report: Callable[[Event], None] | None,
) -> ScanData | None:
    from genesis_core.training.scan_data import prepare_scan_data

    say = forward(run, report)

    def prepare(own: PretrainSettings) -> ScanData | None:
        return prepare_scan_data(own, say, lambda: request.reason is not None, run.discretion.learn_scans)

    def resolve(data: ScanData) -> PretrainSettings:
        # The others use what the first one decided, and find the scans prepared.
        return settings.model_copy(update={"data": data.settings, "cases": data.cases})

    return in_turns(processes, prepare, settings, resolve)


def _train(
    run: RunFolder,
    settings: PretrainSettings,
    data: ScanData,
    request: StopRequest,
    processes: Processes,
    *,
    begun: bool,
    report: Callable[[Event], None] | None,
) -> RunFolder:
    import torch

    from genesis_core.networks.registry import create_network
    from genesis_core.training.corruption_engine import choose_engine
    from genesis_core.training.hardware import resolve_precision
    from genesis_core.training.loop import Training

    device = str(processes.device(settings.device))
    training = with_processes(settings.training, processes, begun=begun)
    torch.set_num_threads(threads_here(training, processes))
    precision = processes.share(resolve_precision(training.precision, device))
    training = training.model_copy(update={"precision": precision})
    engine = choose_engine(settings.corrupt_on, settings.recipe, device, begun=begun)
    settings = settings.model_copy(update={"corrupt_on": engine.corrupt_on})
    task = _make_task(settings, data)
    network = create_network(settings.network, seed=settings.seed).to(device)
    check_patch(network, 1, settings.sampling.patch_size)
    loop = Training(
        task,
        network,
        training,
        run,
        seed=settings.seed,
        device=device,
        save_model=lambda trained, figures: _save_model(run, settings, data, trained, figures),
        report=report,
        last_words=lambda: never_better_than_the_mean(run),
        processes=processes,
    )
    if training.max_steps is None:
        training = training.model_copy(update={"max_steps": _plan_steps(loop, training.max_hours)})
        loop.plan(training)
    assert training.max_steps is not None
    write_settings(run, settings.model_copy(update={"training": training, "data": data.settings, "cases": data.cases}))
    loop.emit("corrupting", step=0, corrupt_on=engine.corrupt_on, message=engine.message)
    if shared := batch_in_words(training, processes, getattr(settings.network, "norm", "instance")):
        loop.emit("processes", step=0, processes=processes.count, message=shared)
    for message in (*([engine.note] if engine.note else ()), *task.notes, *_fallback_warning(task, settings)):
        loop.emit("warning", step=0, message=message)
    loop.train(training.max_steps, request, resume=begun)
    return run


def _make_task(settings: PretrainSettings, data: ScanData) -> RestorationTask:
    from genesis_core.proxy.restoration import RestorationTask
    from genesis_core.sampling.sampler import Sampler

    return RestorationTask(
        settings.recipe,
        Sampler(data.training, settings.sampling, settings.seed),
        Sampler(data.validation, settings.sampling, settings.seed) if data.validation else None,
        seed=settings.seed,
        loss=settings.loss,
        loss_region=settings.loss_region,
        validation_samples=settings.validation_samples,
        batch_size=settings.training.batch_size,
        corrupt_on="device" if settings.corrupt_on == "device" else "cpu",
        remedies=against_collapse(settings),
    )


def _plan_steps(loop: Any, max_hours: float | None) -> int:
    """Return how many steps the schedule shall span: as many as the time budget allows, by timing a few."""
    if max_hours is None:
        return DEFAULT_STEPS
    seconds = loop.seconds_per_step()
    steps = max(1, int(max_hours * 3600 * _PLANNED_SHARE / seconds))
    loop.emit("planned", step=0, steps=steps, seconds_per_step=round(seconds, 4))
    return steps


def _fallback_warning(task: RestorationTask, settings: PretrainSettings) -> list[str]:
    if not task.validation_fallbacks:
        return []
    return [
        f"{task.validation_fallbacks} of the {settings.validation_samples} validation sub-volumes are a last resort: "
        f"no acceptable one was found in {settings.sampling.max_tries} tries"
    ]


def _check(settings: PretrainSettings, run: RunFolder | None) -> None:
    scans = settings.data.scans
    if scans is None:
        raise SettingsError("no scans: name the folder of unlabelled scans to train on")
    if run is not None and not scans.exists():
        raise RunError(
            f"{scans.absolute()}: the scans of {run.path} are not here (on this machine). Say where they are: "
            f"--set data.scans=FOLDER, or map folders: --set data.path_map={scans.absolute().parent}=FOLDER"
        )
    network = settings.network
    if network.in_channels != 1 or network.out_channels != 1 or network.dims != 3:
        raise SettingsError("restoration needs a network with dims=3, in_channels=1 and out_channels=1")


def _save_model(
    run: RunFolder, settings: PretrainSettings, data: ScanData, network: nn.Module, figures: dict[str, float]
) -> None:
    from genesis_core.model.card import ModelCard
    from genesis_core.model.folder import save_model

    card = ModelCard(
        name=run.name,
        task="restoration",
        network=settings.network,
        activation="sigmoid",
        preprocessing=data.preprocessing,
        patch_size=settings.sampling.patch_size,
        loss=settings.loss if settings.loss_region == "everywhere" else f"{settings.loss} where voxels were replaced",
        recipe=settings.recipe.to_dict(),
        data={
            "modality": data.preprocessing.modality,
            "training_scans": len(data.training),
            "validation_scans": len(data.validation),
            # What fine-tuning compares its held-out scans with, to say aloud if this training saw them.
            "seen": sorted(scan.fingerprint for scan in data.training),
        },
        metrics=figures,
    )
    save_model(run.model, network, card)
