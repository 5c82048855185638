"""The check of a labelled folder as tables: what is wrong and what to do about it, and every case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QTabWidget, QVBoxLayout, QWidget

from napari_genesis.jobs.labelled_check import LabelledCheck
from napari_genesis.training.reading_table import ReadingTable

_PROBLEM_HEADINGS = ("", "what", "what to do", "cases")
_CASE_HEADINGS = ("case", "use", "drawn", "why, or what it is")
_SEVERITY = {"left_out": "left out", "warning": "warning", "note": "note"}
# A table of everything would take a second to fill for each ten thousand rows.
_MOST = 5000


class LabelledDialogue(QDialog):
    """Shows a finished check; it does not change any more once it is open."""

    def __init__(self, check: LabelledCheck, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Cases of {check.path.name}")
        self.resize(900, 480)
        problems = [
            (_SEVERITY.get(one.severity, one.severity), one.text, one.fix, ", ".join(one.cases))
            for one in check.problems
        ]
        cases = sorted(check.cases, key=lambda one: one.get("status") == "usable")
        self.problems = ReadingTable(_PROBLEM_HEADINGS, problems, (70, 330, 300), stretched=3)
        self.cases = ReadingTable(_CASE_HEADINGS, [row_of(one) for one in cases[:_MOST]], (200, 70, 220), stretched=3)
        tabs = QTabWidget()
        tabs.addTab(self.problems, f"problems ({len(problems):,})")
        tabs.addTab(self.cases, f"cases ({len(cases):,})")
        tabs.setCurrentIndex(0 if problems else 1)
        notes = " ".join(str(note) for note in check.summary.get("notes") or ())
        text = f"{check.usable:,} usable, {check.left_out:,} left out. {notes}".strip()
        if len(cases) > _MOST:
            text += f" The first {_MOST:,} are shown; napari-genesis inspect --labelled --json tells all."
        head = QLabel(text)
        head.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(head)
        layout.addWidget(tabs)
        layout.addWidget(buttons)


def row_of(record: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return name, use, structures and words of one case of `inspect --labelled --json`."""
    name, structures = str(record.get("name", "")), record.get("structures") or {}
    drawn = ", ".join(f"{one} {facts.get('millilitres', 0):.3g} ml" for one, facts in structures.items())
    if record.get("status") != "usable":
        return name, "left out", drawn, str(record.get("reason") or "")
    use = "test" if record.get("part") == "test" else "usable" if record.get("has_label") else "no label"
    shape = " x ".join(str(n) for n in record.get("shape") or ())
    spacing = " x ".join(f"{v:.3g}" for v in record.get("spacing") or ())
    channels = [one for one in record.get("channels") or () if isinstance(one, Mapping)]
    kinds = " ".join(str(one.get("modality", "")).upper() for one in channels)
    words = f"{kinds}, {shape} voxels (z, y, x), {spacing} mm (x, y, z), axes {record.get('orientation') or ''}"
    notes = " ".join(str(note) for note in record.get("notes") or ())
    return name, use, drawn, f"{words}. {notes}".strip() if notes else words
