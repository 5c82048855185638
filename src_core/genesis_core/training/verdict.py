"""What a pre-training is worth, by its own validations, and what may help one whose output has become flat."""

from __future__ import annotations

from genesis_core.training.events import last_of_each_step
from genesis_core.training.pretrain_settings import PretrainSettings
from genesis_core.training.run_folder import RunFolder


def never_better_than_the_mean(run: RunFolder) -> str | None:
    """Return a warning if no validation of the run was better than answering each sub-volume with its mean.

    That answer needs no network: one that never beats it has learnt nothing worth transferring. None if it was beaten,
    or if nothing was validated after the first step.
    """
    known = []
    for event in last_of_each_step(run.events(), "validation"):
        loss, mean = event.get("loss", event.get("train_loss")), event.get("return_mean")
        if event["step"] > 0 and loss is not None and mean is not None:
            known.append((loss, mean))
    if not known or any(loss < mean for loss, mean in known):
        return None
    best, mean = min(known)
    return (
        f"this run never did better than returning each sub-volume's mean (loss {best:.5f} at best, the mean's "
        f"{mean:.5f}): its network is no source to learn from. Train longer, raise the "
        "learning rate if the loss still falls, lower it if the loss jumps, or look at the scans and recipe"
    )


def against_collapse(settings: PretrainSettings) -> list[str]:
    """Return what may help a network that has collapsed to one constant output, as far as it is not set already."""
    training, norm = settings.training, getattr(settings.network, "norm", "batch")
    rate = training.learning_rate
    ways = []
    if training.optimiser != "adamw":
        now = f"{training.optimiser} {rate:g}"
        ways.append(f"training.optimiser=adamw with training.learning_rate=1e-3 instead of {now}")
    else:
        ways.append(f"a training.learning_rate below {rate:g}")
    if norm != "batch":
        ways.append(f"network.norm=batch instead of {norm}")
    ways.append(f"a training.warmup above {training.warmup:g}")
    if any(one.kind == "outer_cutout" for step in settings.recipe.steps for one, _ in step.choices):
        ways.append("a recipe with less outer cut-out")
    return ways
