"""Real open scans for File > Open Sample: where each lies, byte for byte, under which terms, and whom to name.

Each is fetched once from the public repository that publishes it, at a fixed commit, and checked by its SHA-256.
"""

from __future__ import annotations

from dataclasses import dataclass

HOST = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class SourceFile:
    """One published file. repository: owner/name; commit: of the version; path: in it; sha256: of its bytes."""

    repository: str
    commit: str
    path: str
    sha256: str

    @property
    def url(self) -> str:
        """The address of the raw file at that commit."""
        return f"{HOST}/{self.repository}/{self.commit}/{self.path}"


@dataclass(frozen=True)
class Sample:
    """One scan, with labels where there are any. structures: number -> name. licence, attribution: to be shown."""

    name: str
    image: SourceFile
    licence: str
    attribution: str
    labels: SourceFile | None = None
    structures: tuple[tuple[int, str], ...] = ()


_TOTALSEGMENTATOR = (
    "TotalSegmentator (Wasserthal et al. 2023, doi 10.1148/ryai.230024), test files; the labels are its output, not"
    " drawn by experts"
)

SAMPLES = {
    "abdomen_ct": Sample(
        name="abdomen and pelvis CT",
        image=SourceFile(
            "wasserth/TotalSegmentator",
            "0e65a448d557382b1e925276212b3bec7f5aff83",
            "tests/reference_files/example_ct.nii.gz",
            "dbd3ae6d614d1d7ef3a46925c30c70038ed52da6b37fdd6afdc7b9b71387e3e1",
        ),
        licence="Apache-2.0",
        attribution=_TOTALSEGMENTATOR,
        labels=SourceFile(
            "wasserth/TotalSegmentator",
            "0e65a448d557382b1e925276212b3bec7f5aff83",
            "tests/reference_files/spine_report/example_ct_report/totalseg.nii.gz",
            "1dee90b23f201480e42211527b1e3acefd99c22e21291ef319a95d0b460d7376",
        ),
        structures=(
            (25, "sacrum"),
            (26, "vertebra S1"),
            (27, "vertebra L5"),
            (28, "vertebra L4"),
            (29, "vertebra L3"),
            (30, "vertebra L2"),
            (31, "vertebra L1"),
            (32, "vertebra T12"),
            (33, "vertebra T11"),
        ),
    ),
    "chest_ct": Sample(
        name="chest CT with contrast",
        image=SourceFile(
            "wasserth/TotalSegmentator",
            "0e65a448d557382b1e925276212b3bec7f5aff83",
            "tests/reference_files/aorta_report/test_result/models/ct_cropped.nii.gz",
            "f776ecfa1326e7e21a8c30e5530f517c16f16a59a68fc06e8119cefc7c3b87a0",
        ),
        licence="Apache-2.0",
        attribution=_TOTALSEGMENTATOR,
        labels=SourceFile(
            "wasserth/TotalSegmentator",
            "0e65a448d557382b1e925276212b3bec7f5aff83",
            "tests/reference_files/aorta_report/test_result/models/organ_aorta_T264.nii.gz",
            "a418ef39cba8e2dc80fbb0531560f5b2b53741dd453b6ecca16febb2c7c0fb47",
        ),
        structures=((1, "aorta"),),
    ),
    "sarcoma_ct": Sample(
        name="CT of a soft-tissue sarcoma",
        image=SourceFile(
            "theibsi/data_sets",
            "6da96021bc91faf4c0cb7fd7fa56a4225d2064a8",
            "ibsi_validation/nifti/STS_002/CT_image.nii.gz",
            "9f8a7676fc019abb9a1137bf3a31f87ed822fc2be211b141caf54b4fba5ac422",
        ),
        licence="CC BY 3.0",
        attribution="IBSI; TCIA Soft-tissue-Sarcoma (Vallières et al. 2015, doi 10.7937/K9/TCIA.2015.7GO2GSKS)",
        labels=SourceFile(
            "theibsi/data_sets",
            "6da96021bc91faf4c0cb7fd7fa56a4225d2064a8",
            "ibsi_validation/nifti/STS_002/CT_mask.nii.gz",
            "5af62399b5696902714740358dc7fe5ffe0bad3c80558c9c7d56225cf3214b30",
        ),
        structures=((1, "tumour"),),
    ),
    "head_mr": Sample(
        name="head MR, multiple sclerosis, FLAIR",
        image=SourceFile(
            "muschellij2/open_ms_data",
            "65704901f60650824565aa5a4818611aa89716f4",
            "longitudinal/raw/patient01/study1_FLAIR.nii.gz",
            "3a2ab438704776ad75b67cd8609740a14782cc590b26fc695dff4216ad67d231",
        ),
        licence="CC BY",
        attribution="University of Ljubljana (Lesjak et al. 2016, 2017)",
    ),
    "stroke_mr": Sample(
        name="head MR after a stroke, T1",
        image=SourceFile(
            "neurolabusc/VolumeRenderingData",
            "d15be4d1863d1372270e38d8fe95bffaf80cce3a",
            "stroke/T1.nii.gz",
            "8e28e653578a2cd21d15064da5b089db16a205887c76baed8a65d01e8f2ab79e",
        ),
        licence="MIT",
        attribution="neurolabusc, VolumeRenderingData",
    ),
}
