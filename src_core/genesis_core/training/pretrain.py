"""Pre-training from a folder of unlabelled scans, the same for Python, the command line and the window.

It decides what the settings leave open (scans, split, modality, precision, threads, steps), writes that into run.yaml,
so that running it again reproduces the run, and hands the rest to the training loop.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis_core.errors import NetworkError, RunError, SettingsError
from genesis_core.settings import validate
from genesis_core.training.events import Event
from genesis_core.training.pretrain_settings import PretrainSettings, with_preset
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import settings_to_resume, write_settings
from genesis_core.training.settings import DEFAULT_STEPS
from genesis_core.training.stopping import StopRequest

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
    values: dict[str, Any] = with_preset(preset, dict(settings or {}))
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
    for key, value in shortcuts.items():
        if value is not None:
            group, _, name = key.rpartition(".")
            target = values.setdefault(group, {}) if group else values
            target[name] = value
    return run_pretraining(validate(PretrainSettings, values, where="pretrain"), report=report, stop=stop)


def run_pretraining(
    settings: PretrainSettings,
    *,
    report: Callable[[Event], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> RunFolder:
    """Run, or go on with, the pre-training of `settings`; see `pretrain`."""
    if settings.out is None:
        raise SettingsError("no run folder: say where the run shall live, with --out")
    exists = RunFolder(settings.out).is_run
    resume = settings.resume == "yes" or (settings.resume == "auto" and exists)
    run = RunFolder.open(settings.out) if resume else None
    if run is not None:
        settings = settings_to_resume(run, settings)
        status = run.status()
        if status.state == "finished":
            if report:
                report({"event": "already_finished", "step": status.step, "message": status.message})
            return run
        if status.is_alive:
            raise RunError(f"{run.path} is being trained by process {status.pid} on {status.host}; stop it first")
    # Anything that is wrong with the input shows before a folder is made.
    _check(settings)
    from genesis_core.training.scan_data import prepare_scan_data

    if run is None:
        assert settings.out is not None
        run = RunFolder.create(settings.out)
        write_settings(run, settings)
    run.forget_stop()
    try:
        run.set_status("running", run.status().step, settings.training.max_steps)
        with StopRequest(run.stop_file, stop) as request:
            data = prepare_scan_data(settings, _forward(run, report), lambda: request.reason is not None)
            if data is None:
                message = f"asked to stop ({request.reason}) while the scans were prepared"
                run.set_status("stopped", run.status().step, settings.training.max_steps, message)
                return run
            return _train(run, settings, data, request, resume=resume, report=report)
    except BaseException as problem:
        if run.status().state == "running":
            message = str(problem) or "interrupted before the training began"
            run.set_status("failed", run.status().step, settings.training.max_steps, message)
        raise
    finally:
        run.close()


def _train(
    run: RunFolder,
    settings: PretrainSettings,
    data: ScanData,
    request: StopRequest,
    *,
    resume: bool,
    report: Callable[[Event], None] | None,
) -> RunFolder:
    import torch

    from genesis_core.inference.predictor import choose_device
    from genesis_core.networks.registry import create_network
    from genesis_core.training.hardware import resolve_precision, resolve_threads
    from genesis_core.training.loop import Training

    device = str(choose_device(settings.device))
    threads = settings.training.threads or resolve_threads()
    torch.set_num_threads(threads)
    training = settings.training.model_copy(
        update={"threads": threads, "precision": resolve_precision(settings.training.precision, device)}
    )
    task = _make_task(settings, data)
    network = create_network(settings.network, seed=settings.seed).to(device)
    _check_patch(network, settings)
    loop = Training(
        task,
        network,
        training,
        run,
        seed=settings.seed,
        device=device,
        save_model=lambda trained, figures: _save_model(run, settings, data, trained, figures),
        report=report,
    )
    if training.max_steps is None:
        training = training.model_copy(update={"max_steps": _plan_steps(loop, training.max_hours)})
        loop.settings = training
    assert training.max_steps is not None
    resolved = {"training": training, "data": data.settings, "cases": data.cases}
    write_settings(run, settings.model_copy(update=resolved))
    for message in (*task.notes, *_fallback_warning(task, settings)):
        loop.emit("warning", step=0, message=message)
    loop.train(training.max_steps, request, resume=resume)
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
        validation_samples=settings.validation_samples,
        batch_size=settings.training.batch_size,
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


def _check(settings: PretrainSettings) -> None:
    if settings.data.scans is None:
        raise SettingsError("no scans: name the folder of unlabelled scans to train on")
    network = settings.network
    if network.in_channels != 1 or network.out_channels != 1 or network.dims != 3:
        raise SettingsError("restoration needs a network with dims=3, in_channels=1 and out_channels=1")


def _check_patch(network: nn.Module, settings: PretrainSettings) -> None:
    """Let one empty sub-volume through: a patch the network cannot take is refused before training."""
    import torch

    try:
        network.eval()
        with torch.no_grad():
            network(torch.zeros(2, 1, *settings.sampling.patch_size, device=next(network.parameters()).device))
    except NetworkError as problem:
        raise SettingsError(f"sampling.patch_size {settings.sampling.patch_size}: {problem}") from None


def _forward(run: RunFolder, report: Callable[[Event], None] | None) -> Callable[[str, Event, str | None], None]:
    """Write events of the preparation to the run and report them; `said` is for the person's eyes alone."""
    last = 0.0

    def forward(kind: str, values: Event, said: str | None = None) -> None:
        nonlocal last
        if kind == "preparing" and values["done"] < values["total"] and time.monotonic() - last < _PREPARING_SECONDS:
            return
        last = time.monotonic()
        event = run.write_event(kind, **values)
        run.heartbeat(run.status().step, None)
        if report is not None:
            report({**event, "said": said} if said else event)

    return forward


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
        loss=settings.loss,
        recipe=settings.recipe.to_dict(),
        data={
            "modality": data.preprocessing.modality,
            "training_scans": len(data.training),
            "validation_scans": len(data.validation),
        },
        metrics=figures,
    )
    save_model(run.model, network, card)
