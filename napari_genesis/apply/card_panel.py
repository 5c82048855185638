"""The card of a model, to be read: structures in their colours, then one line for each thing there is to know."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_genesis.apply.card_facts import card_facts, structure_colours
from napari_genesis.apply.models import ModelEntry

# More structures than these would push everything else out of sight; the tooltip has them all.
_SHOWN = 24


class CardPanel(QWidget):
    """Shows one card at a time; its text can be selected and copied."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel()
        self.text.setTextFormat(Qt.TextFormat.RichText)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.text.setAccessibleName("model card")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(22, 0, 0, 0)
        layout.addWidget(self.text)

    def show_entry(self, entry: ModelEntry | None) -> None:
        """Show the card of a model; None: of none."""
        if entry is None:
            self.text.setText("")
            self.text.setToolTip("")
            return
        rows = [(what, escape(text).replace("/", "/\u200b")) for what, text in card_facts(entry)]
        structures = structure_colours(entry.card)
        if structures:
            shown = ", ".join(
                f'<span style="color: rgb{colour}">&#9632;</span>&nbsp;{escape(name)}'
                for name, colour in structures[:_SHOWN]
            )
            more = f" and {len(structures) - _SHOWN} more" if len(structures) > _SHOWN else ""
            after = 1 + [what for what, _ in rows].index("task")
            rows.insert(after, ("structures", shown + more))
        cells = "".join(
            f'<tr><td style="padding: 0 8px 2px 0"><i>{what}</i></td><td style="padding: 0 0 2px 0">{text}</td></tr>'
            for what, text in rows
        )
        self.text.setText(f"<table cellspacing=0>{cells}</table>")
        self.text.setToolTip(", ".join(name for name, _ in structures) if len(structures) > _SHOWN else "")
