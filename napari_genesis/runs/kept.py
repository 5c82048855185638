"""What the Runs dock remembers from one day to the next. No Qt."""

from __future__ import annotations

from pathlib import Path

from genesis_core.settings import Settings, setting
from napari_genesis.dock_state import state_file


class KeptColumns(Settings):
    """How the table is arranged; columns by name, those that no version knows any more are passed over."""

    shown: tuple[str, ...] = setting((), "Columns that are shown.")
    hidden: tuple[str, ...] = setting((), "Columns that are not.")
    order: tuple[str, ...] = setting((), "All columns from left to right.")
    widths: dict[str, int] = setting({}, "Width of each, where it was changed.", unit="pixels")
    sorted_by: str = setting("date", "Column the runs are sorted by.")
    falls: bool = setting(True, "Whether the largest comes first.")

    def shows(self, name: str, otherwise: bool) -> bool:
        """Whether a column is shown; otherwise: if nothing was ever chosen about it."""
        return name in self.shown or (name not in self.hidden and otherwise)


class KeptRuns(Settings):
    """The state of the dock."""

    columns: KeptColumns = setting(KeptColumns(), "The table.")
    details_open: bool = setting(True, "Whether the details are unfolded.")
    split: tuple[int, ...] = setting((), "Heights of the table and of what is below it.", unit="pixels")
    export_folder: str = setting("", "Where the last model was exported to.")


def default_file() -> Path:
    """Return where the state is kept."""
    return state_file("runs")
