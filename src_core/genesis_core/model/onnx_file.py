"""A network as an ONNX file that computes what ours does, shown by comparing the two, with all one needs beside it.

Exported by tracing (torch's first exporter), which needs no further package, takes every norm of ours and leaves batch
and spatial size open; the newer exporter is twenty times slower and writes the same. Preprocessing and activation are
not in the graph: they stand in the file beside it, as in the model's card.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis_core.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from genesis_core.model.card import ModelCard
    from genesis_core.model.folder import Model

    Array = NDArray[np.float32]

INPUT, OUTPUT = "image", "logits"
# Largest difference of a logit, as part of the largest logit (or of 1): float32 sums in another order differ by some
# 1e-6 of it, and a wrong graph by far more than this.
TOLERANCE = 1e-4
# Oldest version of the format that has every operation used, so that old runtimes can read it.
_OPSET = 17
_PACKAGES = ("onnx", "onnxruntime")
_SEED = 0


@dataclass(frozen=True)
class Parity:
    """How far ONNX Runtime and torch are apart on one input. shape: (batch, channel, *space)."""

    input: str
    shape: tuple[int, ...]
    max_abs_difference: float
    largest_logit: float

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance; what is not a number never is."""
        return self.max_abs_difference <= TOLERANCE * max(1.0, self.largest_logit)


def require_onnx() -> None:
    """Raise ModelError with what to install if the packages for ONNX are not there."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(
            f"exporting to ONNX needs {' and '.join(missing)}: install with  python -m pip install "
            f"'napari-genesis[onnx]'  (or {' '.join(missing)} alone)"
        )


def write_onnx(model: Model, path: Path, say: Callable[[str], None] = lambda _text: None) -> tuple[Parity, ...]:
    """Write `path` and, beside it, `path`.json: input, output, preprocessing, card, and how exact it was found to be.

    model: on the CPU. The graph takes float32 (batch, channel, z, y, x), any batch, any size the network can halve,
    and returns logits; each sample is normalised on its own, as windows are where this model is applied here. That of a
    Swin UNETR takes one sample of the card's patch size and no other, since its windows of attention follow from it.
    say: told what is being done. Returns the comparisons with torch: noise, a synthetic scan, noise of another size.
    Raises ModelError if a package is missing, the network cannot be expressed, or any logit is further from torch's
    than `TOLERANCE`; the files are then not to be used, and the caller removes them.
    """
    require_onnx()
    say("translating the network")
    network = model.network.eval()
    shape = _patch(model.card, network)
    _trace(network, path, (1, model.card.network.in_channels, *shape), _any_size(network))
    _describe_inside(path, model.card)
    found = []
    for name, values in _inputs(model.card, network, shape):
        say(f"comparing with torch: {name}")
        found.append(_compare(network, path, name, values))
    failed = [one for one in found if not one.passed]
    if failed:
        worst = failed[0]
        raise ModelError(
            f"the ONNX file does not compute what the model does: on {worst.input} of shape {worst.shape} a logit is "
            f"off by {worst.max_abs_difference:.3g} (the largest is {worst.largest_logit:.3g}); nothing was exported"
        )
    text = json.dumps(_beside(model, path, shape, found), indent=1, allow_nan=False)
    path.with_name(f"{path.name}.json").write_text(text + "\n", encoding="utf-8")
    return tuple(found)


def _patch(card: ModelCard, network: nn.Module) -> tuple[int, ...]:
    """Return the card's patch, its last axes for a network of slices, each rounded up to what can be halved."""
    divisor = _divisor(network)
    return tuple(-(-size // divisor) * divisor for size in card.patch_size[-card.network.dims :])


def _divisor(network: nn.Module) -> int:
    return int(getattr(network, "divisor", 1))


def _any_size(network: nn.Module) -> bool:
    return bool(getattr(network, "traces_any_size", True))


def _trace(network: nn.Module, path: Path, shape: tuple[int, ...], any_size: bool) -> None:
    import torch

    axes = dict(enumerate(("batch", "channel", "z", "y", "x") if len(shape) == 5 else ("batch", "channel", "y", "x")))
    del axes[1]
    try:
        with warnings.catch_warnings():
            # It says that it is old, and that sizes are checked only while it traces: both are meant.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _sample_by_sample(network, len(shape) - 2),
                (torch.zeros(shape),),
                str(path),
                dynamo=False,
                opset_version=_OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: axes, OUTPUT: axes} if any_size else None,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, TypeError, ValueError) as problem:
        raise ModelError(f"this network cannot be expressed in ONNX ({str(problem).splitlines()[0]})") from problem


def _sample_by_sample(network: nn.Module, dims: int) -> nn.Module:
    """Return a copy whose statistics are those of each sample alone: of one sample, the batch's are the same.

    Its instance norms all have a scale and a shift, 1 and 0 where ours have none: the exporter needs them.
    """
    from torch import nn

    from genesis_core.networks.normalisation import EPSILON, BatchStatistics, InstanceStatistics

    layer = nn.InstanceNorm3d if dims == 3 else nn.InstanceNorm2d
    result = copy.deepcopy(network).eval()
    for module in list(result.modules()):
        for name, child in module.named_children():
            if isinstance(child, BatchStatistics | InstanceStatistics):
                alone = layer(child.weight.numel(), eps=EPSILON, affine=True)
                alone.weight, alone.bias = child.weight, child.bias
                setattr(module, name, alone.eval())
            elif type(child) is layer and not child.affine and not child.track_running_stats:
                setattr(module, name, layer(child.num_features, eps=child.eps, affine=True).eval())
    return result


def _describe_inside(path: Path, card: ModelCard) -> None:
    """Write what the file is into the file, in case it is parted from its neighbour; check that it is well-formed."""
    import onnx

    graph = onnx.load(str(path))
    told = {
        "name": card.name,
        "task": card.task,
        "activation": card.activation,
        "licence": card.licence or "",
        "card": json.dumps(card.model_dump(mode="json", by_alias=True)),
    }
    for key, value in told.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, value
    graph.doc_string = "Exported by napari-genesis; preprocessing and labels: see the .json beside this file."
    try:
        onnx.checker.check_model(graph, full_check=True)
    except Exception as problem:  # the checker's errors have no common base
        raise ModelError(f"the exported ONNX graph is not well-formed ({problem})") from problem
    onnx.save(graph, str(path))


def _inputs(card: ModelCard, network: nn.Module, shape: tuple[int, ...]) -> list[tuple[str, Array]]:
    """Return named inputs (batch, channel, *space) in [0, 1]: noise, a synthetic scan, and noise of another size.

    For a network that is traced for one size: one sample of noise, and the scan.
    """
    import numpy as np

    generator = np.random.default_rng(_SEED)
    channels = card.network.in_channels
    other = tuple(size + _divisor(network) * (axis == 0) for axis, size in enumerate(shape))
    any_size = _any_size(network)
    noise = generator.random((2 if any_size else 1, channels, *shape), dtype=np.float32)
    scan = np.stack([_synthetic_scan(card, shape, channel) for channel in range(channels)])[None]
    found = [("noise", noise), ("a synthetic scan", scan)]
    if any_size:
        found.append(("noise of another size", generator.random((1, channels, *other), dtype=np.float32)))
    return found


def _synthetic_scan(card: ModelCard, shape: tuple[int, ...], seed: int) -> Array:
    """Return a synthetic thorax CT of this shape, in the range the model expects: smooth organs, sharp borders, air."""
    import numpy as np

    from genesis_core.phantom.thorax import make_phantom
    from genesis_core.volumes.intensity import default_intensity

    # Fewer voxels than these have no anatomy to speak of; of a network of slices, the middle one is taken.
    z, y, x = (max(16, size) for size in (shape if len(shape) == 3 else (1, *shape)))
    made = make_phantom(seed, (z, y, x)).volume.array
    intensity = card.preprocessing.intensity if card.preprocessing is not None else default_intensity("ct")
    values = np.asarray(intensity.fit(made).to_unit(made), np.float32)
    values = values if len(shape) == 3 else values[z // 2]
    begins = [(have - want) // 2 for have, want in zip(values.shape, shape, strict=True)]
    cut = tuple(slice(begin, begin + want) for begin, want in zip(begins, shape, strict=True))
    return np.ascontiguousarray(values[cut])


def _compare(network: nn.Module, path: Path, name: str, values: Array) -> Parity:
    import numpy as np
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        theirs = session.run([OUTPUT], {INPUT: values})[0]
    # Its errors have no common base of their own.
    except Exception as problem:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]
        raise ModelError(f"ONNX Runtime cannot run the exported file on {name} ({reason})") from problem
    with torch.inference_mode():
        ours = torch.cat([network(torch.from_numpy(values[n : n + 1])) for n in range(len(values))]).numpy()
    if theirs.shape != ours.shape:
        return Parity(name, values.shape, float("inf"), float(np.abs(ours).max()))
    # Not-a-number anywhere makes the largest difference one, which is refused.
    return Parity(name, values.shape, float(np.abs(theirs - ours).max()), float(np.abs(ours).max()))


def _beside(model: Model, path: Path, shape: tuple[int, ...], found: list[Parity]) -> dict[str, Any]:
    import onnxruntime
    import torch

    card, divisor, any_size = model.card, _divisor(model.network), _any_size(model.network)
    axes = ["batch", "channel", "z", "y", "x"] if len(shape) == 3 else ["batch", "channel", "y", "x"]
    background = ["background"] if card.activation == "softmax" else []
    outputs = {
        "segmentation": [*background, *(entry.name for entry in card.structures)],
        "restoration": ["restored"],
        "pretraining": ["not known"] * card.network.out_channels,
    }[card.task]
    data = path.read_bytes()
    return {
        "schema": 1,
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "opset": _OPSET,
        "input": {
            "name": INPUT,
            "axes": axes,
            "type": "float32",
            "range": [0.0, 1.0],
            "channels": list(card.channels) or ["image"] * card.network.in_channels,
            "trained_on": list(shape),
            "multiple_of": divisor,
            "size": "any such" if any_size else "as trained_on, and no other",
            "batch": "any; each sample is normalised on its own" if any_size else "one sample at a time",
            "preprocessing": card.preprocessing.describe() if card.preprocessing else "not known",
        },
        "output": {"name": OUTPUT, "axes": axes, "channels": outputs, "activation": card.activation},
        "parity": {
            "passed": True,
            "tolerance": TOLERANCE,
            "tolerance_is": "largest difference of a logit, as part of the largest logit or of 1",
            "torch": torch.__version__,
            "onnxruntime": onnxruntime.__version__,
            "inputs": [{**asdict(one), "shape": list(one.shape)} for one in found],
        },
        "card": card.model_dump(mode="json", by_alias=True),
    }
