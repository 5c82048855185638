"""Is a corrected label fit to teach, and the files of it: images as they were, the label without loss."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genesis_core.atomic import replacing
from genesis_core.errors import ReviewError
from genesis_core.settings import read_yaml
from genesis_core.studies.review.label_files import flat_name, with_ending, write_label_files
from genesis_core.studies.review.lines import Line
from genesis_core.studies.review.ranking import image_paths, known_cases
from genesis_core.studies.review.review import model_cards
from genesis_core.volumes.structure_names import IGNORE

if TYPE_CHECKING:
    from genesis_core.model.card import ModelCard
    from genesis_core.studies.review.review import Review
    from genesis_core.volumes.label_volume import LabelVolume
    from genesis_core.volumes.volume import Volume

# Formats of one file, which a copy takes whole; others name voxels beside them, or are DICOM.
_ONE_FILE = (".nii.gz", ".nii", ".nrrd", ".mha", ".mgz", ".mgh")


@dataclass(frozen=True)
class Correction:
    """Files made aside. label: its file, then its names where they lie apart. changed: voxels by structure."""

    images: tuple[Path, ...]
    label: tuple[Path, ...]
    changed: dict[str, int]
    fingerprints: list[str]
    versions: dict[str, str]


def check_label(review: Review, case: str, label: LabelVolume) -> None:
    """Raise ReviewError if a label cannot teach: no layers, unnamed numbers, structures the model does not know."""
    if not label.layers:
        raise ReviewError(f"{case}: these labels have no layer")
    if regions := _regions(review.run):
        raise ReviewError(
            f"{case}: {review.run.name} learns structures that are made of others ({', '.join(regions)}), and these "
            "labels do not say which of the others a voxel is, so they cannot teach it. The draft is kept"
        )
    names = [one.name for one in label.structures]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ReviewError(f"{case}: two structures are called {', '.join(doubled)}; rename or join them")
    known = [entry.name for entry in _card(review).structures]
    if unknown := [name for name in names if name not in known and name.lower() != IGNORE]:
        raise ReviewError(
            f"{case}: {', '.join(map(repr, unknown))} is no structure of the model, which knows {', '.join(known)} "
            f"(and '{IGNORE}', for what nobody looked at): rename it"
        )
    from genesis_core.volumes.labelled.measuring import count_values

    for number, layer in enumerate(label.layers):
        meant = {0, *(one.value for one in label.structures if one.layer == number)}
        counts = count_values(layer)
        if strange := {value: count for value, count in counts.items() if value not in meant}:
            told = ", ".join(f"{value} ({count:,} voxels)" for value, count in list(strange.items())[:5])
            raise ReviewError(f"{case}: numbers that belong to no structure: {told}; paint with named ones only")


def write_correction(review: Review, proposal: Line, proposals: Path, label: LabelVolume, aside: Path) -> Correction:
    """Write the images and the label of a case below `aside`, laid out as corrected/ is.

    proposal: the case's line, in the folder `proposals`. Raises ReviewError if the label lies on another grid, or the
    scan is not the one it was proposed for; VolumeError if the scan cannot be read or a file cannot be written.
    """
    from genesis_core.model.versions import software_versions
    from genesis_core.volumes.grid import describe_grid_difference, same_grid
    from genesis_core.volumes.label_reading import read_labels
    from genesis_core.volumes.voxel_fingerprint import image_fingerprint

    case = proposal["case"]
    volumes = read_sources(review, proposal)
    for volume in volumes:
        if not same_grid(label.geometry, volume.geometry):
            difference = describe_grid_difference(label.geometry, volume.geometry)
            raise ReviewError(f"{case}: the labels lie on another grid than the scan: {difference}")
    fingerprints = [image_fingerprint(volume) for volume in volumes]
    if fingerprints != proposal.get("fingerprints", fingerprints):
        raise ReviewError(
            f"{case}: the scan has other voxels than when it was proposed, so the correction may belong to another; "
            "put the scan back, or rank again"
        )
    name = flat_name(case, known_cases(review))
    images = _write_images(review, proposal, volumes, aside / "images", name)
    files = write_label_files(label, aside / "labels", name)
    changed = changed_voxels(label, read_labels(proposals / proposal["label"]))
    return Correction(images, files, changed, fingerprints, software_versions())


def read_sources(review: Review, line: Line) -> tuple[Volume, ...]:
    """Return the images of a case, one per channel. Raises VolumeError if one cannot be read."""
    from genesis_core.volumes.reading import read_frames, read_volume

    paths = image_paths(review, line)
    if line.get("frames", 1) > 1:
        return read_frames(paths[0])
    return tuple(read_volume(path, series=one.get("series")) for path, one in zip(paths, line["sources"], strict=True))


def changed_voxels(label: LabelVolume, proposal: LabelVolume) -> dict[str, int]:
    """Return how many voxels of each structure differ, added or removed; structures of both are listed."""
    changed = {}
    before = {one.name: one for one in proposal.structures}
    after = {one.name: one for one in label.structures}
    for name in dict.fromkeys((*before, *after)):
        count = 0
        for z in range(label.geometry.shape[0]):
            drawn = [
                labels.layers[one.layer][z] == one.value if (one := known.get(name)) else np.False_
                for labels, known in ((proposal, before), (label, after))
            ]
            count += int(np.count_nonzero(drawn[0] ^ drawn[1]))
        changed[name] = count
    return changed


def _write_images(review: Review, line: Line, volumes: tuple[Volume, ...], folder: Path, name: str) -> tuple[Path, ...]:
    from genesis_core.volumes.formats.headers import file_ending
    from genesis_core.volumes.writing import write_volume

    written = []
    sources = image_paths(review, line)
    endings = channel_endings(_card(review), len(volumes))
    for number, (volume, channel) in enumerate(zip(volumes, endings, strict=True)):
        source = sources[number] if len(sources) == len(volumes) else sources[0]
        ending = file_ending(source) if source.is_file() else None
        alone = ending in _ONE_FILE and len(sources) == len(volumes)
        assert not alone or ending is not None
        path = with_ending(folder, name, f"{channel}{ending if alone and ending else '.nii.gz'}")
        path.parent.mkdir(parents=True, exist_ok=True)
        if alone:
            with replacing(path) as temporary:
                shutil.copyfile(source, temporary)
        else:
            write_volume(volume, path)
        written.append(path)
    return tuple(written)


def channel_endings(card: ModelCard, count: int) -> list[str]:
    """Return what ends the names of a case's images: nothing for one; else the channels' names, or _0000, _0001, ...

    A labelled folder has its channels in the order of their names, so they are used only where that is the model's.
    """
    if count == 1:
        return [""]
    names = list(card.channels)
    plain: Any = all(name.isascii() and name.isalnum() for name in names)
    if len(names) == count and plain and names == sorted(names):
        return [f"_{name}" for name in names]
    return [f"_{number:04d}" for number in range(count)]


def _regions(run: Path) -> tuple[str, ...]:
    """Return the names of the structures that a run makes of others; none where it is only a model folder."""
    from genesis_core.training.run_folder import RunFolder

    if not RunFolder(run).is_run:
        return ()
    data = read_yaml(RunFolder(run).settings_file, ReviewError).get("data")
    regions = data.get("regions") if isinstance(data, dict) else None
    return tuple(map(str, regions or ()))


def _card(review: Review) -> ModelCard:
    from genesis_core.errors import ModelError
    from genesis_core.model.card import read_card

    try:
        return read_card(model_cards(review.run)[0])
    except ModelError as problem:
        raise ReviewError(str(problem)) from None
