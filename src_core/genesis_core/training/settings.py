"""Settings of the training loop, whatever the task: optimiser, schedule, budget, precision."""

from __future__ import annotations

from typing import Literal

from genesis_core.settings import Settings, setting

# Steps of a run that names neither steps nor hours.
DEFAULT_STEPS = 2000


class TrainingSettings(Settings):
    """How a network is trained. What is None here is decided at the start of a run and written into its run.yaml."""

    batch_size: int = setting(6, "Sub-volumes per forward and backward pass.", ge=1, le=4096)
    accumulate: int = setting(1, "Batches whose gradients are added before each optimiser step.", ge=1, le=1024)
    max_steps: int | None = setting(
        None, f"Optimiser steps; None: as many as fit max_hours, else {DEFAULT_STEPS}.", ge=1
    )
    max_hours: float | None = setting(None, "Stop after this long, over all resumes.", unit="hours", gt=0)
    optimiser: Literal["adamw", "sgd"] = setting("adamw", "AdamW, or SGD with momentum 0.9 as published.")
    learning_rate: float = setting(1e-3, "Highest learning rate of the schedule.", gt=0, le=10)
    weight_decay: float = setting(1e-5, "Decoupled weight decay (AdamW), or L2 penalty (SGD).", ge=0, le=1)
    schedule: Literal["cosine", "step", "constant"] = setting(
        "cosine", "Fall to 0 as a cosine, halve in steps, or stay."
    )
    warmup: float = setting(0.04, "Part of the steps over which the learning rate rises from 0.", ge=0, le=0.5)
    halve_every: int = setting(94_920, "Steps between halvings of schedule 'step'.", ge=1)
    clip_norm: float | None = setting(1.0, "Longest gradient, as its Euclidean norm; None: not clipped.", gt=0)
    validate_every: int = setting(100, "Steps between validations.", unit="steps", ge=1)
    patience: int | None = setting(None, "Stop after this many validations without a better one; None: never.", ge=1)
    checkpoint_every: int = setting(100, "Steps between checkpoints.", unit="steps", ge=1)
    keep: Literal["best", "last"] = setting(
        "best", "Which state becomes the model: the best by validation (if scans are held out), or the last."
    )
    ema: float | None = setting(
        None,
        "Decay of the running average of the weights, which is then validated and kept; None: none.",
        gt=0,
        lt=1,
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = setting(
        "auto",
        "Arithmetic of the network; auto: bfloat16 where the processor computes it natively, float16 on a GPU with "
        "tensor cores that does not, else float32. float16 scales the loss, and leaves out steps that overflow.",
    )
    compile: Literal["never", "auto", "always"] = setting(
        "never",
        "Let torch compile the network: minutes at the start, on a CPU no gain; auto: on an NVIDIA or AMD GPU. "
        "Where it cannot be, that is said and the training goes on without.",
    )
    activation_checkpointing: bool = setting(
        False, "Keep only what lies between the network's levels and compute the rest anew: less memory, slower steps."
    )
    on_out_of_memory: Literal["stop", "halve"] = setting(
        "stop",
        "stop: end the run with advice. halve: pass half as many sub-volumes at a time through the network, down to "
        "one, and add their gradients; batch norms then see fewer at a time.",
    )
    channels_last: bool = setting(True, "Lay out arrays channels-last, which is faster on most processors.")
    threads: int | None = setting(
        None, "Processor threads of the network, in each process; None: one per core.", ge=1, le=1024
    )
    processes: int | None = setting(
        None,
        "Processes that the run is made for: each step has processes x accumulate batches, also if fewer share them "
        "after a resume; None: as many as it is begun with.",
        ge=1,
        le=65536,
    )


# What the published pre-training used. Source: the published training script of Zhou et al. 2021 (batch 6, SGD with
# learning rate 1 and momentum 0.9, halved every 40 epochs of 2,373 steps, no decay, no clipping).
PUBLISHED = {
    "batch_size": 6,
    "optimiser": "sgd",
    "learning_rate": 1.0,
    "weight_decay": 0.0,
    "schedule": "step",
    "warmup": 0.0,
    "halve_every": 94_920,
    "clip_norm": None,
    "precision": "float32",
}
