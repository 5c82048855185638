"""Names of the cache entries of a labelled case: they change with its files, its preprocessing and its structures.

Images and labels have names of their own, so a corrected label costs no new images, and another choice of structures
neither.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genesis_core.errors import VolumeError
from genesis_core.sampling.fingerprint import source_fingerprint

if TYPE_CHECKING:
    from genesis_core.volumes.label_volume import Structure
    from genesis_core.volumes.labelled.case import Case, Source
    from genesis_core.volumes.preprocessing import Preprocessing

# To be raised whenever the same files give other entries: of images, and of labels.
_FORMAT, _LABEL_FORMAT = 1, 2


class EntryNames(NamedTuple):
    """images: one file name per channel. labels: the key of the label's files."""

    images: tuple[str, ...]
    labels: str

    @property
    def places(self) -> str:
        """File with chosen voxels of every structure; written last, so that where it is, all is."""
        return _digest([self.labels, "places"]) + ".bricks"

    def layer(self, number: int) -> str:
        """File of a layer of numbers."""
        return _digest([self.labels, "layer", number]) + ".bricks"


def entry_names(case: Case, structures: Sequence[Structure], preprocessing: Preprocessing) -> EntryNames:
    """Return the names for the present state of a case's files; raise VolumeError if they cannot be read.

    A fixed window is left out, since entries hold scan units: changing the window costs nothing.
    """
    prepared = preprocessing.model_dump(mode="json")
    if preprocessing.intensity.kind == "window":
        prepared["intensity"] = "window"
    scans = [_source(source) for source in case.images]
    images = tuple(
        _digest([_FORMAT, "image", scans, number, prepared]) + ".bricks" for number in range(len(case.images))
    )
    grid = [prepared["axis_codes"], prepared["spacing"]]
    label = [] if case.label is None else [(name, _source(part), _names(part)) for name, part in case.label.parts]
    kind = None if case.label is None else case.label.kind
    wanted = [(structure.name, structure.value, structure.layer) for structure in structures]
    numbering = [(structure.name, structure.value, structure.layer) for structure in case.numbering or ()]
    annotated = None if case.annotated is None else sorted(case.annotated)
    labels = _digest([_LABEL_FORMAT, "label", scans, grid, kind, label, wanted, numbering, annotated])
    return EntryNames(images, labels)


def _source(source: Source) -> list[Any]:
    from genesis_core.volumes.scans import Scan

    scan = Scan(Path(source.path), "", source.series, "")
    return [source_fingerprint(scan), source.frame]


def _names(source: Source) -> str | None:
    """Return what stands beside a file of labels to name its numbers."""
    from genesis_core.volumes.formats.headers import file_ending
    from genesis_core.volumes.structure_names import sidecar_of

    ending = file_ending(source.path)
    beside = None if ending is None else sidecar_of(source.path, ending)
    try:
        return None if beside is None or not beside.exists() else blake2b(beside.read_bytes()).hexdigest()
    except OSError as problem:
        raise VolumeError(f"{beside}: cannot be read ({problem.strerror or problem})") from None


def _digest(facts: list[Any]) -> str:
    return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()
