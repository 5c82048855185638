"""Which list of names goes with a set of labels, and what to do where cases have different lists.

A list lies in the folder of labels or above it (label_names.csv, labels.txt, dataset.json, a *.ctbl, ...). Where one
file holds several lists (a column "map" with ct and mr), each case takes the one its name asks for; the folder's list
then joins all names, and every case keeps its own numbers and which structures were looked for in it. Names that lie
in the label files themselves (3D Slicer's, or a JSON beside one) are read with the labels, not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from genesis_core.errors import VolumeError
from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.labelled.case import Case
from genesis_core.volumes.labelled.folder_listing import FolderListing, same
from genesis_core.volumes.labelled.layout import some
from genesis_core.volumes.labelled.rows import read_rows
from genesis_core.volumes.structure_names import NAME_FILE_ENDINGS, left_out_of_dataset_json, read_structure_names

# What people call a list of names; a file of one of these endings only is one whatever it is called.
_USUAL_STEMS = (
    "label_names", "labels", "label", "names", "structures", "structure_names", "label_list", "label_map", "labelmap",
    "classes", "lut", "colors", "colours", "dataset",
)  # fmt: skip
_ONLY_LISTS = (".ctbl", ".label")
# What may follow the name of a set of labels in the name of its list ("labels_tissue_names.csv").
_WORDS = "names?|lists?|structures?|classes|lut|colou?rs|map"
# Columns that say to which of several lists a line belongs.
_LIST_COLUMNS = ("map", "list", "set", "modality", "task", "group")
_NUMBER_COLUMNS = ("number", "value", "index", "id", "label")
_NAME_COLUMNS = ("name", "structure", "label_name")


@dataclass(frozen=True)
class Naming:
    """The structures of a set of labels. lists: the list of a case, by its name, where cases have their own."""

    structures: tuple[Structure, ...] = ()
    notes: tuple[str, ...] = ()
    lists: Mapping[str, tuple[Structure, ...]] = field(default_factory=dict)

    def applied(self, cases: Iterable[Case]) -> tuple[Case, ...]:
        """Return the cases, each with the numbers and the structures of its own list, where it has one."""
        return tuple(
            replace(case, numbering=own, annotated=tuple(structure.name for structure in own))
            if case.label is not None and (own := self.lists.get(case.name))
            else case
            for case in cases
        )


def naming_of(listing: FolderListing, folder: str, *, is_only_set: bool, cases: Sequence[str]) -> Naming:
    """Return what the numbers of a set of labels mean, as far as a file in the folder says it.

    folder: name of the folder of labels. is_only_set: whether a list of a general name (labels.csv) is this set's:
    it is the first of several, or the only one. A list that cannot be read is told in the notes.
    """
    own, general = _candidates(listing, folder)
    notes = []
    if not is_only_set and not own and general:
        notes.append(f"{general[0]} is taken to name another set of labels, not {folder}/, which has no list of names.")
    for name in own + (general if is_only_set else []):
        path = listing.root / name
        try:
            naming = _read_list(path, cases)
        except VolumeError as problem:
            notes.append(f"{name} was not used as a list of names: {str(problem).removeprefix(f'{path}: ')}.")
            continue
        unused = [other for other in own + general if other != name]
        if unused and is_only_set:
            notes.append(f"Names of structures are those in {name}; not used: {some(unused)}.")
        return replace(naming, notes=(*notes, *naming.notes))
    return Naming(notes=tuple(notes))


def join_lists(lists: Iterable[Iterable[Structure]]) -> tuple[Structure, ...]:
    """Return one list of all names, numbered from 1 in the order they come in; the first colour of a name counts.

    For merging sets in which different structures were drawn, or the same under different numbers.
    """
    joined: dict[str, Structure] = {}
    for members in lists:
        for structure in members:
            if structure.name not in joined:
                joined[structure.name] = Structure(structure.name, len(joined) + 1, structure.colour)
            elif joined[structure.name].colour is None:
                joined[structure.name] = replace(joined[structure.name], colour=structure.colour)
    return tuple(joined.values())


def named_structures(names: Iterable[str]) -> tuple[Structure, ...]:
    """Return structures of these names, numbered from 1."""
    return tuple(Structure(name, value) for value, name in enumerate(names, 1))


def _candidates(listing: FolderListing, folder: str) -> tuple[list[str], list[str]]:
    """Return the files that may be the list of this set by their place or name, and those of a general name."""
    own, general = [], []
    for file in listing.others:
        place, _, name = file.rpartition("/")
        ending = Path(name).suffix.lower()
        base = same(name[: len(name) - len(ending)])
        if ending not in NAME_FILE_ENDINGS or place.count("/") > 1:
            continue
        usual = base in _USUAL_STEMS or ending in _ONLY_LISTS
        inside = same(place.rpartition("/")[2]) == same(folder)
        called = re.fullmatch(rf"{re.escape(same(folder))}[-_ ]?(?:{_WORDS})?", base) is not None
        if (inside and usual) or (called and base not in _USUAL_STEMS):
            own.append(file)
        elif not place and usual:
            general.append(file)
    # The plainest name first, whatever the alphabet says.
    return own, sorted(general, key=lambda file: _rank(same(Path(file).stem)))


def _rank(base: str) -> int:
    return _USUAL_STEMS.index(base) if base in _USUAL_STEMS else len(_USUAL_STEMS)


def _read_list(path: Path, cases: Sequence[str]) -> Naming:
    if path.suffix.lower() in (".csv", ".tsv") and (lists := _several_lists(path)):
        return _by_case(path.name, lists, cases)
    notes: tuple[str, ...] = ()
    if path.suffix.lower() == ".json":
        from genesis_core.volumes.labelled.dataset_json import read_dataset_json

        content = read_dataset_json(path)
        notes = left_out_of_dataset_json(content) if "labels" in content and "structures" not in content else ()
    return Naming(read_structure_names(path), notes)


def _several_lists(path: Path) -> dict[str, tuple[Structure, ...]]:
    """Return the lists of a table with a column that tells them apart; none if it has no such column."""
    rows = read_rows(path)
    chooser, number, name = (
        next((column for column in wanted if column in rows.columns), None)
        for wanted in (_LIST_COLUMNS, _NUMBER_COLUMNS, _NAME_COLUMNS)
    )
    if chooser is None or number is None or name is None:
        return {}
    lists: dict[str, dict[int, str]] = {}
    for row in rows.rows:
        text = row.cells[number]
        if not re.fullmatch(r"\d{1,18}", text) or not row.cells[name]:
            raise VolumeError(
                f"{path}: line {row.line}: number {text!r} with the name {row.cells[name]!r}; a whole number from 0 "
                "and a name are needed"
            )
        members = lists.setdefault(row.cells[chooser], {})
        if members.setdefault(int(text), row.cells[name]) != row.cells[name]:
            raise VolumeError(f"{path}: line {row.line}: number {text} of {row.cells[chooser]} is named twice")
    return {key: tuple(Structure(n, v) for v, n in members.items() if v > 0) for key, members in lists.items()}


def _by_case(file: str, lists: dict[str, tuple[Structure, ...]], cases: Sequence[str]) -> Naming:
    if len(lists) == 1:
        return Naming(next(iter(lists.values())))
    of_case, unclear = {}, []
    for case in cases:
        tokens = {same(token) for token in re.split(r"[\W_]+", case)}
        asked = [key for key in lists if same(key) in tokens]
        if len(asked) == 1:
            of_case[case] = lists[asked[0]]
        else:
            unclear.append(case)
    keys = some(list(lists), 6)
    if unclear:
        return Naming(
            notes=(
                f"{file} holds several lists of names ({keys}), and which one a case has is told by its name; it is "
                f"not for {some(unclear)}, so no names are used.",
            )
        )
    used = [members for members in lists.values() if members in of_case.values()]
    if len(used) == 1:
        return Naming(used[0])
    return Naming(
        structures=join_lists(used),
        notes=(
            f"{file} holds several lists of names ({keys}): each case is read by the one its name asks for, and the "
            "structures are joined by name.",
        ),
        lists=of_case,
    )
