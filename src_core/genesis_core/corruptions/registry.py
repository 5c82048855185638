"""The corruptions there are: recipes, forms, documentation and tests all go by this list."""

from __future__ import annotations

from genesis_core.corruptions.corruption import Corruption
from genesis_core.corruptions.gaussian_noise import GaussianNoise
from genesis_core.corruptions.inner_cutout import InnerCutout
from genesis_core.corruptions.local_shuffle import LocalShuffle
from genesis_core.corruptions.nonlinear import Nonlinear
from genesis_core.corruptions.outer_cutout import OuterCutout
from genesis_core.corruptions.patch_shuffle import PatchShuffle

# The kind written in recipes -> its class.
CORRUPTIONS: dict[str, type[Corruption]] = {
    "local_shuffle": LocalShuffle,
    "nonlinear": Nonlinear,
    "inner_cutout": InnerCutout,
    "outer_cutout": OuterCutout,
    "gaussian_noise": GaussianNoise,
    "patch_shuffle": PatchShuffle,
}
