"""The nearest transforms of other libraries, for windows and boxes of the published sizes, and the published style.

MONAI has no Bezier curve and no recipe; its nearest transforms do comparable work: RandCoarseShuffle with as many
windows of the same sizes, RandHistogramShift with 10 control points, RandCoarseDropout with noise outside of (or
inside) boxes of the same sizes, and the three composed with the published probabilities. Timed where they are installed
(`pip install torchio batchgeneratorsv2`): TorchIO's and batchgeneratorsv2's gamma curve, and the latter's boxes, filled
in place with one value each. Neither has anything near local shuffling (TorchIO's Swap exchanges whole blocks) or the
outer cut-out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import published_style

Call = Callable[[Any], object]


def peers(shape: tuple[int, ...]) -> dict[str, dict[str, Call]]:
    """Return for each kind of corruption the peers by name; each takes a copy of its own of a float32 sub-volume."""
    found: dict[str, dict[str, Call]] = {
        kind: {"published style": call} for kind, call in published_style.CALLS.items()
    }
    for kind, transform in monai_transforms(shape).items():
        found[kind]["MONAI"] = lambda x, transform=transform: transform(x[None])
    for name, more in (("TorchIO", torchio_transforms), ("batchgeneratorsv2", batchgenerators_transforms)):
        if importlib.util.find_spec(name.lower()):
            for kind, call in more(shape).items():
                found[kind][name] = call
    return found


def monai_transforms(shape: tuple[int, ...]) -> dict[str, Any]:
    import torch
    from monai.transforms import Compose, OneOf, RandCoarseDropout, RandCoarseShuffle, RandHistogramShift

    torch.set_num_threads(1)
    one = [1] * 3
    window = [max(1, n // 10) for n in shape]
    low, high = [n // 6 for n in shape], [n // 3 for n in shape]
    kept_low, kept_high = [n - 4 * n // 7 for n in shape], [n - 3 * n // 7 for n in shape]

    def build(shuffle: float, shift: float, cut: float) -> dict[str, Any]:
        return {
            "local_shuffle": RandCoarseShuffle(holes=10_000, spatial_size=one, max_spatial_size=window, prob=shuffle),
            "nonlinear": RandHistogramShift(num_control_points=10, prob=shift),
            "inner_cutout": RandCoarseDropout(
                holes=5, spatial_size=low, max_spatial_size=high, fill_value=(0.0, 1.0), prob=cut
            ),
            "outer_cutout": RandCoarseDropout(
                holes=5,
                spatial_size=kept_low,
                max_spatial_size=kept_high,
                dropout_holes=False,
                fill_value=(0.0, 1.0),
                prob=cut,
            ),
        }

    found = build(1.0, 1.0, 1.0)
    chain = build(0.5, 0.9, 0.9)
    cuts = OneOf([chain["inner_cutout"], chain["outer_cutout"]], weights=[0.2, 0.8])
    found["chain"] = Compose([chain["local_shuffle"], chain["nonlinear"], cuts]).set_random_state(seed=0)
    return found


def torchio_transforms(_shape: tuple[int, ...]) -> dict[str, Call]:
    import torch
    import torchio

    # The exponent's logarithm: as large as its documentation shows.
    gamma = torchio.RandomGamma(log_gamma=(-0.3, 0.3))
    return {"nonlinear": lambda x: gamma(torch.from_numpy(x[None]))}


def batchgenerators_transforms(shape: tuple[int, ...]) -> dict[str, Call]:
    import torch
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.noise.blank_rectangle import BlankRectangleTransform

    # Upper bounds of numpy's integers are not drawn.
    sides = tuple((length // 6, length // 3 + 1) for length in shape)
    gamma = GammaTransform((0.7, 1.5), p_invert_image=0.5, synchronize_channels=True, p_per_channel=1, p_retain_stats=0)
    boxes = BlankRectangleTransform(sides, (0.0, 1.0), num_rectangles=5)
    return {
        "nonlinear": lambda x: gamma(image=torch.from_numpy(x[None])),
        "inner_cutout": lambda x: boxes(image=torch.from_numpy(x[None])),
    }
