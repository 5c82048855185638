"""The published checkpoints we know: where they come from, their terms, what they were trained on and expect.

Facts only, from the publications and their repositories; which of them a file is, is told by the names of its tensors
and how they are nested. Sources: Zhou et al. 2021 (Models Genesis), Li et al. 2024 (SuPreM), Tang et al. 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from genesis_core.model.card import LabelEntry
from genesis_core.model.checkpoint_file import CheckpointFile
from genesis_core.model.layout import Contents, Layout
from genesis_core.model.published_classes import SUPREM_STRUCTURES
from genesis_core.model.published_segresnet import SEGRESNET
from genesis_core.model.published_swin_unetr import SWIN_UNETR
from genesis_core.model.published_unet import UNET
from genesis_core.volumes.intensity import WindowIntensity
from genesis_core.volumes.preprocessing import Preprocessing

LAYOUTS: tuple[Layout, ...] = (UNET, SEGRESNET, SWIN_UNETR)
# 64 x 64 x 32 (x, y, z) as published. Source: Zhou et al. 2021, sec. 3.
_GENESIS_PATCH = (32, 64, 64)
_CUBE = (96, 96, 96)
_GENESIS_LICENCE = (
    "Arizona State University licence of the Models Genesis code: academic, non-commercial use only. "
    "Terms of the weights themselves: as stated where the file was downloaded; check them before use."
)
_SUPREM_LICENCE = (
    "apache-2.0 according to the metadata of the weights' repository on Hugging Face, which has no model card; the "
    "SuPreM code is CC BY-NC-ND 4.0, (c) Johns Hopkins, and its authors state patents pending. Check before use."
)
_SWIN_LICENCE = (
    "Apache-2.0 (MONAI research contributions) for the code; terms of the weights: as stated where the file was "
    "downloaded; check them before use."
)
_AS_SCANNED = (
    "Published training ignored the voxel spacing of its scans and cut cubes of 64 x 64 x 32 voxels (x, y, z)."
)
_BATCH_STATISTICS = (
    "Its norm uses the batch's own statistics in evaluation too, so a result depends on what shares its batch."
)
_REVERSED = "Converted from the published layout: kernel axes reversed once, so that the network takes (z, y, x)."
_SWIN_NOTE = (
    "Computes in the axis order (x, y, z) and with the token merging of MONAI before 1.5, to which its weights are "
    "bound; the network turns its input and output itself."
)
_CROPPED = "Published training cropped scans to what lies above the window's lower end; here nothing is cropped."
_ALIKE = (
    "Files of the CLIP-Driven Universal Model (Liu et al. 2023) are laid out alike and cannot be told from SuPreM's."
)
_SUPREM_PREPROCESSING = Preprocessing(
    modality="ct", axis_codes="RAS", spacing=(1.5, 1.5, 1.5), intensity=WindowIntensity(low=-175.0, high=250.0)
)
_SUPREM_DATA = "2,100 abdominal CT of public sets, each labelled for some of 32 classes"
_SUPREM_LOSS = "binary cross-entropy and soft Dice of each class, one against the rest"


@dataclass(frozen=True)
class PublishedSource:
    """One published checkpoint.

    name: ours. file, repository: on Hugging Face; empty where the weights are handed out elsewhere. sha256: of that
    file, where one is known. task: what it did, head and all. head: whether the file's plain last layer is of use.
    is_it: tells from a file's contents and nesting.
    """

    name: str
    title: str
    layout: Layout
    file: str
    repository: str
    licence: str
    trained_on: str
    preprocessing: Preprocessing
    patch_size: tuple[int, int, int]
    task: Literal["restoration", "segmentation", "pretraining"]
    loss: str
    is_it: Callable[[Contents, CheckpointFile], bool]
    head: bool = True
    structures: tuple[LabelEntry, ...] = ()
    notes: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def place(self) -> str:
        """Where `import-weights` can fetch it from, or the file's name where it cannot."""
        return f"hf://{self.repository}/{self.file}" if self.repository else self.file


def _has_text_head(contents: Contents, _file: CheckpointFile) -> bool:
    return contents.classes_of_text_head > 0 or any(name.startswith("organ_embedding") for name in contents.tensors)


def _restores(contents: Contents, file: CheckpointFile) -> bool:
    """Whether it is a U-Net of one output, or none, that no program of SuPreM has fine-tuned."""
    one_output = contents.layout.settings(contents.own()).out_channels == 1
    return one_output and file.nested != "net" and not _has_text_head(contents, file)


def _has_32_outputs(contents: Contents, _file: CheckpointFile) -> bool:
    return contents.layout.settings(contents.own()).out_channels == len(SUPREM_STRUCTURES)


def _self_supervised(contents: Contents, file: CheckpointFile) -> bool:
    return file.nested == "state_dict" and not _has_text_head(contents, file)


SOURCES: tuple[PublishedSource, ...] = (
    PublishedSource(
        name="genesis_chest_ct",
        title="Models Genesis, chest CT (Zhou et al. 2021)",
        layout=UNET,
        file="self_supervised_models_genesis_unet_620.pt",
        repository="MrGiovanni/SuPreM",
        licence=_GENESIS_LICENCE,
        trained_on="LUNA16 chest CT, 445 for training, 178 for validation, if this is the published Genesis_Chest_CT",
        preprocessing=Preprocessing(
            modality="ct", axis_codes="LPS", spacing=None, intensity=WindowIntensity(low=-1000.0, high=1000.0)
        ),
        patch_size=_GENESIS_PATCH,
        task="restoration",
        loss="mean squared error of the sigmoid output",
        is_it=_restores,
        notes=(_REVERSED, _AS_SCANNED, _BATCH_STATISTICS),
    ),
    PublishedSource(
        name="suprem_unet",
        title="SuPreM U-Net (Li et al. 2024)",
        layout=UNET,
        file="supervised_suprem_unet_2100.pth",
        repository="MrGiovanni/SuPreM",
        licence=_SUPREM_LICENCE,
        trained_on=_SUPREM_DATA,
        preprocessing=_SUPREM_PREPROCESSING,
        patch_size=_CUBE,
        task="segmentation",
        loss=_SUPREM_LOSS,
        is_it=_has_text_head,
        structures=SUPREM_STRUCTURES,
        notes=(_REVERSED, _BATCH_STATISTICS, _CROPPED, _ALIKE),
    ),
    PublishedSource(
        name="suprem_segresnet",
        title="SuPreM SegResNet (Li et al. 2024)",
        layout=SEGRESNET,
        file="supervised_suprem_segresnet_2100.pth",
        repository="MrGiovanni/SuPreM",
        licence=_SUPREM_LICENCE,
        trained_on=_SUPREM_DATA,
        preprocessing=_SUPREM_PREPROCESSING,
        patch_size=_CUBE,
        task="segmentation",
        loss=_SUPREM_LOSS,
        is_it=_has_32_outputs,
        structures=SUPREM_STRUCTURES,
        notes=(_REVERSED, _CROPPED),
        sha256="2db81dc05cd9ea7234ca75e921e53e32b8716dc4cba88a6710742bfc282589a3",
    ),
    PublishedSource(
        name="suprem_swin_unetr",
        title="SuPreM Swin UNETR (Li et al. 2024)",
        layout=SWIN_UNETR,
        file="supervised_suprem_swinunetr_2100.pth",
        repository="MrGiovanni/SuPreM",
        licence=_SUPREM_LICENCE,
        trained_on=_SUPREM_DATA,
        preprocessing=_SUPREM_PREPROCESSING,
        patch_size=_CUBE,
        task="segmentation",
        loss=_SUPREM_LOSS,
        is_it=_has_text_head,
        structures=SUPREM_STRUCTURES,
        notes=(_SWIN_NOTE, _CROPPED, _ALIKE),
    ),
    PublishedSource(
        name="swin_unetr_5050",
        title="Self-supervised Swin UNETR, 5,050 CT (Tang et al. 2022)",
        layout=SWIN_UNETR,
        file="self_supervised_nv_swin_unetr_5050.pt",
        repository="MrGiovanni/SuPreM",
        licence=_SWIN_LICENCE,
        trained_on="5,050 CT of public sets: chest, abdomen, head and neck",
        preprocessing=Preprocessing(
            modality="ct", axis_codes="RAS", spacing=None, intensity=WindowIntensity(low=-1000.0, high=1000.0)
        ),
        patch_size=_CUBE,
        task="pretraining",
        loss="in-painting, contrast and rotation",
        is_it=_self_supervised,
        head=False,
        notes=(_SWIN_NOTE, "Published training took scans as they were spaced."),
    ),
)


def find_source(contents: Contents, file: CheckpointFile) -> PublishedSource | None:
    """Return which published checkpoint a file is, or None for another one in a known layout."""
    same = [source for source in SOURCES if source.layout is contents.layout]
    return next((source for source in same if source.is_it(contents, file)), None)
