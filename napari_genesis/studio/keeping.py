"""What the Studio remembers from one day to the next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from genesis_core.corruptions.corruption import Corruption
from genesis_core.corruptions.registry import CORRUPTIONS
from genesis_core.errors import RecipeError
from genesis_core.settings import Settings, setting, validate
from napari_genesis.dock_state import read_state, state_file
from napari_genesis.studio.recipe_draft import Entry, RecipeDraft, registered


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
    return state_file("studio")


def read_kept(path: Path) -> Kept:
    """Return what was kept, or the defaults, as `read_state` does."""
    return read_state(path, Kept, lambda kept: kept.draft())


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
