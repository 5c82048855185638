"""What a fine-tuning starts from: nothing, a run or model of ours, or a published checkpoint that is imported first."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QFileDialog, QGridLayout, QLabel, QPushButton, QWidget

from genesis_core.errors import GenesisError
from napari_genesis.apply.card_facts import summary
from napari_genesis.apply.card_panel import CardPanel
from napari_genesis.apply.models import Listing, ModelEntry, find_models
from napari_genesis.apply.section import Section
from napari_genesis.forms.control import SmallLabel
from napari_genesis.jobs.json_lines import Answer, JsonLines
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.training.choices import choice_box
from napari_genesis.training.finetuning.sources import (
    facts_in_short,
    imported_before,
    is_checkpoint,
    licence_warning,
    place_of_import,
    read_source,
)
from napari_genesis.training.path_line import PathTarget
from napari_genesis.training.progress_panel import Notice

_SCRATCH, _FOLDER, _FILE = "from scratch", "a run's or model's folder…", "a published checkpoint's file…"
_FILTER = "Checkpoints (*.pt *.pth *.safetensors);;All files (*)"


class SourcePanel(PathTarget):
    """chosen(path or None): another source; None is from scratch."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.entry: ModelEntry | None = None
        self._path: Path | None = None
        self._workspace = Path()
        self._listing = Listing(())
        # A checkpoint that waits to be imported, or is; and where to.
        self._file: Path | None = None
        self._place: Path | None = None
        self.lane = LatestOnly("genesis-sources", self)
        self.lane.finished.connect(self._take)
        self.recognising = LatestOnly("genesis-known-checkpoint", self)
        self.recognising.finished.connect(lambda found: self._recognised(*found))
        self.importing = JsonLines("genesis-import", self)
        self.importing.answered.connect(self._imported)
        self.choice = choice_box("source", "A pre-trained model usually learns faster and better from few cases.")
        self.choice.activated.connect(self._activated)
        self.facts = SmallLabel()
        self.facts.setAccessibleName("about the source")
        self.licence = Notice("licence")
        self.trouble = Notice("problem with the source")
        self.offer = Notice("import")
        self.do_import = QPushButton("Import")
        self.do_import.clicked.connect(self.start_import)
        self.do_import.hide()
        self.card = CardPanel()
        self.card_section = Section("card", self.card)
        self.card_section.hide()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(3)
        label = QLabel("source")
        # In one line with the rows of the form below it.
        label.setMinimumWidth(label.fontMetrics().horizontalAdvance("budget") + 4)
        layout.addWidget(label, 0, 0)
        layout.addWidget(self.choice, 0, 1)
        for row, widget in enumerate(
            (self.trouble, self.offer, self.do_import, self.facts, self.licence, self.card_section), 1
        ):
            layout.addWidget(widget, row, 0, 1, 2)
        layout.setColumnStretch(1, 1)
        self._fill()

    @property
    def path(self) -> Path | None:
        """The run or model to start from; None: from scratch."""
        return self._path

    @property
    def waits(self) -> str:
        """Why nothing can be started from what is chosen, such as an import that is not done; empty if it can."""
        if self._file is not None:
            return f"{self._file.name} is not imported yet."
        return self.trouble.text() if self._path is not None and self.entry is None else ""

    def look(self, workspace: Path) -> None:
        """List the models of a workspace anew, in a thread."""
        self._workspace = workspace
        known = [path for path in (self._path,) if path is not None]
        self.lane.submit(lambda: find_models(workspace, known))

    def choose(self, path: Path | None) -> None:
        """Choose a run, a model, or a checkpoint's file, which is then offered to be imported."""
        self.trouble.say([])
        self._forget_file()
        if path is not None and is_checkpoint(path):
            self._offer_import(path)
            return
        self._path, self.entry = path, None
        if path is not None:
            try:
                self.entry = read_source(path)
            except GenesisError as problem:
                self.trouble.say([str(problem)])
        self._show()
        self.chosen.emit(path)

    def start_import(self) -> None:
        """Convert the checkpoint that was chosen into a model folder of the workspace, in a process of its own."""
        if self._file is None:
            return
        self._place = place_of_import(self._file, self._workspace)
        try:
            self._place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            self.trouble.say([f"{self._place.parent} cannot be made ({problem.strerror or problem})"])
            return
        self.do_import.setEnabled(False)
        self.do_import.setText("Importing…")
        self.importing.start(["import-weights", str(self._file), "--out", str(self._place), "--json"])

    def _offer_import(self, file: Path) -> None:
        self._path, self.entry, self._file = None, None, file
        self.offer.say(
            [
                f"{file.name} is a published checkpoint. To start from it, it is converted once into a model folder of "
                "the workspace; no code in it is run."
            ]
        )
        self.do_import.setText("Import")
        self.do_import.setEnabled(True)
        self.do_import.show()
        self._show()
        self.chosen.emit(None)
        workspace = self._workspace
        self.recognising.submit(lambda: (file, imported_before(file, workspace)))

    def _recognised(self, file: Path, place: Path | None) -> None:
        if place is None or file != self._file or self.importing.busy:
            return
        self.choose(place)
        self.offer.say([f"{file.name} was imported before: this is the model that was made of it."])

    def _imported(self, answer: Answer) -> None:
        if not answer.done or self._place is None:
            return
        place, file = self._place, self._file
        if answer.problem:
            self.do_import.setText("Import")
            self.do_import.setEnabled(True)
            self.trouble.say([f"{file.name if file else 'the file'} cannot be imported: {answer.problem}"])
            return
        self.choose(place)
        if answer.warnings:
            self.trouble.say(list(answer.warnings))
        self.look(self._workspace)

    def _forget_file(self) -> None:
        self.importing.stop()
        self._file = self._place = None
        self.offer.say([])
        self.do_import.hide()

    def _take(self, listing: Listing) -> None:
        self._listing = listing
        self._fill()

    def _fill(self) -> None:
        view = self.choice.view()
        if view is not None and view.isVisible():
            # The list is open under the user's mouse.
            return
        entries = list(self._listing.entries)
        if self.entry is not None and self.entry.path not in [one.path for one in entries]:
            entries.insert(0, self.entry)
        with QSignalBlocker(self.choice):
            self.choice.clear()
            self.choice.addItem(_SCRATCH, None)
            for one in entries:
                self.choice.addItem(f"{one.name}: {summary(one)}", one.path)
                self.choice.setItemData(self.choice.count() - 1, str(one.path), Qt.ItemDataRole.ToolTipRole)
            # Qt takes equal paths for different ones.
            paths = [None, *(one.path for one in entries)]
            row = paths.index(self._path) if self._path in paths else len(paths)
            if self._path is not None and row == len(paths):
                self.choice.addItem(f"{self._path.name} (cannot be read)", self._path)
            if self._file is not None:
                self.choice.addItem(f"{self._file.name} (not imported)", self._file)
                row = self.choice.count() - 1
            self.choice.addItem(_FOLDER)
            self.choice.addItem(_FILE)
            self.choice.setCurrentIndex(row)

    def _show(self) -> None:
        entry = self.entry
        self.facts.show_text("" if entry is None else facts_in_short(entry))
        warning = "" if entry is None else licence_warning(entry)
        self.licence.say([warning] if warning else [])
        self.card.show_entry(entry)
        self.card_section.setVisible(entry is not None)
        self._fill()

    def _activated(self, row: int) -> None:
        text, path = self.choice.itemText(row), self.choice.itemData(row)
        if text == _FOLDER:
            name = QFileDialog.getExistingDirectory(self, "Folder of a run or of a model")
        elif text == _FILE:
            name, _ = QFileDialog.getOpenFileName(self, "A published checkpoint", "", _FILTER)
        else:
            if path != self._path or self._file is not None:
                self.choose(path)
            return
        self._fill()
        if name:
            self.choose(Path(name))
