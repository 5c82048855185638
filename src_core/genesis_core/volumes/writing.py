"""Writing a volume through SimpleITK, so that a kill at any moment leaves the old file or the new one, whole."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from pathlib import Path

import numpy as np

from genesis_core.atomic import replacing
from genesis_core.errors import OutputExistsError, VolumeError
from genesis_core.volumes.formats.headers import file_header, parse_file
from genesis_core.volumes.formats.payload import read_array
from genesis_core.volumes.formats.stored import refuse_foreign_name
from genesis_core.volumes.grid import SAME_GRID_MM, describe_grid_difference, same_grid
from genesis_core.volumes.resampling import plain, to_image
from genesis_core.volumes.volume import Geometry, Volume

# What rounding to single precision does to a number, with some room.
_SINGLE_PRECISION = 1e-6
# What ITK puts before a message: the object's kind, and where it lay in memory.
_ITK = re.compile(r"^.*?ITK ERROR: \w+\(0x[0-9a-f]+\): ")
WRITABLE_ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd")


def write_volume(volume: Volume, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a volume; the ending chooses the format (.nii, .nii.gz, .mha, .mhd, .nrrd), compressed where it can be.

    Truth values become uint8 and half precision float32, which lose nothing; other types are kept. NIfTI holds the
    geometry in single precision (1e-6 of each number), the others exactly. A .mhd puts its voxels into a file beside
    it. What was written is read back, and its voxels and their places compared, before it gets its name.
    Returns the path. Raises OutputExistsError if the file exists and `overwrite` is false; VolumeError if the ending is
    unknown, the path is not valid UTF-8, the folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    refuse_foreign_name(path)
    ending = next((ending for ending in WRITABLE_ENDINGS if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise VolumeError(f"{path}: unknown ending; a volume can be written as {', '.join(WRITABLE_ENDINGS)}")
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists; choose another name, or ask for overwriting")
    if not path.parent.is_dir():
        raise VolumeError(f"{path}: the folder {path.parent} does not exist; make it first")
    try:
        if ending == ".mhd":
            _write_pair(volume, path, overwrite)
        else:
            with replacing(path) as temporary:
                write_checked(volume, temporary, path)
    except OSError as problem:
        raise VolumeError(
            f"{path}: cannot be written ({problem.strerror or problem}). Is the disk full, or the folder read-only?"
        ) from None
    return path


def write_checked(volume: Volume, temporary: Path, path: Path) -> None:
    """Write to `temporary`, and prove by reading it again that it is whole; errors name `path`, where it will lie."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        # SimpleITK hides why a file cannot be made, and its libraries write past Python to the terminal.
        temporary.touch()
    except OSError as problem:
        raise VolumeError(
            f"{path}: cannot be written ({problem.strerror or problem}). Is the disk full, or the folder read-only?"
        ) from None
    try:
        array = plain(volume.array)
        SimpleITK.WriteImage(to_image(array, volume.geometry), str(temporary.absolute()), useCompression=True)
    except (RuntimeError, TypeError, NotImplementedError) as problem:
        reason = _ITK.sub("", str(problem).strip().splitlines()[-1])[-200:]
        raise VolumeError(
            f"{path}: cannot be written ({reason}). Is the disk full, or the type {volume.array.dtype} unusual?"
        ) from None
    # SimpleITK does not notice every full disk, so what was written is read again.
    try:
        stored = parse_file(temporary)
        same = np.array_equal(read_array(stored), array, equal_nan=array.dtype.kind == "f")
        place = file_header(stored).geometry
    except VolumeError as problem:
        reason = str(problem).removeprefix(f"{temporary}: ")
        raise VolumeError(f"{path}: could not be written whole ({reason}). Is the disk full?") from None
    if not same:
        raise VolumeError(f"{path}: what was written does not read back as it was. Is the disk full or failing?")
    refuse_moved(volume.geometry, place, path)


def refuse_moved(geometry: Geometry, written: Geometry, path: Path) -> None:
    """Raise VolumeError if a voxel of the file written lies elsewhere than it should, beyond single precision."""
    reach = np.abs(geometry.origin).max() + np.dot(geometry.shape[::-1], geometry.spacing)
    if not same_grid(geometry, written, tolerance=max(SAME_GRID_MM, _SINGLE_PRECISION * float(reach))):
        raise VolumeError(
            f"{path}: what was written does not lie where the volume does "
            f"({describe_grid_difference(written, geometry)}): choose another format"
        )


def _write_pair(volume: Volume, path: Path, overwrite: bool) -> None:
    """Write header and voxels so that no header ever points to another volume's voxels.

    The voxel file comes first under a name not in use, then the header replaces the old one at once, then the old
    voxels go.
    """
    old = _old_companion(path)
    data = path.with_suffix(".zraw")
    if data.exists():
        if not overwrite:
            raise OutputExistsError(
                f"{data} exists, where the voxels of {path.name} belong; choose another name, or ask for overwriting"
            )
        data = path.with_name(f"{path.stem}.{uuid.uuid4().hex[:8]}.zraw")
    workshop = path.with_name(f".{uuid.uuid4().hex[:8]}.tmp")
    workshop.mkdir()
    try:
        header = workshop / f"{data.stem}.mhd"
        write_checked(volume, header, path)
        _sync(data_source := workshop / data.name)
        _sync(header)
        os.replace(data_source, data)
        os.replace(header, path)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    if old is not None and old != data:
        old.unlink(missing_ok=True)


def _old_companion(path: Path) -> Path | None:
    """Return the voxel file of the header about to be replaced, if its name shows that it is that header's own."""
    if not path.is_file():
        return None
    match = re.search(r"^ElementDataFile *= *(.+?)\s*$", path.read_text(encoding="latin-1")[: 1 << 20], re.MULTILINE)
    name = match.group(1) if match else ""
    own = re.fullmatch(re.escape(path.stem) + r"(\.[0-9a-f]{8})?\.(raw|zraw)", name)
    return path.with_name(name) if own and path.with_name(name).is_file() else None


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
