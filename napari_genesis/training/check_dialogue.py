"""The check of a folder as a table: every scan, what it is, or why it is refused; the refused ones first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from napari_genesis.jobs.scan_check import FolderCheck
from napari_genesis.training.reading_table import ReadingTable

_HEADINGS = ("scan", "use", "why, or what it is")
# A table of everything would take a second to fill for each ten thousand rows.
_MOST = 5000


class CheckDialogue(QDialog):
    """Shows a finished or unfinished check; it does not change any more once it is open."""

    def __init__(self, check: FolderCheck, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Scans of {check.path.name}")
        self.resize(820, 460)
        records = [*check.refused, *check.usable]
        self.table = ReadingTable(_HEADINGS, [row_of(record) for record in records[:_MOST]], (250, 70), stretched=2)
        text = f"{len(check.usable):,} usable, {len(check.refused):,} refused"
        if len(records) > _MOST:
            text += f"; the first {_MOST:,} are shown, napari-genesis inspect --json tells all"
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(text))
        layout.addWidget(self.table)
        layout.addWidget(buttons)


def row_of(record: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return name, use and words of one record of `inspect --json`."""
    name = str(record.get("path", ""))
    if record.get("status") != "readable":
        return name, "refused", str(record.get("reason") or "")
    shape = " x ".join(str(n) for n in record.get("shape") or ())
    spacing = " x ".join(f"{v:.3g}" for v in record.get("spacing") or ())
    unsure = " ?" if (record.get("certainty") or 1.0) < 0.6 else ""
    words = f"{str(record.get('modality') or '').upper()}{unsure}, {shape} voxels (z, y, x), {spacing} mm (x, y, z)"
    notes = " ".join(str(note) for note in record.get("notes") or ())
    return name, "usable", f"{words}. {notes}".strip().removesuffix(" ") if notes else words
