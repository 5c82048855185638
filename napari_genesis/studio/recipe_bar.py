"""The row above the cards: which recipe, undo and redo, opening, saving, comparing, sharing."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QMenu, QToolButton, QWidget

from genesis_core.corruptions.presets import PRESETS
from napari_genesis.forms.actions import make_more
from napari_genesis.forms.wheel import pass_wheel_on


class RecipeBar(QWidget):
    """preset_chosen(name); the other signals are the actions of their names."""

    preset_chosen = Signal(str)
    undo = Signal()
    redo = Signal()
    open_file = Signal()
    save_file = Signal()
    compare = Signal(bool)
    copy_command = Signal()
    copy_python = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.presets = QComboBox()
        self.presets.setAccessibleName("recipe")
        pass_wheel_on(self.presets)
        self.presets.setToolTip("Published recipes: 'genesis' is the published code, 'paper' the text of the paper.")
        self.presets.addItems(list(PRESETS))
        self.presets.activated.connect(lambda _: self._chosen())
        self.undo_button = _button("↶", "Undo (Ctrl+Z)", "undo")
        self.redo_button = _button("↷", "Redo (Ctrl+Shift+Z)", "redo")
        self.save_button = _button("save", "Save the recipe as YAML: the file that trains (W)", "save the recipe")
        self.undo_button.clicked.connect(self.undo)
        self.redo_button.clicked.connect(self.redo)
        self.save_button.clicked.connect(self.save_file)
        menu = QMenu()
        for text, signal in (
            ("Open a recipe…", self.open_file),
            ("Copy as command", self.copy_command),
            ("Copy as Python", self.copy_python),
        ):
            action = QAction(text, menu)
            action.triggered.connect(lambda _=False, signal=signal: signal.emit())
            menu.addAction(action)
        self.compare_action = QAction("Compare: keep this recipe as B", menu)
        self.compare_action.setCheckable(True)
        self.compare_action.toggled.connect(self.compare)
        menu.addAction(self.compare_action)
        self.more = make_more(menu, "Open, compare, copy as a command or as Python")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.presets, 1)
        for button in (self.undo_button, self.redo_button, self.save_button, self.more):
            layout.addWidget(button)

    def show_recipe(self, name: str, is_preset: bool, can_undo: bool, can_redo: bool, compared: str | None) -> None:
        """Show the recipe's name, marked if it is no preset any more, and what can be done."""
        with QSignalBlocker(self.presets):
            while self.presets.count() > len(PRESETS):
                self.presets.removeItem(self.presets.count() - 1)
            if is_preset:
                self.presets.setCurrentText(name)
            else:
                self.presets.addItem(f"{name} (changed)" if name in PRESETS else name)
                self.presets.setCurrentIndex(self.presets.count() - 1)
        self.undo_button.setEnabled(can_undo)
        self.redo_button.setEnabled(can_redo)
        with QSignalBlocker(self.compare_action):
            self.compare_action.setChecked(compared is not None)
        self.compare_action.setText(
            "Compare: keep this recipe as B" if compared is None else f"Comparing with B ({compared})"
        )

    def _chosen(self) -> None:
        if self.presets.currentIndex() < len(PRESETS):
            self.preset_chosen.emit(self.presets.currentText())


def _button(text: str, tip: str, name: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    button.setAccessibleName(name)
    return button
