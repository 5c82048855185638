"""What a kind of published checkpoint looks like, and how one is recognised: by the names of its tensors, nothing else.

A layout knows which of a file's tensors become which of ours. The name of the file is never looked at, and no tensor is
ever taken by its position.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from genesis_core.model.import_report import UNUSED_AVERAGE, Finding
from genesis_core.networks.settings import NetworkSettings

# The last layer of SuPreM's U-Net and Swin UNETR, which lies beside the backbone: our name -> theirs.
TEXT_HEAD = {
    "head.class_vectors": "organ_embedding",
    **{
        f"head.{ours}.{kind}": f"{theirs}.{kind}"
        for ours, theirs in [
            ("image_norm", "GAP.0"),
            ("image", "GAP.3"),
            ("features_norm", "precls_conv.0"),
            ("features", "precls_conv.2"),
            ("text", "text_to_vision"),
            ("weights", "controller"),
        ]
        for kind in ("weight", "bias")
    },
}

Parts = Literal["encoder", "encoder+decoder"]
# How many batches an ordinary batch norm has seen: a whole number that differs from file to file.
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Layout:
    """How one kind of file names and lays out its tensors.

    kind: of our backbone. title: what people call it. pattern: what the backbone's own names begin with. settings: of
    the network a file was written from, given its tensors by their own names. names: our name -> the file's, for a
    network of these settings, with its plain last layer. buffers: names of tensors that are stored but never used.
    turned: kernels are (x, y, z) and are turned to (z, y, x) once; else the settings say in which order to compute.
    dropped: names of what a file may hold and we do not need, and why. parts: what of our network such files hold; the
    rest of it is ours and is started anew. decoder: what names of the decoder begin with, where a file may lack it.
    """

    kind: str
    title: str
    pattern: re.Pattern[str]
    settings: Callable[[Mapping[str, Tensor]], NetworkSettings]
    names: Callable[[Any], dict[str, str]]
    buffers: re.Pattern[str] | None
    turned: bool
    dropped: tuple[re.Pattern[str], str] | None = None
    parts: Parts = "encoder+decoder"
    decoder: str = ""


@dataclass(frozen=True)
class Contents:
    """A file's tensors and what they are. prefix: before every name of the backbone; empty for most files."""

    tensors: Mapping[str, Tensor]
    layout: Layout
    prefix: str

    def own(self) -> dict[str, Tensor]:
        """Return the backbone's tensors by their own names."""
        return {
            name.removeprefix(self.prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(self.prefix)
        }

    @property
    def parts(self) -> Parts:
        """What of our network the file holds: an encoder alone, or a decoder as well."""
        decoder = self.prefix + self.layout.decoder
        if self.layout.decoder and not any(name.startswith(decoder) for name in self.tensors):
            return "encoder"
        return self.layout.parts

    @property
    def classes_of_text_head(self) -> int:
        """How many classes the text-driven last layer in the file tells apart; 0: it has none."""
        vectors = self.tensors.get(TEXT_HEAD["head.class_vectors"])
        whole = all(name in self.tensors for name in TEXT_HEAD.values())
        return int(vectors.shape[0]) if whole and vectors is not None and vectors.ndim == 2 else 0


def recognise(tensors: Mapping[str, Tensor], layouts: tuple[Layout, ...]) -> Contents | None:
    """Return the layout most of the names belong to, with the prefix they share; None if not one name is known."""
    found: Counter[tuple[int, str]] = Counter()
    for number, layout in enumerate(layouts):
        for name in tensors:
            match = layout.pattern.search(name)
            if match is not None and (match.start() == 0 or name[match.start() - 1] == "."):
                found[number, name[: match.start()]] += 1
    if not found:
        return None
    (number, prefix), _ = found.most_common(1)[0]
    return Contents(tensors, layouts[number], prefix)


def convert(
    contents: Contents, settings: Any, expected: Mapping[str, Tensor], *, drop_head: bool
) -> tuple[dict[str, Tensor], list[Finding]]:
    """Return the tensors that fit, under our names and in our axis order, and a finding for every tensor.

    settings: of our network. expected: its state dict (shapes are enough). drop_head: the file's last layer is not
    wanted. Converted tensors are contiguous, and float32 but for whole numbers.
    """
    layout, prefix = contents.layout, contents.prefix
    plain = {ours: prefix + theirs for ours, theirs in layout.names(settings).items()}
    heads = {ours: theirs for ours, theirs in plain.items() if ours.startswith("head.")}
    names = plain
    if getattr(settings, "head", "") == "text_driven":
        names = {**{ours: theirs for ours, theirs in plain.items() if ours not in heads}, **TEXT_HEAD}
    converted: dict[str, Tensor] = {}
    findings = []
    for ours, wanted in expected.items():
        if contents.parts == "encoder" and not ours.startswith("encoder."):
            continue
        theirs = names[ours]
        tensor = None if drop_head and ours in heads else contents.tensors.get(theirs)
        if tensor is None and ours.endswith(_COUNTER):
            # Older torch did not write it, and nothing is computed from it.
            continue
        if tensor is None:
            findings.append(Finding("missing", theirs, ours, f"expected {_published_shape(wanted, layout)}"))
            continue
        problem = "" if ours.endswith(_COUNTER) and _is_count(tensor) else _misfit(tensor, wanted, layout)
        if problem:
            findings.append(Finding("mis-shaped", theirs, ours, problem))
            continue
        whole = not wanted.is_floating_point()
        converted[ours] = to_our_axes(tensor.detach() if whole else tensor.detach().float(), layout)
        note = "" if whole or tensor.dtype == torch.float32 else f"stored as {tensor.dtype}, now float32"
        findings.append(Finding("matched", theirs, ours, note))
    dropped = {*TEXT_HEAD.values(), *(heads.values() if drop_head else ())}
    known = {theirs for ours, theirs in names.items() if ours in expected and theirs not in dropped}
    known |= {item.published for item in findings if item.status != "missing"}
    for name in contents.tensors:
        if name in known:
            continue
        if layout.buffers is not None and layout.buffers.fullmatch(name.removeprefix(prefix)):
            findings.append(Finding("not needed", name, note=UNUSED_AVERAGE))
        elif layout.dropped is not None and layout.dropped[0].fullmatch(name.removeprefix(prefix)):
            findings.append(Finding("not needed", name, note=layout.dropped[1]))
        elif name in dropped:
            findings.append(Finding("not needed", name, note="its last layer, which is dropped"))
        else:
            findings.append(Finding("unexpected", name))
    return converted, findings


def to_our_axes(tensor: Tensor, layout: Layout) -> Tensor:
    """Reverse the three kernel axes of a convolution, (out, in, x, y, z) -> (out, in, z, y, x); all else stays."""
    turned = layout.turned and tensor.ndim == 5
    return (tensor.permute(0, 1, 4, 3, 2) if turned else tensor).contiguous()


def other_architecture(contents: Contents, findings: list[Finding]) -> list[str]:
    """Return unexpected tensors inside the backbone: they would change what the network computes."""
    names = [item.published for item in findings if item.status == "unexpected"]
    return [
        name
        for name in names
        if name.startswith(contents.prefix) and contents.layout.pattern.match(name.removeprefix(contents.prefix))
    ]


def _published_shape(ours: Tensor, layout: Layout) -> tuple[int, ...]:
    """Return the shape, in the file's axis order, of one of our tensors."""
    shape = tuple(ours.shape)
    return shape[:2] + shape[:1:-1] if layout.turned and len(shape) == 5 else shape


def _is_count(tensor: Tensor) -> bool:
    return tensor.ndim == 0 and tensor.dtype == torch.int64 and tensor.layout == torch.strided and not tensor.is_meta


def _misfit(tensor: Tensor, wanted: Tensor, layout: Layout) -> str:
    shape = _published_shape(wanted, layout)
    if tuple(tensor.shape) != shape:
        return f"is {tuple(tensor.shape)}, expected {shape}"
    plain = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
    if wanted.is_floating_point():
        if not plain or not tensor.is_floating_point():
            return f"is {tensor.dtype} ({tensor.layout}), expected plain floating-point numbers"
    elif not plain or tensor.dtype != wanted.dtype or not torch.equal(tensor, wanted):
        # Whole numbers are tables a network is built with; another table would be another network.
        return "holds other whole numbers than this network is built with"
    return ""


def size_of(tensors: Mapping[str, Tensor], name: str, ndim: int, default: tuple[int, int]) -> tuple[int, int]:
    """Return the first two lengths of a tensor with `ndim` axes; what is not there or absurd is as in `default`."""
    tensor = tensors.get(name)
    if tensor is None or tensor.ndim != ndim or min(tensor.shape[:2]) < 1:
        return default
    return int(tensor.shape[0]), int(tensor.shape[1])


def count_of(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """Return how many different numbers the one group of `pattern` takes in the names."""
    return len({match.group(1) for name in tensors if (match := re.match(pattern, name))})
