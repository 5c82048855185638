"""What a layout of a labelled folder is: how to tell it, how to read it, and a small tree to show to people."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.labelled.case import Case, LabelledFolder, LabelSource, Source
from genesis_core.volumes.labelled.folder_listing import FolderListing


@dataclass(frozen=True)
class Detection:
    """How surely a folder has a layout: 0 (it has not) to 1, and the reason in words, either way."""

    confidence: float
    reason: str


@dataclass(frozen=True)
class Layout:
    """One known layout. name: to ask for it. title: what a person calls it. tree: a small example of it.

    detect: from names alone. find: the cases; `labels` chooses between several sets of labels where there are some.
    Cases whose subject the layout does not know have "" for it. find raises VolumeError where nothing can be used.
    """

    name: str
    title: str
    tree: str
    detect: Callable[[FolderListing], Detection]
    find: Callable[[FolderListing, str | None], LabelledFolder]


def make_case(
    name: str,
    images: Sequence[Source],
    label: LabelSource | None,
    *,
    class_name: str | None = None,
    subject: str = "",
    test: bool = False,
    annotated: tuple[str, ...] | None = None,
    numbering: tuple[Structure, ...] | None = None,
) -> Case:
    """Return a case with the pseudonym that follows from its name."""
    return Case(
        name=name,
        id=case_id(name),
        images=tuple(images),
        label=label,
        class_name=class_name,
        subject=subject,
        part="test" if test else "training",
        annotated=annotated,
        numbering=numbering,
    )


def case_id(name: str) -> str:
    """Return the pseudonym of a case: "case_" and ten hexadecimal digits of a hash of its name."""
    return "case_" + hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=5).hexdigest()


def label_map(source: Source) -> LabelSource:
    """Return the label that is one file of numbers."""
    return LabelSource("map", (("", source),))


def some(names: Sequence[str], most: int = 3) -> str:
    """Return the first few names in words ("a, b, c and 5 more")."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
