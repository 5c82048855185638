"""Which parameters learn how fast: frozen parts, and learning rates that fall toward the input.

The groups are a function of the network and the settings alone, so a resumed run builds the same ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    from torch import nn

# A number no training reaches: frozen for good.
NEVER = 1 << 62


class FreezingSettings(Settings):
    """What of a transferred network may change, and how fast."""

    freeze: Literal["nothing", "warmup", "encoder"] = setting(
        "nothing",
        "nothing: all layers learn from the start. warmup: transferred layers wait until the new ones have settled. "
        "encoder: transferred encoder layers never change.",
    )
    warmup_share: float = setting(0.1, "Part of the steps that freeze=warmup lasts.", ge=0, le=0.9)
    layer_decay: float = setting(
        1.0,
        "Learning rate of each level over the next one's toward the output; 1: the same everywhere.",
        gt=0,
        le=1,
    )


def parameter_groups(
    network: nn.Module, settings: FreezingSettings, transferred: frozenset[str], total_steps: int
) -> list[dict[str, Any]]:
    """Return the optimiser's groups: `params`, `scale` (of the learning rate) and `frozen_until` (a step).

    transferred: names of the parameters that came from a source; only they are ever frozen. The levels of a network
    are `encoder.0` ... `decoder.n`, then all else.
    """
    until = round(settings.warmup_share * total_steps) if settings.freeze == "warmup" else NEVER
    levels = _levels(network)
    found: dict[tuple[float, int], list[Any]] = {}
    for name, parameter in network.named_parameters():
        scale = settings.layer_decay ** (max(levels.values()) - levels[_level_name(name)])
        freezable = settings.freeze == "warmup" or (settings.freeze == "encoder" and name.startswith("encoder."))
        frozen = until if freezable and name in transferred else 0
        found.setdefault((scale, frozen), []).append(parameter)
    return [{"params": params, "scale": scale, "frozen_until": frozen} for (scale, frozen), params in found.items()]


def apply_freezing(network: nn.Module, groups: list[dict[str, Any]], step: int) -> None:
    """Let the groups that are frozen at `step` keep their values and cost no gradient; for a network in training mode.

    Frozen layers keep their running statistics, too: these would follow the new data otherwise.
    """
    for group in groups:
        free = step >= group.get("frozen_until", 0)
        for parameter in group["params"]:
            if parameter.requires_grad != free:
                parameter.requires_grad_(free)
                parameter.grad = None
    for module in network.modules():
        own = list(module.parameters(recurse=False))
        if own and hasattr(module, "running_mean") and not any(parameter.requires_grad for parameter in own):
            module.eval()


def _levels(network: nn.Module) -> dict[str, int]:
    names = dict.fromkeys(_level_name(name) for name, _ in network.named_parameters())
    order = {"encoder": 0, "decoder": 1}
    ranked = sorted(names, key=lambda name: (order.get(name.partition(".")[0], 2), name))
    return {name: rank for rank, name in enumerate(ranked)}


def _level_name(parameter: str) -> str:
    match = re.match(r"(encoder|decoder)\.\d+", parameter)
    return match.group() if match else "rest"
