"""What all backbones have in common: levels of an encoder and a decoder, a head, and what they say about their input.

A backbone's parameters are called `encoder.<level>`, `decoder.<level>` (both in the order of computation) and `head`,
so that transfer by name, freezing and learning rates by level work with every one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from genesis_core.errors import NetworkError
from genesis_core.networks.settings import NetworkSettings


class EncoderDecoder(nn.Module):
    """Base of the backbones. Each sets `settings`, `encoder`, `decoder` and `head`.

    One whose levels meet in another way defines `encode` or `decode` itself.

    strides: per spatial axis, what the encoder divides it by in all; every axis of an input must be a multiple of its
    own, unless the settings say `pad`.
    """

    encoder: nn.ModuleList
    decoder: nn.ModuleList
    head: nn.Module

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self._settings = settings

    @property
    def settings(self) -> Any:
        """The settings it was built from, those of its backbone."""
        return self._settings

    @property
    def strides(self) -> tuple[int, ...]:
        """What the encoder divides each spatial axis by, in the order of the axes."""
        return self._settings.strides

    @property
    def divisor(self) -> int:
        """The largest of the strides: what an axis must be a multiple of to fit in any case."""
        return self._settings.divisor

    @property
    def feature_channels(self) -> int:
        """Channels of the bottleneck, which is what a classification looks at."""
        raise NotImplementedError

    @property
    def channels_last(self) -> torch.memory_format | None:
        """The memory format that is fastest for this network and its inputs; None if none gains anything."""
        return torch.channels_last_3d if self._settings.dims == 3 else torch.channels_last

    @property
    def normalises_by(self) -> str:
        """Over what the bottleneck is normalised: batch_statistics, batch, instance, or anything that needs no space.

        The first three cannot normalise a single voxel.
        """
        return str(getattr(self._settings, "norm", ""))

    @property
    def traces_any_size(self) -> bool:
        """Whether a graph traced with one input is right for inputs of any batch and size."""
        return True

    @property
    def _looks_at_bottleneck(self) -> bool:
        return getattr(self._settings, "head", "") == "text_driven"

    def encoder_keys(self) -> list[str]:
        """Names in `state_dict()` that belong to the encoder."""
        return [key for key in self.state_dict() if key.startswith("encoder.")]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, out_channels, *space) for x (batch, in_channels, *space), floating point.

        Raises NetworkError if x has another number of axes or channels, or a size this network cannot take.
        """
        size = x.shape[2:]
        bottleneck, skips = self.encode(x)
        features = self.decode(bottleneck, skips)
        logits: Tensor = self.head(features, bottleneck) if self._looks_at_bottleneck else self.head(features)
        return logits if logits.shape[2:] == size else _crop(logits, size)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the bottleneck (batch, feature_channels, *space / strides) and the skips, finest first.

        With `pad` these are of the padded size. The last level of the encoder gives the bottleneck, each other one a
        skip. Raises NetworkError as `forward`.
        """
        x = self._fit(x)
        skips: list[Tensor] = []
        for level in self.encoder[:-1]:
            x = level(x)
            skips.append(x)
        bottleneck: Tensor = self.encoder[-1](x)
        return bottleneck, skips

    def decode(self, bottleneck: Tensor, skips: list[Tensor]) -> Tensor:
        """Return the last features before the head; skips are taken off the list as they are used, one a level."""
        for level in self.decoder:
            bottleneck = level(bottleneck, skips.pop())
        return bottleneck

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the bottleneck alone, without the decoder (classification)."""
        return self.encode(x)[0]

    def _fit(self, x: Tensor) -> Tensor:
        """Check x against this network, pad it where the settings say so, and standardise it where they say so."""
        settings, strides = self.settings, self.strides
        if x.ndim != settings.dims + 2 or x.shape[1] != settings.in_channels:
            axes = "(batch, channel, z, y, x)" if settings.dims == 3 else "(batch, channel, y, x)"
            raise NetworkError(
                f"this network takes {axes} with {settings.in_channels} channel(s), not an input of shape "
                f"{tuple(x.shape)}"
            )
        size = tuple(x.shape[2:])
        if min(x.shape) < 1:
            raise NetworkError(f"the input of shape {tuple(x.shape)} is empty")
        padded = tuple(-(-length // stride) * stride for length, stride in zip(size, strides, strict=True))
        if padded != size and not settings.pad:
            multiple = str(strides[0]) if len(set(strides)) == 1 else f"{_words(strides)}, axis by axis"
            raise NetworkError(
                f"an input of size {_words(size)} cannot be halved {self.divisor.bit_length() - 1} times: every axis "
                f"must be a multiple of {multiple}. Use {_words(padded)}, or build the network with pad=True"
            )
        self._check_statistics(x.shape[0], padded)
        x = x if padded == size else _pad(x, padded)
        scale, shift = getattr(settings, "input_scale", 1.0), getattr(settings, "input_shift", 0.0)
        return x if (scale, shift) == (1.0, 0.0) else x * scale + shift

    def _check_statistics(self, batch: int, size: Sequence[int]) -> None:
        norm = self.normalises_by
        if norm not in ("batch_statistics", "batch", "instance"):
            return
        values = 1 if norm == "instance" else batch
        for length, stride in zip(size, self.strides, strict=True):
            values *= length // stride
        if values < 2 and (norm != "batch" or self.training):
            way_out = "" if norm == "instance" else ", or a larger batch"
            raise NetworkError(
                f"an input of size {_words(size)} leaves a bottleneck of one voxel, which norm='{norm}' cannot "
                f"normalise: use at least {2 * min(self.strides)} voxels along one axis{way_out}"
            )


def _pad(x: Tensor, size: Sequence[int]) -> Tensor:
    """Repeat the last voxel of each axis up to `size`."""
    # torch wants (before, after) of the last axis first.
    amounts = [value for old, new in zip(x.shape[:1:-1], size[::-1], strict=True) for value in (0, new - old)]
    return functional.pad(x, amounts, mode="replicate")


def _crop(x: Tensor, size: Sequence[int]) -> Tensor:
    return x[(slice(None), slice(None), *(slice(length) for length in size))]


def _words(size: Sequence[int]) -> str:
    # While a network is traced, lengths are tensors.
    return "x".join(str(int(length)) for length in size)
