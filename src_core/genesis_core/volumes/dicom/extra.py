"""pydicom, highdicom and scikit-image, which come with the extra `napari-genesis[dicom]`: opened in one way.

Only the elements asked for are read, so that patient tags never come into memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.stored import open_file


def open_dataset(path: Path, elements: Sequence[str]) -> Any:
    """Return the pydicom dataset of a file with only these top-level elements, by keyword ("PixelData").

    Raises VolumeError if it cannot be opened or is not DICOM, or pydicom is not installed.
    """
    with needs_extra(path):
        import pydicom
    open_file(path).close()
    with damage_named(path, "its tags"):
        return pydicom.dcmread(path, specific_tags=list(elements), stop_before_pixels="PixelData" not in elements)


@contextmanager
def damage_named(path: Path, what: str) -> Iterator[None]:
    """Turn whatever pydicom raises over damaged bytes into a VolumeError; it parses values when they are asked for.

    what: the part that cannot be read ("its contours").
    """
    try:
        yield
    except (VolumeError, MemoryError):
        raise
    # Struct, value, attribute, recursion and not-implemented errors were all seen.
    except Exception as problem:
        raise VolumeError(
            f"{path}: damaged DICOM: {what} cannot be read ({problem}). Copy it again from where it came"
        ) from None


@contextmanager
def needs_extra(path: Path) -> Iterator[None]:
    """Turn a missing library into a VolumeError that says which extra to install."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise VolumeError(
            f"{path}: reading this kind of DICOM needs {missing.name}, which is not installed. Install it with: "
            "pip install 'napari-genesis[dicom]'"
        ) from None
