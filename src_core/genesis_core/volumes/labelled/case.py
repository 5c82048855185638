"""What a labelled folder holds, before any voxel is read: cases, each with its images and what is drawn on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genesis_core.volumes.label_volume import Structure

LabelKind = Literal["map", "masks", "rtstruct", "dicom_seg"]


@dataclass(frozen=True)
class Source:
    """Where one volume lies. series: its UID, in a DICOM folder with several. frame: of a 4D file, from 0."""

    path: Path
    series: str | None = None
    frame: int | None = None


@dataclass(frozen=True)
class LabelSource:
    """Where the labels of a case lie.

    kind: "map" (one file of numbers), "masks" (one file per structure), "rtstruct" or "dicom_seg". parts: the files,
    each with the name of its structure for masks, with "" otherwise.
    """

    kind: LabelKind
    parts: tuple[tuple[str, Source], ...]


@dataclass(frozen=True)
class Case:
    """One subject's images at one time, on one grid, with their label.

    name: as the folder calls it. id: a pseudonym that shows no name. images: one per channel. label: None where
    nothing is drawn. class_name: what a classification set says of it. subject: whom it belongs to; cases of one
    subject stay together in every split. part: "test" where the folder sets it aside.
    annotated: names of the structures that somebody looked for in this case; another one may be there, undrawn. None:
    all of the folder's. numbering: what the numbers in its label mean, where that is not the folder's list.
    """

    name: str
    id: str
    images: tuple[Source, ...]
    label: LabelSource | None
    class_name: str | None
    subject: str
    part: Literal["training", "test"] = "training"
    annotated: tuple[str, ...] | None = None
    numbering: tuple[Structure, ...] | None = None


@dataclass(frozen=True)
class LabelledFolder:
    """A labelled set, found and named.

    layout: which of the known layouts it has, in words. channels: names of the images of a case. structures: label
    list where the folder names one, else empty (the values in the files decide). classes: of a classification set.
    left_out: (name, reason) of what could not be paired. notes: what a user should know.
    """

    root: Path
    layout: str
    channels: tuple[str, ...]
    structures: tuple[Structure, ...]
    classes: tuple[str, ...]
    cases: tuple[Case, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
