"""The readers napari calls for scans and label files: layers in mm, or one plain sentence that says why not.

What a file becomes stands in `opening`; here is the protocol, the choice among DICOM series, and what the user is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis_core.errors import GenesisError, VolumeError
from napari_genesis.layers import LayerData
from napari_genesis.view.watching import watch_current
from napari_genesis.waiting import without_freezing

if TYPE_CHECKING:
    from genesis_core.volumes.dicom.listing import SeriesRecord

Reader = Callable[[str | Sequence[str]], list[Any]]

# What napari takes as "read, and there is nothing to show".
_NOTHING: list[Any] = [(None,)]
# A folder is asked for its first DICOM file among so many files, so that any folder can be dropped onto napari.
_LOOKED_AT = 2000


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return `read` if every path may be a scan: a known ending, a DICOM file, or a folder that holds one."""
    paths = _paths(path)
    return read if paths and _may_be_scans(paths) else None


def read(path: str | Sequence[str]) -> list[Any]:
    """Return the layers of a file, a DICOM folder, or several of them; the window stays painted while they are read.

    What should be known about a scan is shown as one notification. One that is refused gives one, and no layer. Of
    several DICOM series in a folder the user chooses; without a window all are opened.
    """
    watch_current()
    paths = _paths(path)
    if len(paths) > 1 and without_freezing(lambda: all(_is_dicom_file(one) for one in paths)):
        # Slices chosen together are a scan: their folder says how they belong together.
        paths = list(dict.fromkeys(one.parent for one in paths))
    layers: list[LayerData] = []
    for one in paths:
        layers += _read_folder(one) if one.is_dir() else _read_file(one)
    return list(layers) or _NOTHING


def _paths(path: str | Sequence[str]) -> list[Path]:
    return [Path(path)] if isinstance(path, str | os.PathLike) else [Path(one) for one in path]


def _may_be_scans(paths: Sequence[Path]) -> bool:
    from genesis_core.volumes.formats.headers import DICOM_ENDINGS, file_ending, may_be_dicom

    folders: list[Path] = []
    unclear: list[Path] = []
    for one in paths:
        if one.is_dir():
            folders.append(one)
        elif not (file_ending(one) or one.suffix.lower() in DICOM_ENDINGS):
            unclear.append(one)
    # Of many slices without an ending only the first is opened here: the others are when they are read.
    if not all(map(may_be_dicom, unclear)) or not all(map(_is_dicom_file, unclear[:1])):
        return False
    return without_freezing(lambda: all(map(_holds_dicom, folders)))


def _is_dicom_file(path: Path) -> bool:
    from genesis_core.volumes.dicom.tags import is_dicom
    from genesis_core.volumes.formats.headers import file_ending, may_be_dicom

    return path.is_file() and file_ending(path) is None and may_be_dicom(path) and is_dicom(path)


def _holds_dicom(folder: Path) -> bool:
    from genesis_core.volumes.folder_walk import walk_folders

    looked = 0
    for place, names in walk_folders(folder, []):
        for name in names:
            looked += 1
            if looked > _LOOKED_AT:
                return False
            if _is_dicom_file(folder / place / name):
                return True
    return False


def _read_file(path: Path) -> list[LayerData]:
    from napari.utils.notifications import show_info

    from napari_genesis.opening import open_path

    layers = _opened(path, lambda: open_path(path))
    if layers and layers[0][0].shape[0] == 1 and _is_dicom_file(path):
        show_info(f"{path.name} is one slice; open its folder for the whole series.")
    return layers


def _read_folder(folder: Path) -> list[LayerData]:
    from napari.utils.notifications import show_info

    from genesis_core.volumes.dicom.listing import each_series, in_order

    closed: list[str] = []
    try:
        found = without_freezing(lambda: in_order(each_series(folder, closed)))
        if closed:
            show_info(f"{folder.name}: folders that could not be opened: {'; '.join(closed)}.")
        if not found:
            raise VolumeError(f"{folder}: holds no DICOM images")
        chosen = _choose(folder, found)
    except GenesisError as problem:
        _refuse(folder, problem)
        return []
    layers: list[LayerData] = []
    for record in chosen:
        layers += _read_series(folder, record)
    return layers


def _choose(folder: Path, found: Sequence[SeriesRecord]) -> Sequence[SeriesRecord]:
    """Return the series to open: the only one, those the user chooses, or all where nobody can be asked."""
    import napari
    from napari.utils.notifications import show_info

    from napari_genesis.dicom_dialogue import choose_series, series_name

    if len(found) == 1:
        return found
    if napari.current_viewer() is not None:
        return choose_series(found)
    usable = [one for one in found if one.middle is not None]
    left = "; ".join(f"left out '{series_name(one)}': {one.problem}" for one in found if one.middle is None)
    show_info(f"{folder.name}: {len(usable)} DICOM series are opened, all there are. {left}".strip())
    return usable


def _read_series(folder: Path, record: SeriesRecord) -> list[LayerData]:
    from napari_genesis.dicom_dialogue import series_name
    from napari_genesis.opening import open_series

    if record.middle is None:
        _refuse(folder, VolumeError(f"{record.path}: {record.problem}"))
        return []
    return _opened(record.path, lambda: open_series(record.path, record.uid, series_name(record)))


def _opened(path: Path, work: Callable[[], list[LayerData]]) -> list[LayerData]:
    """Return what `work` reads, telling its notes; if it is refused, tell why and return nothing."""
    from napari.utils.notifications import show_info

    from napari_genesis.opening import told_of

    try:
        layers = without_freezing(work)
    except GenesisError as problem:
        _refuse(path, problem)
        return []
    except MemoryError:
        _refuse(path, VolumeError("does not fit into this computer's memory. Close other layers, or crop the scan"))
        return []
    if notes := told_of(layers):
        show_info(f"{layers[0][1]['name']}: " + " ".join(notes))
    return layers


def _refuse(path: Path, problem: Exception) -> None:
    """Say once why there is no layer: the file's name and the reason, not the whole path."""
    from napari.utils.notifications import show_error

    reason = str(problem).replace(f"{path}: ", "").replace(str(path), path.name)
    show_error(f"{path.name or path} was not opened: {reason}.".replace("..", "."))
