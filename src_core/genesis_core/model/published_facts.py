"""What is known of published checkpoints, as the sentences and figures their cards and `--list` show.

From the publications and their repositories; what nobody here could see for themselves is said to be so.
"""

from __future__ import annotations

from genesis_core.model.nnunet_plans import DEVIATIONS
from genesis_core.volumes.intensity import WindowIntensity, ZScoreIntensity
from genesis_core.volumes.preprocessing import Preprocessing

# 64 x 64 x 32 (x, y, z) as published. Source: Zhou et al. 2021, sec. 3.
GENESIS_PATCH = (32, 64, 64)
CUBE = (96, 96, 96)
GENESIS_LICENCE = (
    "Arizona State University licence of the Models Genesis code: academic, non-commercial use only. "
    "Terms of the weights themselves: as stated where the file was downloaded; check them before use."
)
SUPREM_LICENCE = (
    "apache-2.0 according to the metadata of the weights' repository on Hugging Face, which has no model card; the "
    "SuPreM code is CC BY-NC-ND 4.0, (c) Johns Hopkins, and its authors state patents pending. Check before use."
)
SWIN_LICENCE = (
    "Apache-2.0 (MONAI research contributions) for the code; terms of the weights: as stated where the file was "
    "downloaded; check them before use."
)
AS_SCANNED = "Published training ignored the voxel spacing of its scans and cut cubes of 64 x 64 x 32 voxels (x, y, z)."
GENESIS_ALIKE = (
    "A file of the same network, fine-tuned from it to one output, is laid out alike and cannot be told from it: if "
    "this is one, its output is a structure and no restored scan, and what it expects is not what this card says."
)
SWIN_ALIKE = (
    "A Swin UNETR that somebody fine-tuned and saved under state_dict is laid out alike and cannot be told from it: if "
    "this is one, what it expects is not what this card says."
)
BATCH_STATISTICS = (
    "Its norm uses the batch's own statistics in evaluation too, so a result depends on what shares its batch."
)
REVERSED = "Converted from the published layout: kernel axes reversed once, so that the network takes (z, y, x)."
SWIN_NOTE = (
    "Computes in the axis order (x, y, z) and with the token merging of MONAI before 1.5, to which its weights are "
    "bound; the network turns its input and output itself."
)
CROPPED = "Published training cropped scans to what lies above the window's lower end; here nothing is cropped."
ALIKE = (
    "Files of the CLIP-Driven Universal Model (Liu et al. 2023) are laid out alike and cannot be told from SuPreM's."
)
SUPREM_PREPROCESSING = Preprocessing(
    modality="ct", axis_codes="RAS", spacing=(1.5, 1.5, 1.5), intensity=WindowIntensity(low=-175.0, high=250.0)
)
SUPREM_DATA = "2,100 abdominal CT of public sets, each labelled for some of 32 classes"
SUPREM_LOSS = "binary cross-entropy and soft Dice of each class, one against the rest"
MEDICALNET_LICENCE = (
    "MIT, (c) Tencent: the MedicalNet repository, which hands out the weights. The data sets they were learnt on have "
    "terms of their own, which are not stated there; check before use."
)
MEDICALNET_PREPROCESSING = Preprocessing(
    modality="mr", axis_codes="LPS", spacing=None, intensity=ZScoreIntensity(limit=DEVIATIONS)
)
# Input of the published demonstration, (z, y, x). Source: its settings.
MEDICALNET_PATCH = (56, 448, 448)
# ResNets that were published for 23 data sets -> SHA-256 of the file, where others have written it down.
ON_23_SETS = {
    10: "afa8055f3e47f4a18239495d92a7abc587902c69c31c743de2b2784653b72605",
    18: "61224f9317fcce873366deb3703183e92cc47325b726b69691b33536244e10f4",
    34: "",
    50: "",
}
MEDICALNET_DECODER = "The encoder alone is published: the decoder is ours and was started at random."
MEDICALNET_PREPARED = (
    "Published: mean and deviation of the voxels above 0, noise where a scan is 0, the scan resized to 56 x 448 x 448. "
    "Here: mean and deviation of all voxels, nothing painted over, no resizing; the network turns 0 to 1 back into "
    f"-{DEVIATIONS:g} to {DEVIATIONS:g} deviations, beyond which values are clipped."
)
MEDICALNET_AXES = (
    "Kernels are taken as (z, y, x), as the published reading code names its axes; that code transposes nothing itself."
)
MEDICALNET_ALIKE = (
    "Files learnt on 8 and on 23 data sets are laid out alike and cannot be told apart. MONAI's ResNet halves the "
    "resolution where this one dilates, and computes something else from the same file."
)
OPENMIND_LICENCE = (
    "CC BY 4.0 according to the model cards on Hugging Face; code and data have licences of their own. Check first."
)
OPENMIND_DATA = "OpenMind: 114,000 public MRI volumes of the head"
OPENMIND_PREPROCESSING = Preprocessing(
    modality="mr", axis_codes="LPS", spacing=(1.0, 1.0, 1.0), intensity=ZScoreIntensity(limit=DEVIATIONS)
)
OPENMIND_PATCH = (160, 160, 160)
# As another project that downloaded it has written down.
OPENMIND_MAE = "7a847af785635335c00e711d16ff4d225d86ecd5992b14c059df2b520e3ee933"
OPENMIND_NOTES = (
    "nnssl takes scans in the orientation they are stored in; here they are turned to LPS first. z-scores beyond "
    f"{DEVIATIONS:g} deviations are clipped.",
    "Its authors recommend to fine-tune it, and not to use its features as they are.",
)
