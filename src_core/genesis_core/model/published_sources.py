"""The published checkpoints we know: where they come from, their terms, what they were trained on and expect.

Facts only, from the publications and their repositories; which of them a file is, is told by the names of its tensors
and how they are nested. Sources: Zhou et al. 2021 (Models Genesis), Li et al. 2024 (SuPreM), Tang et al. 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from genesis_core.model import published_facts as facts
from genesis_core.model.card import LabelEntry
from genesis_core.model.checkpoint_file import CheckpointFile
from genesis_core.model.layout import Contents, Layout
from genesis_core.model.published_classes import SUPREM_STRUCTURES
from genesis_core.model.published_nnunet import NNUNET
from genesis_core.model.published_resnet import RESNET
from genesis_core.model.published_segresnet import SEGRESNET
from genesis_core.model.published_swin_unetr import SWIN_UNETR
from genesis_core.model.published_unet import HEAD_WEIGHT, UNET
from genesis_core.networks.resnet_settings import BUILDS
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.volumes.intensity import WindowIntensity
from genesis_core.volumes.preprocessing import Preprocessing

LAYOUTS: tuple[Layout, ...] = (UNET, SEGRESNET, SWIN_UNETR, RESNET, NNUNET)


@dataclass(frozen=True)
class PublishedSource:
    """One published checkpoint.

    name: ours. file, repository: on Hugging Face; empty where the weights are handed out elsewhere. sha256: of that
    file, where one is known. task: what it did, head and all. head: whether the file's plain last layer is of use.
    modality: what it has learnt on, where that is more than one kind of scan. is_it: tells from a file's contents and
    nesting.
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
    modality: str = ""

    @property
    def place(self) -> str:
        """Where `import-weights` can fetch it from, or the file's name where it cannot."""
        return f"hf://{self.repository}/{self.file}" if self.repository else self.file


def _has_text_head(contents: Contents, _file: CheckpointFile) -> bool:
    return contents.classes_of_text_head > 0 or any(name.startswith("organ_embedding") for name in contents.tensors)


def _restores(contents: Contents, file: CheckpointFile) -> bool:
    """Whether it is a U-Net of the published size, with its one output, that no program of SuPreM has fine-tuned."""
    own = contents.own()
    # Without its last layer it may as well be SuPreM's, which expects other intensities, axes and spacing.
    published = HEAD_WEIGHT in own and contents.layout.settings(own) == UNet3DSettings()
    return published and file.nested != "net" and not _has_text_head(contents, file)


def _has_32_outputs(contents: Contents, _file: CheckpointFile) -> bool:
    return contents.layout.settings(contents.own()).out_channels == len(SUPREM_STRUCTURES)


def _self_supervised(contents: Contents, file: CheckpointFile) -> bool:
    return file.nested == "state_dict" and not _has_text_head(contents, file)


def _from_nnssl(file: CheckpointFile) -> bool:
    return file.nested == "network_weights" and "nnssl_adaptation_plan" in file.told


def _has_depth(depth: int) -> Callable[[Contents, CheckpointFile], bool]:
    """Return a test for MedicalNet's ResNet of so many layers."""
    return lambda contents, _file: getattr(contents.layout.settings(contents.own()), "depth", None) == depth


def _medicalnet(depth: int) -> PublishedSource:
    """Return what is known of MedicalNet's ResNet of so many layers; the four smaller ones exist for 23 data sets."""
    sets = 23 if depth in facts.ON_23_SETS else 8
    return PublishedSource(
        name=f"medicalnet_resnet{depth}",
        title=f"MedicalNet 3D ResNet-{depth} (Chen et al. 2019)",
        layout=RESNET,
        file=f"resnet_{depth}{'_23dataset' if sets == 23 else ''}.pth",
        repository=f"TencentMedicalNet/MedicalNet-Resnet{depth}",
        licence=facts.MEDICALNET_LICENCE,
        trained_on=f"{sets} public segmentation sets of CT and MR" + (" (3DSeg-8)" if sets == 8 else ""),
        preprocessing=facts.MEDICALNET_PREPROCESSING,
        patch_size=facts.MEDICALNET_PATCH,
        task="pretraining",
        loss="cross-entropy of each data set's structures, with a decoder for each",
        is_it=_has_depth(depth),
        head=False,
        notes=(facts.MEDICALNET_DECODER, facts.MEDICALNET_PREPARED, facts.MEDICALNET_AXES, facts.MEDICALNET_ALIKE),
        sha256=facts.ON_23_SETS.get(depth, ""),
        modality="ct and mr",
    )


SOURCES: tuple[PublishedSource, ...] = (
    PublishedSource(
        name="genesis_chest_ct",
        title="3D U-Net, most likely Models Genesis of chest CT (Zhou et al. 2021)",
        layout=UNET,
        file="self_supervised_models_genesis_unet_620.pt",
        repository="MrGiovanni/SuPreM",
        licence=facts.GENESIS_LICENCE,
        trained_on="LUNA16 chest CT, 445 for training, 178 for validation, if this is the published Genesis_Chest_CT",
        preprocessing=Preprocessing(
            modality="ct", axis_codes="LPS", spacing=None, intensity=WindowIntensity(low=-1000.0, high=1000.0)
        ),
        patch_size=facts.GENESIS_PATCH,
        task="restoration",
        loss="mean squared error of the sigmoid output",
        is_it=_restores,
        notes=(facts.REVERSED, facts.AS_SCANNED, facts.BATCH_STATISTICS, facts.GENESIS_ALIKE),
    ),
    PublishedSource(
        name="suprem_unet",
        title="SuPreM U-Net (Li et al. 2024)",
        layout=UNET,
        file="supervised_suprem_unet_2100.pth",
        repository="MrGiovanni/SuPreM",
        licence=facts.SUPREM_LICENCE,
        trained_on=facts.SUPREM_DATA,
        preprocessing=facts.SUPREM_PREPROCESSING,
        patch_size=facts.CUBE,
        task="segmentation",
        loss=facts.SUPREM_LOSS,
        is_it=_has_text_head,
        structures=SUPREM_STRUCTURES,
        notes=(facts.REVERSED, facts.BATCH_STATISTICS, facts.CROPPED, facts.ALIKE),
    ),
    PublishedSource(
        name="suprem_segresnet",
        title="SuPreM SegResNet (Li et al. 2024)",
        layout=SEGRESNET,
        file="supervised_suprem_segresnet_2100.pth",
        repository="MrGiovanni/SuPreM",
        licence=facts.SUPREM_LICENCE,
        trained_on=facts.SUPREM_DATA,
        preprocessing=facts.SUPREM_PREPROCESSING,
        patch_size=facts.CUBE,
        task="segmentation",
        loss=facts.SUPREM_LOSS,
        is_it=_has_32_outputs,
        structures=SUPREM_STRUCTURES,
        notes=(facts.REVERSED, facts.CROPPED),
        sha256="2db81dc05cd9ea7234ca75e921e53e32b8716dc4cba88a6710742bfc282589a3",
    ),
    PublishedSource(
        name="suprem_swin_unetr",
        title="SuPreM Swin UNETR (Li et al. 2024)",
        layout=SWIN_UNETR,
        file="supervised_suprem_swinunetr_2100.pth",
        repository="MrGiovanni/SuPreM",
        licence=facts.SUPREM_LICENCE,
        trained_on=facts.SUPREM_DATA,
        preprocessing=facts.SUPREM_PREPROCESSING,
        patch_size=facts.CUBE,
        task="segmentation",
        loss=facts.SUPREM_LOSS,
        is_it=_has_text_head,
        structures=SUPREM_STRUCTURES,
        notes=(facts.SWIN_NOTE, facts.CROPPED, facts.ALIKE),
    ),
    PublishedSource(
        name="swin_unetr_5050",
        title="Self-supervised Swin UNETR, most likely of 5,050 CT (Tang et al. 2022)",
        layout=SWIN_UNETR,
        file="self_supervised_nv_swin_unetr_5050.pt",
        repository="MrGiovanni/SuPreM",
        licence=facts.SWIN_LICENCE,
        trained_on="5,050 CT of public sets (chest, abdomen, head and neck), if this is the published file",
        preprocessing=Preprocessing(
            modality="ct", axis_codes="RAS", spacing=None, intensity=WindowIntensity(low=-1000.0, high=1000.0)
        ),
        patch_size=facts.CUBE,
        task="pretraining",
        loss="in-painting, contrast and rotation",
        is_it=_self_supervised,
        head=False,
        notes=(facts.SWIN_NOTE, "Published training took scans as they were spaced.", facts.SWIN_ALIKE),
    ),
    *(_medicalnet(depth) for depth in sorted(BUILDS)),
    PublishedSource(
        name="openmind_resencl_mae",
        title="OpenMind ResEnc-L, masked autoencoder (Wald et al. 2024)",
        layout=NNUNET,
        file="checkpoint_final.pth",
        repository="MIC-DKFZ/ResEncL-OpenMind-MAE",
        licence=facts.OPENMIND_LICENCE,
        trained_on=facts.OPENMIND_DATA,
        preprocessing=facts.OPENMIND_PREPROCESSING,
        patch_size=facts.OPENMIND_PATCH,
        task="pretraining",
        loss="squared error of voxels that were masked",
        is_it=lambda _contents, file: _from_nnssl(file) and file.digest == facts.OPENMIND_MAE,
        head=False,
        notes=facts.OPENMIND_NOTES,
        sha256=facts.OPENMIND_MAE,
    ),
    PublishedSource(
        name="openmind_resencl",
        title="ResEnc-L pre-trained with nnssl, most likely of OpenMind (Wald et al. 2024)",
        layout=NNUNET,
        file="checkpoint_final.pth of MIC-DKFZ/ResEncL-OpenMind-VoCo, -VF, -MG, -SimCLR and others",
        repository="",
        licence=facts.OPENMIND_LICENCE,
        trained_on=facts.OPENMIND_DATA + ", if it is one of OpenMind's",
        preprocessing=facts.OPENMIND_PREPROCESSING,
        patch_size=facts.OPENMIND_PATCH,
        task="pretraining",
        loss="as its name says; the file alone does not tell",
        is_it=lambda _contents, file: _from_nnssl(file),
        head=False,
        notes=(*facts.OPENMIND_NOTES, "Any other checkpoint of nnssl, for instance nnFoundation's, is laid out alike."),
    ),
)


def find_source(contents: Contents, file: CheckpointFile) -> PublishedSource | None:
    """Return which published checkpoint a file is, or None for another one in a known layout."""
    same = [source for source in SOURCES if source.layout is contents.layout]
    return next((source for source in same if source.is_it(contents, file)), None)
