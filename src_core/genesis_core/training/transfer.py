"""Starting a network from another one's weights: what is taken, what is made to fit, and what starts anew.

Tensors are matched by name and shape, never by position. A first convolution for another number of channels is
inflated: copied to every channel and divided by their number, so that its response to equal channels stays what it
was. The last layer always starts anew unless it has learnt the same structures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from genesis_core.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from genesis_core.model.folder import Model

Part = Literal["encoder", "encoder+decoder"]
# Fewer tensors of the wanted part than this share: the source does not fit, and starting from it would be a pretence.
_LEAST_MATCHED = 0.9


@dataclass(frozen=True)
class TransferReport:
    """What became of the network's tensors, by name. taken: from the source. inflated: made to fit more channels.

    fresh: not of the wanted part, or the last layer. missing: wanted, but the source has none of that name and shape.
    """

    part: Part
    taken: tuple[str, ...]
    inflated: tuple[str, ...]
    fresh: tuple[str, ...]
    missing: tuple[str, ...]

    def sentence(self, source: str) -> str:
        """Say it in a sentence."""
        text = f"{len(self.taken) + len(self.inflated)} tensors start from {source} ({self.part})"
        if self.inflated:
            text += "; the first convolution was copied to every input channel and divided by their number"
        if self.missing:
            text += f"; {len(self.missing)} have no match there and start anew ({', '.join(self.missing[:3])})"
        return f"{text}; {len(self.fresh)} others start anew."


def start_from(network: nn.Module, source: Model, part: Part, *, keep_head: bool = False) -> TransferReport:
    """Put the source's weights into `network`, in place, and report tensor by tensor.

    part: "encoder", or "encoder+decoder", which is all but the last layer. keep_head: take that as well.
    Raises ModelError if under 90 % of the wanted tensors match: the source is of another kind or width.
    """
    import torch

    own = network.state_dict()
    theirs = source.network.state_dict()
    wanted = [name for name in own if _wanted(name, part, keep_head)]
    taken, inflated, missing = [], [], []
    for name in wanted:
        tensor = theirs.get(name)
        if tensor is not None and tensor.shape == own[name].shape:
            own[name] = tensor.clone()
            taken.append(name)
        elif tensor is not None and _inflatable(tensor, own[name]):
            own[name] = _inflated(tensor, own[name].shape[1])
            inflated.append(name)
        else:
            missing.append(name)
    if len(missing) > (1 - _LEAST_MATCHED) * len(wanted):
        first = missing[0]
        theirs_first = tuple(theirs[first].shape) if first in theirs else "nothing"
        raise ModelError(
            f"model '{source.card.name}' does not fit: {len(missing)} of {len(wanted)} tensors of the {part} differ "
            f"(first {first}: {theirs_first} against {tuple(own[first].shape)}). Leave kind, width, depth and norm of "
            "the network to the source (network.kind, network.width, ...), or choose another source"
        )
    with torch.no_grad():
        network.load_state_dict(own)
    fresh = tuple(name for name in own if name not in set(wanted))
    return TransferReport(part, tuple(taken), tuple(inflated), fresh, tuple(missing))


def go_on_from(network: nn.Module, source: Model) -> TransferReport:
    """Put every weight of `source` into `network`, in place, the last layer included; for the very same network.

    Raises ModelError if one tensor has no match of its name and shape.
    """
    report = start_from(network, source, "encoder+decoder", keep_head=True)
    unlike = (*report.missing, *report.inflated)
    if unlike:
        raise ModelError(
            f"{source.path}: {len(unlike)} of its tensors are not those of the network that is continued (first "
            f"{unlike[0]}); only the same network can go on from it"
        )
    return report


def _wanted(name: str, part: Part, keep_head: bool) -> bool:
    group = name.partition(".")[0]
    if group == "head":
        return keep_head
    return group == "encoder" or part == "encoder+decoder"


def _inflatable(theirs: Tensor, own: Tensor) -> bool:
    """Whether the two are convolutions that differ in the number of input channels alone, the source having one."""
    return (
        theirs.ndim == own.ndim >= 4
        and theirs.shape[1] == 1 < own.shape[1]
        and (theirs.shape[0], *theirs.shape[2:]) == (own.shape[0], *own.shape[2:])
    )


def _inflated(tensor: Tensor, channels: int) -> Tensor:
    return tensor.repeat_interleave(channels, dim=1) / channels
