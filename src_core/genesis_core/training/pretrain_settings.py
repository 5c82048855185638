"""Everything a pre-training run is made of, in one model: run.yaml, the command line and the forms come from it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from genesis_core.corruptions.recipe import Recipe
from genesis_core.networks.registry import AnyNetworkSettings, with_defaults
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.sampling.settings import DataSettings, SamplingSettings
from genesis_core.settings import Settings, Words, setting
from genesis_core.training.settings import PUBLISHED, TrainingSettings


def _read_recipe(value: Any) -> Any:
    return Recipe.read(value) if isinstance(value, str | Path) else value


def _complete_network(value: Any) -> Any:
    """Fill in what a partly given network leaves open."""
    return with_defaults(value, _NETWORK, "norm")


# Running averages keep absolute intensities, which instance norm takes away and a restoration has to get right, and
# they do not change with a window's neighbours. Held-out loss after 300 steps on phantoms: batch .0351,
# batch_statistics .0372, instance .0402 (benchmarks/RESULTS.md).
_NETWORK = UNet3DSettings(norm="batch")


class Cases(Settings):
    """The scans of a run by their pseudonyms, so that a resumed or repeated run trains on the same ones."""

    training: Words = setting((), "Scans whose sub-volumes are trained on.")
    validation: Words = setting((), "Scans held out for validation.")


class PretrainSettings(Settings):
    """The complete settings of a pre-training by restoration."""

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[1] = Field(1, alias="schema", description="Version of this file's layout.")
    task: Literal["restoration"] = setting("restoration", "What the network learns: to restore corrupted sub-volumes.")
    data: DataSettings = setting(DataSettings(), "The scans and how they are prepared.")
    cases: Cases | None = setting(None, "Which scans train and which validate; empty: decided at the start.")
    sampling: SamplingSettings = setting(SamplingSettings(), "How sub-volumes are drawn from the scans.")
    recipe: Annotated[Recipe, BeforeValidator(_read_recipe)] = setting(
        "genesis", "Corruptions: a preset or a recipe file."
    )
    loss: Literal["mse", "mae", "ssim"] = setting(
        "mse", "Mean squared error (published), mean absolute error, or 1 - SSIM with a window of 7 voxels."
    )
    loss_region: Literal["everywhere", "replaced"] = setting(
        "everywhere", "Where the loss is measured: everywhere (published), or where a cut-out replaced the voxels."
    )
    validation_samples: int = setting(32, "Sub-volumes of the fixed set that every validation measures.", ge=1, le=4096)
    network: Annotated[AnyNetworkSettings, BeforeValidator(_complete_network)] = setting(
        _NETWORK, "The network that is trained; its norm is batch unless said otherwise."
    )
    training: TrainingSettings = setting(TrainingSettings(), "Optimiser, schedule, budget and precision.")
    corrupt_on: Literal["auto", "cpu", "device"] = setting(
        "auto",
        "Where sub-volumes are corrupted; auto: on the device where that is an NVIDIA or AMD GPU, else on the CPU.",
    )
    seed: int = setting(0, "Every random decision follows from it.", ge=0)
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:1, mps.")
    out: Path | None = setting(None, "Folder of the run, which must not exist yet.")
    resume: Literal["no", "yes", "auto"] = setting(
        "no", "Go on with the run in --out; auto: if there is one, else start it."
    )

    @model_validator(mode="after")
    def _loss_has_voxels(self) -> Self:
        if self.loss_region == "replaced":
            if self.loss == "ssim":
                raise ValueError("loss ssim is one of whole windows; with loss_region replaced, take mse or mae")
            corruptions = [corruption for step in self.recipe.steps for corruption, _ in step.choices]
            if not any(corruption.replaces for corruption in corruptions):
                raise ValueError(
                    f"loss_region replaced needs a recipe with a cut-out, and '{self.recipe.name}' has none; take "
                    "everywhere, or the recipe inpainting"
                )
        return self


# What differs from the defaults, by preset. Source of "published": see training/settings.py; the network keeps batch
# statistics and the flips are those of x and y. "lung_ct" draws air-filled lung only, by the published filter. The last
# three are what Zhou et al. 2021, appendix A, compare with; recipes: corruptions/presets.py.
PRESETS: dict[str, dict[str, Any]] = {
    "standard": {},
    "published": {
        "training": PUBLISHED,
        "network": {"norm": "batch_statistics"},
        "sampling": {"flips": ["x", "y"]},
    },
    "lung_ct": {"data": {"modality": "ct"}, "sampling": {"filter": "lung_ct"}},
    "denoising": {"recipe": "denoising"},
    "inpainting": {"recipe": "inpainting", "loss_region": "replaced"},
    "patch_shuffling": {"recipe": "patch_shuffling"},
}


def with_preset(preset: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` laid over the preset's, group by group."""
    merged: dict[str, Any] = copy.deepcopy(PRESETS[preset])
    for key, value in values.items():
        merged[key] = (
            {**merged[key], **value} if isinstance(merged.get(key), dict) and isinstance(value, dict) else value
        )
    return merged
