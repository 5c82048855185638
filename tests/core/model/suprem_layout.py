"""Synthetic checkpoints laid out as SuPreM's and the self-supervised Swin UNETR, and forward passes over raw tensors.

Names, shapes and arithmetic are those of the published files and networks; values are random. Nothing of the package,
and nothing of MONAI, is used here: what is imported is compared with this.
"""

from __future__ import annotations

import itertools

import torch
from published_layout import DECODER, ENCODER, published_tensors
from torch import Tensor
from torch.nn import functional

# Of eight neighbours, in this order: two are never taken, two twice. Source: MONAI 0.9.0.
NEIGHBOURS = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1)]


class Values:
    """Random tensors, one after another."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def kernel(self, *shape: int) -> Tensor:
        scale = (3 / max(1, torch.Size(shape[1:]).numel())) ** 0.5
        return (torch.rand(shape, generator=self._generator) * 2 - 1) * scale

    def around(self, middle: float, *shape: int, spread: float = 0.3) -> Tensor:
        return middle + (torch.rand(shape, generator=self._generator) * 2 - 1) * spread


class Shapes(Values):
    """Tensors of the right shapes that take no memory."""

    def __init__(self) -> None:
        super().__init__(0)

    def kernel(self, *shape: int) -> Tensor:
        return torch.zeros(1).expand(shape)

    def around(self, middle: float, *shape: int, spread: float = 0.3) -> Tensor:
        return torch.zeros(1).expand(shape)


def nested(tensors: dict[str, Tensor], prefix: str = "module.") -> dict[str, object]:
    """Wrap tensors as SuPreM's training saved them, AdamW's moments included."""
    optimizer = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(3), "exp_avg_sq": torch.ones(3)}}}
    scheduler = {"last_epoch": 799, "_last_lr": [1e-3]}
    net = {prefix + name: tensor for name, tensor in tensors.items()}
    return {"net": net, "optimizer": optimizer, "scheduler": scheduler, "epoch": 800}


def universal(backbone: dict[str, Tensor], channels: int, bottleneck: int, make: Values, classes: int = 32) -> dict:
    """Put a backbone without its plain last layer under `backbone.`, and the text-driven last layer beside it."""
    kept = {f"backbone.{name}": tensor for name, tensor in backbone.items() if not name.startswith(("out_tr", "out."))}
    head = {"organ_embedding": make.around(0, classes, 512, spread=1.0)}
    for name, size in [("GAP.0", bottleneck), ("precls_conv.0", channels)]:
        head |= {f"{name}.weight": make.around(1, size), f"{name}.bias": make.around(0, size)}
    for name, outputs, inputs in [("GAP.3", 256, bottleneck), ("precls_conv.2", 8, channels), ("controller", 153, 512)]:
        head |= {f"{name}.weight": make.kernel(outputs, inputs, 1, 1, 1), f"{name}.bias": make.around(0, outputs)}
    head |= {"text_to_vision.weight": make.kernel(256, 512), "text_to_vision.bias": make.around(0, 256)}
    return {"organ_embedding": head["organ_embedding"], **kept, **head}


def head_logits(tensors: dict[str, Tensor], bottleneck: Tensor, features: Tensor) -> Tensor:
    """The text-driven last layer of one sample at a time, class by class, voxel by voxel as a matrix product."""

    def normed(name: str, x: Tensor) -> Tensor:
        return functional.relu(functional.group_norm(x, 16, tensors[f"{name}.weight"], tensors[f"{name}.bias"]))

    pooled = normed("GAP.0", bottleneck).mean((2, 3, 4))
    image = pooled @ tensors["GAP.3.weight"][:, :, 0, 0, 0].T + tensors["GAP.3.bias"]
    text = functional.relu(
        tensors["organ_embedding"] @ tensors["text_to_vision.weight"].T + tensors["text_to_vision.bias"]
    )
    inner = functional.conv3d(
        normed("precls_conv.0", features), tensors["precls_conv.2.weight"], tensors["precls_conv.2.bias"]
    )
    samples = []
    for sample, vector in zip(inner, image, strict=True):
        classes = []
        for word in text:
            made = tensors["controller.weight"][:, :, 0, 0, 0] @ torch.cat([vector, word]) + tensors["controller.bias"]
            w1, w2, w3 = made[:64].view(8, 8), made[64:128].view(8, 8), made[128:136].view(1, 8)
            b1, b2, b3 = made[136:144], made[144:152], made[152:153]
            x = functional.relu(torch.einsum("oi,ixyz->oxyz", w1, sample) + b1.view(8, 1, 1, 1))
            x = functional.relu(torch.einsum("oi,ixyz->oxyz", w2, x) + b2.view(8, 1, 1, 1))
            classes.append(torch.einsum("oi,ixyz->oxyz", w3, x)[0] + b3)
        samples.append(torch.stack(classes))
    return torch.stack(samples)


# --- U-Net ---


def suprem_unet(width: int = 32, classes: int = 32, make: Values | None = None) -> dict[str, Tensor]:
    """SuPreM's U-Net: 104 tensors of the backbone, and the last layer."""
    make = make or Values(1)
    tensors = published_tensors(width=width, seed=5) if not isinstance(make, Shapes) else _empty_unet(width)
    return universal(tensors, 2 * width, 16 * width, make, classes)


def _empty_unet(width: int) -> dict[str, Tensor]:
    tensors = published_tensors(width)
    return {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in tensors.items()}


def unet_features(tensors: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Bottleneck and last features of the U-Net on (batch, 1, x, y, z); its norm takes the batch's statistics."""

    def blocks(name: str, x: Tensor) -> Tensor:
        for part in (f"backbone.{name}.ops.0", f"backbone.{name}.ops.1"):
            x = functional.conv3d(x, tensors[f"{part}.conv1.weight"], tensors[f"{part}.conv1.bias"], padding=1)
            mean, variance = x.mean((0, 2, 3, 4), keepdim=True), x.var((0, 2, 3, 4), keepdim=True, correction=0)
            scale, shift = (tensors[f"{part}.bn1.{kind}"].view(1, -1, 1, 1, 1) for kind in ("weight", "bias"))
            x = functional.relu((x - mean) / torch.sqrt(variance + 1e-5) * scale + shift)
        return x

    skips = []
    for name in ENCODER[:-1]:
        skips.append(blocks(name, x))
        x = functional.max_pool3d(skips[-1], 2)
    bottleneck = x = blocks(ENCODER[-1], x)
    for name in DECODER:
        kernel, bias = (tensors[f"backbone.{name}.up_conv.{kind}"] for kind in ("weight", "bias"))
        x = blocks(name, torch.cat((functional.conv_transpose3d(x, kernel, bias, stride=2), skips.pop()), dim=1))
    return bottleneck, x


# --- SegResNet ---

DOWN, UP = (1, 2, 2, 4), (1, 1, 1)


def suprem_segresnet(width: int = 16, classes: int = 32, make: Values | None = None) -> dict[str, Tensor]:
    """SuPreM's SegResNet: 83 tensors."""
    make = make or Values(2)
    tensors = {"convInit.conv.weight": make.kernel(width, 1, 3, 3, 3)}

    def block(name: str, channels: int) -> None:
        for n in (1, 2):
            tensors[f"{name}.norm{n}.weight"] = make.around(1, channels)
            tensors[f"{name}.norm{n}.bias"] = make.around(0, channels)
        for n in (1, 2):
            tensors[f"{name}.conv{n}.conv.weight"] = make.kernel(channels, channels, 3, 3, 3)

    for level, count in enumerate(DOWN):
        channels = width * 2**level
        if level:
            tensors[f"down_layers.{level}.0.conv.weight"] = make.kernel(channels, channels // 2, 3, 3, 3)
        for number in range(count):
            block(f"down_layers.{level}.{number + 1}", channels)
    for level, count in enumerate(UP):
        for number in range(count):
            block(f"up_layers.{level}.{number}", width * 2 ** (2 - level))
    for level in range(len(UP)):
        channels = width * 2 ** (2 - level)
        tensors[f"up_samples.{level}.0.conv.weight"] = make.kernel(channels, 2 * channels, 1, 1, 1)
    tensors["conv_final.0.weight"], tensors["conv_final.0.bias"] = make.around(1, width), make.around(0, width)
    tensors["conv_final.2.conv.weight"] = make.kernel(classes, width, 1, 1, 1)
    tensors["conv_final.2.conv.bias"] = make.around(0, classes)
    return tensors


def segresnet_logits(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
    """SegResNet on (batch, 1, x, y, z): group norm and ReLU before each convolution, skips added."""

    def normed(name: str, x: Tensor) -> Tensor:
        return functional.relu(functional.group_norm(x, 8, tensors[f"{name}.weight"], tensors[f"{name}.bias"]))

    def block(name: str, x: Tensor) -> Tensor:
        inner = functional.conv3d(normed(f"{name}.norm1", x), tensors[f"{name}.conv1.conv.weight"], padding=1)
        return x + functional.conv3d(normed(f"{name}.norm2", inner), tensors[f"{name}.conv2.conv.weight"], padding=1)

    x = functional.conv3d(x, tensors["convInit.conv.weight"], padding=1)
    skips = []
    for level, count in enumerate(DOWN):
        if level:
            x = functional.conv3d(x, tensors[f"down_layers.{level}.0.conv.weight"], stride=2, padding=1)
        for number in range(count):
            x = block(f"down_layers.{level}.{number + 1}", x)
        skips.append(x)
    skips.pop()
    for level, count in enumerate(UP):
        x = functional.conv3d(x, tensors[f"up_samples.{level}.0.conv.weight"])
        x = functional.interpolate(x, scale_factor=2, mode="trilinear", align_corners=False) + skips.pop()
        for number in range(count):
            x = block(f"up_layers.{level}.{number}", x)
    x = normed("conv_final.0", x)
    return functional.conv3d(x, tensors["conv_final.2.conv.weight"], tensors["conv_final.2.conv.bias"])


# --- Swin UNETR ---

HEADS, BLOCKS = (3, 6, 12, 24), 2


def swin_unetr(width: int = 48, classes: int = 14, window: int = 7, make: Values | None = None) -> dict[str, Tensor]:
    """Swin UNETR: 159 tensors, 157 without `out`."""
    make = make or Values(3)
    tensors: dict[str, Tensor] = {}

    def linear(name: str, outputs: int, inputs: int) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = make.kernel(outputs, inputs), make.around(0, outputs)

    def norm(name: str, channels: int) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = make.around(1, channels), make.around(0, channels)

    tensors["swinViT.patch_embed.proj.weight"] = make.kernel(width, 1, 2, 2, 2)
    tensors["swinViT.patch_embed.proj.bias"] = make.around(0, width)
    for stage, heads in enumerate(HEADS):
        channels, layer = width * 2**stage, f"swinViT.layers{stage + 1}.0"
        for number in range(BLOCKS):
            block = f"{layer}.blocks.{number}"
            norm(f"{block}.norm1", channels)
            tensors[f"{block}.attn.relative_position_bias_table"] = make.around(0, (2 * window - 1) ** 3, heads)
            tensors[f"{block}.attn.relative_position_index"] = relative_index(window)
            linear(f"{block}.attn.qkv", 3 * channels, channels)
            linear(f"{block}.attn.proj", channels, channels)
            norm(f"{block}.norm2", channels)
            linear(f"{block}.mlp.linear1", 4 * channels, channels)
            linear(f"{block}.mlp.linear2", channels, 4 * channels)
        tensors[f"{layer}.downsample.reduction.weight"] = make.kernel(2 * channels, 8 * channels)
        norm(f"{layer}.downsample.norm", 8 * channels)

    def residual(name: str, inputs: int, outputs: int) -> None:
        tensors[f"{name}.conv1.conv.weight"] = make.kernel(outputs, inputs, 3, 3, 3)
        tensors[f"{name}.conv2.conv.weight"] = make.kernel(outputs, outputs, 3, 3, 3)
        if inputs != outputs:
            tensors[f"{name}.conv3.conv.weight"] = make.kernel(outputs, inputs, 1, 1, 1)

    for number, inputs, outputs in [(1, 1, width)] + [(n, w, w) for n, w in _skips(width)]:
        residual(f"encoder{number}.layer", inputs, outputs)
    for number, inputs, outputs in _ups(width):
        tensors[f"decoder{number}.transp_conv.conv.weight"] = make.kernel(inputs, outputs, 2, 2, 2)
        residual(f"decoder{number}.conv_block", 2 * outputs, outputs)
    tensors["out.conv.conv.weight"] = make.kernel(classes, width, 1, 1, 1)
    tensors["out.conv.conv.bias"] = make.around(0, classes)
    return tensors


def _skips(width: int) -> list[tuple[int, int]]:
    return [(2, width), (3, 2 * width), (4, 4 * width), (10, 16 * width)]


def _ups(width: int) -> list[tuple[int, int, int]]:
    channels = [times * width for times in (16, 8, 4, 2, 1, 1)]
    return [(5 - level, *pair) for level, pair in enumerate(itertools.pairwise(channels))]


def relative_index(window: int) -> Tensor:
    """Entry of the bias table for each pair of tokens of a window."""
    places = torch.tensor(list(itertools.product(range(window), repeat=3)))
    apart = places[:, None] - places[None] + window - 1
    side = 2 * window - 1
    return apart[..., 0] * side * side + apart[..., 1] * side + apart[..., 2]


def swin_features(tensors: dict[str, Tensor], x: Tensor, prefix: str = "", window: int = 7) -> tuple[Tensor, Tensor]:
    """Bottleneck and last features of Swin UNETR on (batch, 1, x, y, z)."""

    def get(name: str) -> Tensor:
        return tensors[prefix + name]

    def normed(name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], get(f"{name}.weight"), get(f"{name}.bias"))

    def linear(name: str, x: Tensor) -> Tensor:
        return functional.linear(x, get(f"{name}.weight"), get(f"{name}.bias"))

    def attended(name: str, x: Tensor, heads: int, shifted: bool) -> Tensor:
        """Attention within windows of tokens (batch, x, y, z, channel)."""
        batch, *size, channels = x.shape
        edge = [min(window, length) for length in size]
        shift = [window // 2 if shifted and length > window else 0 for length in size]
        padded = [-(-length // e) * e for length, e in zip(size, edge, strict=True)]
        grown = x.new_zeros(batch, *padded, channels)
        grown[:, : size[0], : size[1], : size[2]] = x
        grown = grown.roll([-s for s in shift], (1, 2, 3))
        # Tokens that came round from the other side must not look at their new neighbours.
        zone = torch.zeros(padded, dtype=torch.long)
        for axis, (length, e, s) in enumerate(zip(padded, edge, shift, strict=True)):
            if s:
                place = torch.arange(length)
                number = (place >= length - e).long() + (place >= length - s).long()
                zone += number.view([-1 if a == axis else 1 for a in range(3)]) * 3**axis
        result = torch.zeros_like(grown)
        tokens = edge[0] * edge[1] * edge[2]
        bias = get(f"{name}.relative_position_bias_table")[relative_index(window)[:tokens, :tokens]].permute(2, 0, 1)
        for corner in itertools.product(*(range(0, length, e) for length, e in zip(padded, edge, strict=True))):
            box = tuple(slice(c, c + e) for c, e in zip(corner, edge, strict=True))
            inside = grown[(slice(None), *box)].reshape(batch, tokens, channels)
            q, k, v = linear(f"{name}.qkv", inside).view(batch, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
            scores = (q * (channels // heads) ** -0.5) @ k.transpose(-2, -1) + bias
            if any(shift):
                own = zone[box].reshape(tokens)
                scores = scores + torch.where(own[:, None] == own[None], 0.0, -100.0)
            out = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, *edge, channels)
            result[(slice(None), *box)] = linear(f"{name}.proj", out)
        return result.roll(shift, (1, 2, 3))[:, : size[0], : size[1], : size[2]]

    def stage(number: int, x: Tensor) -> Tensor:
        layer, heads = f"swinViT.layers{number}.0", HEADS[number - 1]
        x = x.movedim(1, -1)
        for block in range(BLOCKS):
            name = f"{layer}.blocks.{block}"
            x = x + attended(f"{name}.attn", normed(f"{name}.norm1", x), heads, shifted=block % 2 == 1)
            inner = functional.gelu(linear(f"{name}.mlp.linear1", normed(f"{name}.norm2", x)))
            x = x + linear(f"{name}.mlp.linear2", inner)
        if any(length % 2 for length in x.shape[1:4]):
            x = functional.pad(x, [0, 0, 0, x.shape[3] % 2, 0, x.shape[2] % 2, 0, x.shape[1] % 2])
        joined = torch.cat([x[:, a::2, b::2, c::2] for a, b, c in NEIGHBOURS], -1)
        return functional.linear(
            normed(f"{layer}.downsample.norm", joined), get(f"{layer}.downsample.reduction.weight")
        ).movedim(-1, 1)

    def residual(name: str, x: Tensor) -> Tensor:
        inner = functional.conv3d(x, get(f"{name}.conv1.conv.weight"), padding=1)
        inner = functional.leaky_relu(functional.instance_norm(inner), 0.01)
        inner = functional.instance_norm(functional.conv3d(inner, get(f"{name}.conv2.conv.weight"), padding=1))
        if f"{prefix}{name}.conv3.conv.weight" in tensors:
            x = functional.instance_norm(functional.conv3d(x, get(f"{name}.conv3.conv.weight")))
        return functional.leaky_relu(inner + x, 0.01)

    def plain(x: Tensor) -> Tensor:
        return functional.layer_norm(x.movedim(1, -1), x.shape[1:2]).movedim(-1, 1)

    tokens = functional.conv3d(
        x, get("swinViT.patch_embed.proj.weight"), get("swinViT.patch_embed.proj.bias"), stride=2
    )
    states = [tokens]
    for number in (1, 2, 3, 4):
        states.append(stage(number, states[-1]))
    skips = [residual("encoder1.layer", x)]
    skips += [residual(f"encoder{n + 2}.layer", plain(states[n])) for n in range(3)]
    skips.append(plain(states[3]))
    bottleneck = up = residual("encoder10.layer", plain(states[4]))
    for number in (5, 4, 3, 2, 1):
        up = functional.conv_transpose3d(up, get(f"decoder{number}.transp_conv.conv.weight"), stride=2)
        up = residual(f"decoder{number}.conv_block", torch.cat((up, skips.pop()), dim=1))
    return bottleneck, up
