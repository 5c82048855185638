"""What becomes of each real file: read, read and something said, asked for a setting, or refused with the reason.

Sound files are compared with SimpleITK and nibabel, voxel by voxel and place by place. `python test_every_real_file.py`
prints the table for all files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from genesis_core.errors import VolumeError
from genesis_core.volumes.reading import read_frames, read_header, read_volume

FOLDER = Path(os.environ.get("GENESIS_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))


@dataclass(frozen=True)
class Fate:
    """What must happen to a file. words: what must be said, each of them."""

    kind: str
    words: tuple[str, ...] = ()
    setting: tuple[str, object] | None = None


# What is not here is read, and nothing said.
FATES = {
    "awkward/diffusion_4d.nii.gz": Fate("asks", ("2 frames", "frame=0 to 1", "as channels"), ("frame", 1)),
    "awkward/fmri_4d.nii.gz": Fate("asks", ("30 frames", "frame=0 to 29", "as channels"), ("frame", 29)),
    "awkward/gantry_tilt_sheared.nii.gz": Fate(
        "asks", ("not at right angles", "35.6 mm", "resample_shear=True"), ("resample_shear", True)
    ),
    "awkward/lfs_pointer.mha": Fate("refused", ("git-LFS pointer", "git lfs pull")),
    "awkward/nan_inf.nii.gz": Fate("read, and says", ("2,810 not-a-number and 3 infinite", "smallest finite value, 5")),
    "awkward/perfusion_rgb24.nii.gz": Fate("refused", ("3 values per voxel (colours",)),
    "awkward/single_slice.nii.gz": Fate("read, and says", ("too thin for 3D work",)),
    "awkward/truncated.dcm": Fate("refused", ("truncated", "62 of 8,192 bytes")),
    "awkward/truncated.nii.gz": Fate("refused", ("truncated", "ends too early")),
    "dicom/brain_mr_tagged_ct": Fate("read, and says", ("tag says CT, but that is doubted",)),
    "dicom/chest_ct_lidc0002_slab": Fate("read, and says", ("below -1024 HU", "outside the field of view")),
    "dicom/sarcoma_STS008_ct_rtstruct": Fate("read, and says", ("RT structure set",)),
    "dicom/sarcoma_STS008_mr_rtstruct": Fate("read, and says", ("RT structure set",)),
}
# Voxel files of a header, and lists: no scans by themselves.
NO_SCANS = ("awkward/luna_style.raw", "labelled/totalseg_multiorgan/label_names.csv")


def real_scans(folder: Path) -> list[str]:
    """Every file of the folders of scans, and every DICOM folder, by relative path."""
    if not folder.is_dir():
        return []
    files = [
        path.relative_to(folder).as_posix()
        for part in ("awkward", "ct", "labelled", "mri")
        for path in (folder / part).rglob("*")
        if path.is_file()
    ]
    dicom = [path.relative_to(folder).as_posix() for path in (folder / "dicom").iterdir()]
    return sorted(name for name in [*files, *dicom] if name not in NO_SCANS)


def outcome(path: Path) -> tuple[str, str]:
    """Return what happens when a scan is read, and what is said."""
    try:
        volume = read_volume(path)
    except VolumeError as problem:
        said = str(problem).removeprefix(f"{path}: ").replace(str(path.parent) + "/", "")
        asks = any(word in said for word in ("frame=", "series=", "resample_shear=True"))
        return ("asks" if asks else "refused"), said
    return ("read, and says" if volume.notes else "read"), " ".join(volume.notes)


@pytest.mark.parametrize("name", real_scans(FOLDER))
def test_every_real_file_meets_its_fate(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    fate = FATES.get(name, Fate("read"))
    kind, said = outcome(FOLDER / name)
    assert (kind, [word for word in fate.words if word not in said]) == (fate.kind, []), said
    assert capfd.readouterr().err == ""
    if fate.setting is not None:
        key, value = fate.setting
        assert read_volume(FOLDER / name, **{key: value}).notes  # type: ignore[arg-type]


def test_every_expectation_is_about_a_file_there_is(real_data: Path) -> None:
    assert FATES.keys() <= set(real_scans(real_data))
    assert len(real_scans(real_data)) > 200


def sound_files(folder: Path) -> list[str]:
    """The files that are read, if need be with a setting; DICOM is compared elsewhere."""
    names = [name for name in real_scans(folder) if not name.startswith("dicom/")]
    return [name for name in names if FATES.get(name, Fate("read")).kind != "refused"]


@pytest.mark.parametrize("name", sound_files(FOLDER))
def test_every_sound_file_agrees_with_simpleitk_and_nibabel(name: str) -> None:
    path = FOLDER / name
    sheared = "sheared" in name
    image = sitk.ReadImage(str(path))
    voxels = sitk.GetArrayFromImage(image)
    if sheared:
        header = read_header(path)
        assert header.moved > 30
    else:
        frames = read_frames(path)
        header = read_header(path)
        for frame, theirs in zip(frames, voxels.reshape(-1, *voxels.shape[-3:]), strict=True):
            expected = theirs if "nan_inf" not in name else np.where(frame.array == frame.array.min(), 5, theirs)
            # SimpleITK forms slope and intercept in single precision.
            np.testing.assert_allclose(frame.array, expected, rtol=1e-6)
            assert frame.geometry == header.geometry
        far = [n - 1 for n in frames[0].shape]
        more = [0] * (image.GetDimension() - 3)
        for index in ([0, 0, 0], [far[0], 0, 0], [0, far[1], 0], far):
            place = image.TransformIndexToPhysicalPoint([*index[::-1], *more])[:3]
            np.testing.assert_allclose((header.geometry.affine @ [*index, 1])[:3], place[::-1], atol=1e-4)
    if ".nii" in name and not sheared:
        _agrees_with_nibabel(path)


def _agrees_with_nibabel(path: Path) -> None:
    import nibabel

    seen = nibabel.load(path)
    frames = read_frames(path)
    theirs = np.asarray(seen.dataobj)
    for index, frame in enumerate(frames):
        one = theirs[..., index] if theirs.ndim == 4 else theirs
        finite = np.isfinite(one.transpose())
        np.testing.assert_allclose(frame.array[finite], one.transpose()[finite], rtol=1e-6)
        flip = np.diag([-1.0, -1.0, 1.0, 1.0])
        ours = frame.affine[[2, 1, 0, 3]][:, [2, 1, 0, 3]]
        far = np.array([[n - 1 for n in one.shape] + [1.0], [0, 0, 0, 1.0]]).T
        np.testing.assert_allclose(ours @ far, flip @ seen.affine @ far, atol=1e-4)


def main() -> None:
    """Print the table: file, what happens, what is said."""
    print("| file | what happens | what is said |\n|---|---|---|")  # noqa: T201
    for name in real_scans(FOLDER):
        kind, said = outcome(FOLDER / name)
        print(f"| {name} | {kind} | {said} |")  # noqa: T201


if __name__ == "__main__":
    main()
