"""Names for a labelled folder whose labels are numbers alone: as if a list of names lay beside them, which does not.

The folder stays as it is; the names travel with the run, its model, and what that draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from genesis_core.errors import SettingsError
from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.labelled.case import LabelledFolder
from genesis_core.volumes.labelled.layout import some


def with_names(folder: LabelledFolder, names: Mapping[int, str]) -> LabelledFolder:
    """Return the folder with these structures, by their numbers; a number that is not named is no structure.

    Without names, the folder as it is. Raises SettingsError if the folder names its structures itself.
    """
    if not names:
        return folder
    own = [one.name for one in folder.structures]
    own += [one.name for case in folder.cases for one in case.numbering or ()]
    own += [name for case in folder.cases if case.label is not None for name, _ in case.label.parts if name]
    if own or any(case.label is not None and case.label.kind != "map" for case in folder.cases):
        raise SettingsError(
            f"data.names: the labels of {folder.root} have names of their own ({some(list(dict.fromkeys(own)))}); only "
            "numbers without any can be named here"
        )
    return replace(folder, structures=tuple(Structure(name, number) for number, name in sorted(names.items())))
