"""What the Studio remembers from one day to the next, in one YAML file of the user's configuration folder.

A file that cannot be read is set aside, not overwritten, and the Studio starts with its defaults.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from genesis_core.atomic import write_text
from genesis_core.corruptions.corruption import Corruption
from genesis_core.corruptions.registry import CORRUPTIONS
from genesis_core.errors import GenesisError, RecipeError, SettingsError
from genesis_core.settings import Settings, dump_yaml, read_yaml, setting, validate
from napari_genesis.studio.recipe_draft import Entry, RecipeDraft, registered

_log = logging.getLogger(__name__)


class KeptEntry(Settings):
    """One card: a corruption with its settings, whether it is on, its rate and its group."""

    corruption: dict[str, Any]
    enabled: bool
    rate: Annotated[float, Field(ge=0)]
    group: int | None = None


class Kept(Settings):
    """The state of a Studio."""

    name: str = setting("genesis", "Name of the recipe.")
    entries: tuple[KeptEntry, ...] = setting((), "The cards, in their order; empty: the preset genesis.")
    groups: tuple[Annotated[float, Field(ge=0, le=1)], ...] = setting((), "Probability of each group of cards.")
    seed: int = setting(0, "Number of the sample.", ge=0)
    locked: bool = setting(True, "Whether the sample stays while the box moves.")
    size: tuple[int, int, int] = setting((32, 64, 64), "Size of the box, z, y, x.", unit="voxels")
    follow: bool = setting(True, "Whether the box follows the slice.")
    slab: bool = setting(False, "Whether the whole slab is shown.")
    model: Path | None = setting(None, "The restoring model that was chosen.")

    def draft(self) -> RecipeDraft | None:
        """Return the recipe that was being edited; None if none was kept. Raises RecipeError for a damaged one."""
        if not self.entries:
            return None
        entries = tuple(_entry(one, f"entry {n}", len(self.groups)) for n, one in enumerate(self.entries))
        present = {entry.corruption.kind for entry in entries}
        added = tuple(Entry(one, False, 0.5) for one in registered() if one.kind not in present)
        return RecipeDraft(self.name, entries + added, self.groups)


def kept_entries(draft: RecipeDraft) -> dict[str, Any]:
    """Return a draft as values of `Kept`."""
    return {
        "name": draft.name,
        "groups": draft.groups,
        "entries": tuple(
            KeptEntry(
                corruption=entry.corruption.model_dump(mode="json"),
                enabled=entry.enabled,
                rate=entry.rate,
                group=entry.group,
            )
            for entry in draft.entries
        ),
    }


def default_file() -> Path:
    """Return where the state is kept."""
    import platformdirs

    return Path(platformdirs.user_config_dir("napari-genesis", appauthor=False)) / "studio.yaml"


def read_kept(path: Path) -> Kept:
    """Return what was kept, or the defaults; a damaged file is renamed to end in .damaged, and that is logged."""
    if not path.exists():
        return Kept()
    try:
        kept = validate(Kept, read_yaml(path), where=str(path))
        kept.draft()
    except GenesisError as problem:
        aside = _free_name(path)
        _log.warning("%s: %s; it is kept as %s, and the Studio starts anew", path, problem, aside.name)
        try:
            path.replace(aside)
        except OSError as again:
            _log.warning("%s cannot be renamed (%s)", path, again)
        return Kept()
    return kept


def write_kept(path: Path, kept: Kept) -> None:
    """Write the state. Raises SettingsError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, dump_yaml(kept.model_dump(mode="json")))
    except OSError as problem:
        raise SettingsError(f"{path}: the Studio's state cannot be kept ({problem.strerror or problem})") from None


def _free_name(path: Path) -> Path:
    aside, number = path.with_suffix(".damaged.yaml"), 1
    while aside.exists():
        number += 1
        aside = path.with_suffix(f".damaged{number}.yaml")
    return aside


def _entry(kept: KeptEntry, where: str, groups: int) -> Entry:
    kind = kept.corruption.get("kind")
    if kind not in CORRUPTIONS:
        raise RecipeError(f"{where}: 'kind' = {kind!r} is not a corruption; allowed: {', '.join(CORRUPTIONS)}")
    model: type[Corruption] = CORRUPTIONS[kind]
    if kept.group is not None and not 0 <= kept.group < groups:
        raise RecipeError(f"{where}: group {kept.group} of {groups}")
    if (kept.group is None and kept.rate > 1) or (kept.group is not None and kept.rate <= 0):
        raise RecipeError(f"{where}: rate {kept.rate} is no probability (0 to 1), or no weight (above 0)")
    return Entry(validate(model, kept.corruption, where=where, error=RecipeError), kept.enabled, kept.rate, kept.group)
