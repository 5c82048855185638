"""Everything a fine-tuning run is made of, in one model: run.yaml, the command line and the forms come from it.

What is empty is planned from the data and the machine when the run starts, and written into its run.yaml with a
sentence of reason; what is set is obeyed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator

from genesis_core.networks.initialisation_scheme import Scheme
from genesis_core.networks.registry import AnyNetworkSettings, network_settings, with_defaults
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.sampling.labelled_settings import LabelledSamplingSettings
from genesis_core.settings import Settings, Spacing3, Words, setting
from genesis_core.targets.augmentation_settings import AugmentationSettings
from genesis_core.training.parameter_groups import FreezingSettings
from genesis_core.training.pretrain_settings import Cases
from genesis_core.training.settings import TrainingSettings
from genesis_core.volumes.intensity import Intensity
from genesis_core.volumes.preprocessing import Preprocessing, checked_axis_codes

_NETWORK = UNet3DSettings(norm="instance")


class FinetuneTraining(TrainingSettings):
    """As for every training; averaged weights are steadier than any single state of a short one."""

    batch_size: int = setting(2, "Sub-volumes per forward and backward pass.", ge=1, le=4096)
    ema: float | None = setting(
        0.999, "Decay of the running average of the weights, which is then validated and kept; None: none.", gt=0, lt=1
    )


class LabelledDataSettings(Settings):
    """Which labelled cases are used, and how they are prepared."""

    labelled: Path | None = setting(
        None, "Labelled folder in any of the known layouts, or a table of images and labels."
    )
    layout: str | None = setting(None, "Name of the folder's layout; empty: recognised.")
    labels: str | None = setting(None, "Which set of labels, where the folder holds several.")
    names: dict[int, str] = setting(
        {},
        "Names of labels that are numbers alone, such as {1: liver, 2: spleen}, as a file label_names.csv would have "
        "them; a number without a name is then no structure.",
    )
    structures: Words = setting((), "Names of the structures to learn; empty: all there are.")
    regions: dict[str, Words] = setting(
        {}, "Structures made of others, by name: whole tumour: [core, oedema]. Where given, only these are learnt."
    )
    subject_pattern: str | None = setting(None, "Regular expression with one group, the subject, in a case's name.")
    subjects: Path | None = setting(None, "Table with the columns name and subject.")
    modality: Literal["auto", "ct", "mr"] = setting("auto", "What the scans are; auto: decided from all of them.")
    axis_codes: str = setting("LPS", "Where the axes x, y, z grow toward: one of L/R, one of P/A, one of S/I.")
    spacing: Spacing3 | Literal["as scanned"] | None = setting(
        None, "Voxel spacing x, y, z to resample to, or 'as scanned'; empty: planned.", unit="mm"
    )
    intensity: Intensity | None = setting(
        None, "How scan units are mapped onto [0, 1]; empty: as the source has it, else by modality."
    )
    validation_fraction: float = setting(
        0.2, "Part of the subjects held out, where there is one fold; at least one of two.", ge=0, le=0.9
    )
    cache: Path | None = setting(None, "Folder of the prepared scans; empty: the user's cache folder.")

    @field_validator("names")
    @classmethod
    def _checked_names(cls, names: dict[int, str]) -> dict[int, str]:
        if any(number < 1 for number in names):
            raise ValueError("numbers are named from 1 on; 0 is where nothing is drawn")
        plain = [name.strip() for name in names.values()]
        if not all(plain) or len(set(plain)) < len(plain):
            raise ValueError("each number needs a name of its own")
        return dict(zip(names, plain, strict=True))

    @field_validator("axis_codes")
    @classmethod
    def _complete_codes(cls, codes: str) -> str:
        return checked_axis_codes(codes)

    def preprocessing(self, modality: Literal["ct", "mr"]) -> Preprocessing:
        """Return what is done to every image, once modality and spacing are known."""
        spacing = None if self.spacing == "as scanned" else self.spacing
        return Preprocessing.model_validate(
            {"modality": modality, "axis_codes": self.axis_codes, "spacing": spacing, "intensity": self.intensity}
        )


def _complete_network(value: Any) -> Any:
    """Fill in what a partly given network leaves open, and remember what was given."""
    if not isinstance(value, dict):
        return value
    network = network_settings(with_defaults(value, _NETWORK, "norm"))
    object.__setattr__(network, "__pydantic_fields_set__", set(value))
    return network


class RoundSettings(Settings):
    """How a fine-tuning goes on from an earlier one: with its structures, its network, and whom it held out."""

    previous: Path = setting(..., "Fine-tuning run that is continued: finished, or stopped with a model.")
    start: Literal["previous", "source"] = setting(
        "previous",
        "previous: each training goes on from its own model of that run, with a new optimiser and schedule. source: "
        "begins again as that run began, with all cases.",
    )
    corrected: Path | None = setting(
        None, "Labelled folder whose cases join the training, never the held-out ones; empty: that run's."
    )

    def with_paths_from(self, folder: Path) -> Self:
        """Return these settings with relative paths taken from `folder`."""
        places = {
            name: Path(os.path.normpath(folder / value))
            for name in ("previous", "corrected")
            if (value := getattr(self, name)) is not None
        }
        return self.model_copy(update=places)


class FinetuneSettings(Settings):
    """The complete settings of a fine-tuning for segmentation."""

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[1] = Field(1, alias="schema", description="Version of this file's layout.")
    task: Literal["segmentation"] = setting("segmentation", "What the network learns: to segment structures.")
    data: LabelledDataSettings = setting(LabelledDataSettings(), "The labelled cases and how they are prepared.")
    cases: Cases | None = setting(None, "Which cases train and which validate; empty: decided at the start.")
    folds: int | None = setting(
        None, "Trainings that hold every subject out once; 1: a single one; empty: 5 under 20 subjects.", ge=1, le=20
    )
    source: Path | None = setting(None, "Run or model to start from; empty: from scratch.")
    rounds: RoundSettings | None = setting(
        None, "Continue a run (keys previous, start, corrected): the same cases stay held out; empty: a first training."
    )
    transfer: Literal["auto", "encoder", "encoder+decoder"] = setting(
        "auto", "What is taken from the source; auto: all that it has learnt but the last layer."
    )
    initialisation: Scheme = setting("msra", "Initial weights of convolutions that do not come from a source.")
    freezing: FreezingSettings = setting(FreezingSettings(), "What of the source may change, and how fast.")
    activation: Literal["auto", "softmax", "sigmoid"] = setting(
        "auto", "One class per voxel, or a yes or no per structure; auto: by whether structures overlap."
    )
    sampling: LabelledSamplingSettings = setting(LabelledSamplingSettings(), "How sub-volumes are drawn.")
    augmentation: AugmentationSettings = setting(AugmentationSettings(), "How sub-volumes are varied.")
    validation_samples: int = setting(32, "Sub-volumes of the fixed set that every validation measures.", ge=1, le=4096)
    network: Annotated[AnyNetworkSettings, BeforeValidator(_complete_network)] = setting(
        _NETWORK, "The network; its width and norm are the source's, where there is one."
    )
    training: FinetuneTraining = setting(FinetuneTraining(), "Optimiser, schedule, budget and precision.")
    twins: bool = setting(
        False,
        "Then train it again from scratch at equal budget, and say whether the source helped; takes twice as long "
        "again.",
    )
    plan: dict[str, str] = setting({}, "Why what was planned is as it is; written by the run.")
    seed: int = setting(0, "Every random decision follows from it.", ge=0)
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:1, mps.")
    out: Path | None = setting(None, "Folder of the run, which must not exist yet.")
    resume: Literal["no", "yes", "auto"] = setting(
        "no", "Go on with the run in --out; auto: if there is one, else start it."
    )

    def is_given(self, key: str) -> bool:
        """Whether the user set the dotted key, rather than its default standing there."""
        group: Any = self
        *path, last = key.split(".")
        for name in path:
            if name not in group.model_fields_set:
                return False
            group = getattr(group, name)
        return last in group.model_fields_set

    def with_paths_from(self, folder: Path) -> Self:
        """Return these settings with relative paths taken from `folder`."""
        data = {
            name: Path(os.path.normpath(folder / value))
            for name in ("labelled", "subjects", "cache")
            if (value := getattr(self.data, name)) is not None
        }
        update: dict[str, Any] = {"data": self.data.model_copy(update=data)}
        if self.source is not None:
            update["source"] = Path(os.path.normpath(folder / self.source))
        if self.rounds is not None:
            update["rounds"] = self.rounds.with_paths_from(folder)
        return self.model_copy(update=update)
