"""What a scan file says about itself: where its voxels lie on disk, how they are coded, and where they belong in space.

The parsers of NIfTI, MetaImage, NRRD and MGH fill a `Stored`; nothing here reads voxels. Headers are parsed by us
because SimpleITK fills missing voxels with zeros, not-a-number with zero, and straightens sheared axes, all without
saying so.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError

Encoding = Literal["raw", "gzip", "zlib", "bzip2"]

# More axes or voxels than any scanner makes: such a number is damage, and must not be multiplied or allocated.
_MOST_VOXELS_PER_AXIS = 1 << 20


@dataclass(frozen=True)
class Stored:
    """One image as it lies on disk.

    data_path, offset, encoding: where the voxel bytes begin. `offset` counts bytes of the decoded stream if `wrapped`
    (the header lies inside the compressed stream, as in .nii.gz), bytes of the file otherwise; -1: the file's last
    bytes.
    size: voxels (x, y, z). frames: time points or repetitions. components: values per voxel (3 for colour).
    frames_fastest: the frames of one voxel lie side by side, instead of one whole frame after the other.
    footer: so many bytes at most may follow the voxels (remarks of the program that wrote them).
    columns: 3x3, the step in mm (LPS) of each index axis x, y, z as columns, not yet checked for right angles; origin:
    LPS mm.
    """

    path: Path
    data_path: Path
    offset: int
    encoding: Encoding
    wrapped: bool
    dtype: np.dtype[np.generic]
    size: tuple[int, int, int]
    columns: NDArray[np.float64]
    origin: NDArray[np.float64]
    frames: int = 1
    components: int = 1
    frames_fastest: bool = False
    footer: int = 0
    slope: float = 1.0
    intercept: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def scaled(self) -> bool:
        """Whether stored numbers become units by slope and intercept."""
        return (self.slope, self.intercept) != (1.0, 0.0)

    @property
    def array_dtype(self) -> np.dtype[np.generic]:
        """The type of the array handed out: as stored, in this machine's byte order; floating where scaled."""
        if not self.scaled:
            return self.dtype.newbyteorder("=")
        wide = self.dtype.itemsize > 4 or (self.dtype.kind in "iu" and self.dtype.itemsize > 2)
        return np.dtype(np.float64 if wide else np.float32)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame of one component, decoded."""
        return int(np.prod([int(n) for n in self.size], dtype=object)) * self.dtype.itemsize

    @property
    def total_bytes(self) -> int:
        """Bytes of all frames and components, decoded."""
        return self.frame_bytes * self.frames * self.components


def checked_sizes(path: Path, sizes: tuple[int, ...]) -> None:
    """Refuse numbers of voxels that no scan has; raises VolumeError before anything is allocated."""
    if any(n < 1 or n > _MOST_VOXELS_PER_AXIS for n in sizes):
        text = " x ".join(str(n) for n in sizes)
        raise VolumeError(
            f"{path}: the header asks for {text} voxels, which cannot be; it is damaged. Export the scan again"
        )


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading; every way to fail becomes a VolumeError that names it."""
    refuse_foreign_name(path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise VolumeError(f"{path}: this is a folder, not a scan file")
        # A pipe or device would block for ever.
        if not stat.S_ISREG(status.st_mode):
            raise VolumeError(f"{path}: not a regular file (a pipe, socket or device)")
        return open(path, "rb")
    except FileNotFoundError:
        if path.is_symlink():
            raise VolumeError(f"{path}: a link to {os.readlink(path)}, which does not exist") from None
        raise VolumeError(f"{path}: no such file") from None
    except PermissionError:
        raise VolumeError(f"{path}: no permission to read it; change the file's rights or its owner") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise VolumeError(f"{path}: cannot be opened ({reason})") from None


def refuse_foreign_name(path: Path) -> None:
    """Raise VolumeError for a path that is not valid UTF-8.

    SimpleITK ends the whole process over one, when it reads a scan of that name as when it writes a result that is
    called like it.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        # Python holds bytes that are no UTF-8 as lone surrogates.
        raise VolumeError(
            f"{path}: its path is not valid UTF-8 (written by a system with another encoding): rename the file or "
            "folder"
        ) from None


def read_start(path: Path, size: int) -> bytes:
    """Return up to the first `size` bytes of a file."""
    with open_file(path) as file:
        return read_bytes(file, size, path)


def read_bytes(file: BinaryIO, size: int, path: Path) -> bytes:
    """Read up to `size` bytes; a failing disk or share becomes a VolumeError."""
    try:
        return file.read(size)
    except OSError as problem:
        raise VolumeError(
            f"{path}: reading stopped ({problem.strerror or problem}); is the disk or share still there?"
        ) from None
