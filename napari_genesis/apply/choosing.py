"""What the user chose: model, options, layers or folders; what is known of them, and whether work can start."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from genesis_core.errors import GenesisError
from napari_genesis.apply.card_facts import channel_names, structure_colours
from napari_genesis.apply.fit import misfit, refusal, worth
from napari_genesis.apply.kept import OPTIONS, Kept, changed_options, options_of
from napari_genesis.apply.layer_work import Input
from napari_genesis.apply.models import Listing, ModelEntry, find_models, read_entry
from napari_genesis.apply.parts import ApplyParts
from napari_genesis.apply.selection import can_leave_out, for_model, has_organ_rules, kept_structures
from napari_genesis.preferences import Preferences, read_preferences
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.studio.viewer_link import ViewerLink

if TYPE_CHECKING:
    from genesis_core.cli.restore import RestoreSettings
    from genesis_core.cli.segment_settings import SegmentSettings


@dataclass(frozen=True)
class _Judgement:
    """subject: model and layers. doubt: why they do not fit, in a sentence; empty if they do, or nobody knows yet."""

    subject: tuple[Any, ...]
    doubt: str = ""


class Choice(QObject):
    """Listens to the parts in which something is chosen. changed(): something is chosen otherwise, or known anew.

    trouble(words): a folder holds no model, and why; empty words take that back.
    """

    changed = Signal()
    trouble = Signal(str)

    def __init__(self, parts: ApplyParts, link: ViewerLink, kept: Kept, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._parts = parts
        self._link = link
        self.preferences: Preferences = read_preferences()
        self.listing = Listing(())
        self.entry: ModelEntry | None = None
        self.settings = options_of(kept.options)
        self.wanted, self.folders = kept.model, kept.folders
        # By the folder of each model, those of which not all are kept.
        self._structures = dict(kept.structures)
        self._finding = LatestOnly("genesis-apply-models", self)
        self._judging = LatestOnly("genesis-apply-fit", self)
        self._judgement = _Judgement(())
        # What the last suggestion was made for: one that was cleared does not come again.
        self._suggested_for: tuple[Path, str] | None = None
        target = parts.target
        target.use_folder.setChecked(kept.whole_folder)
        target.scans.setText(kept.scans)
        target.results.setText(kept.results)
        target.skip.setChecked(kept.leave_out_finished)
        self._finding.finished.connect(self._take_models)
        self._judging.finished.connect(self._take_judgement)
        parts.models.chosen.connect(self._choose_path)
        parts.models.folder_chosen.connect(self.add_folder)
        parts.models.again.connect(self.look_for_models)
        parts.options.changed.connect(self._edit)
        parts.structures.ticked.connect(self._keep_structures)
        parts.structures.ruled.connect(lambda on: self._edit("organ_rules", "suprem" if on else "none"))
        target.changed.connect(self.show)

    @property
    def lanes(self) -> tuple[LatestOnly, ...]:
        """The threads, to be closed with the dock."""
        return self._finding, self._judging

    def look_for_models(self) -> None:
        """Read the preferences and the cards of the workspace anew, the latter in a thread."""
        self.preferences = read_preferences()
        workspace, folders = self.preferences.workspace, self.folders
        self._finding.submit(lambda: find_models(workspace, folders))

    def add_folder(self, path: Path) -> None:
        """Take a folder's model into the list and choose it; what is wrong with it is said."""
        try:
            entry = read_entry(path)
        except (GenesisError, OSError) as problem:
            self.trouble.emit(str(problem))
            return
        if not entry.applies:
            self.trouble.emit(
                f"{path}: has no last layer of use yet. Choose it in Fine-tune, as the source to start from."
            )
            return
        self.trouble.emit("")
        self.folders = (*(one for one in self.folders if one != path), path)
        self.wanted = path
        self._choose(entry)
        self.look_for_models()

    def inputs(self) -> tuple[Input, ...]:
        """Return what the chosen layers hold, one per channel; a layer with a frame for each channel is all of them."""
        layers = [layer for layer in self._parts.target.layers if layer is not None]
        count = len(self._parts.target.combos)
        made = []
        for layer in layers:
            data, state, _ = layer.as_layer_data_tuple()
            made.append(Input(data, state, self._link.frame(layer)))
        if len(layers) == 1 and count > 1 and layers[0].ndim == 4 and layers[0].data.shape[0] == count:
            return tuple(Input(made[0].data, made[0].state, frame) for frame in range(count))
        return tuple(made)

    def why_not(self) -> str:
        """Return why nothing can be started, in a sentence; nothing if it can."""
        target = self._parts.target
        if self.entry is None:
            return f"No model in {self.preferences.workspace}: train one, or choose its folder."
        if self.entry.segments and not self.structures:
            return "Tick a structure at least, of those to keep."
        if target.whole_folder:
            scans = target.scans.text().strip()
            if not scans or not Path(scans).expanduser().is_dir():
                return f"{scans}: no such folder." if scans else "Choose the folder of scans."
            return "" if target.results.text().strip() else "Choose a folder for the results."
        inputs = self.inputs()
        if not inputs:
            return "Open a scan first: drop a file into the window."
        missing = len(target.combos) - len(inputs)
        if missing > 0:
            return f"The model looks at {len(target.combos)} channels: open one layer for each ({missing} missing)."
        return next((why for why in map(refusal, inputs) if why), "")

    @property
    def structures(self) -> tuple[str, ...]:
        """The structures of the chosen model that are kept."""
        if self.entry is None or not self.entry.segments:
            return ()
        return kept_structures(self.entry.card, self._structures.get(str(self.entry.path)))

    @property
    def settings_here(self) -> SegmentSettings:
        """The options as they hold for the chosen model."""
        if self.entry is None or not self.entry.segments:
            return self.settings
        return for_model(self.settings, self.entry.card, self.structures)

    def arguments(self, entry: ModelEntry) -> dict[str, Any]:
        """Return options and preferences as keyword arguments of the core's function."""
        shared = {"device": self.preferences.device, "precision": self.preferences.precision}
        names, settings = OPTIONS if entry.segments else OPTIONS[:1], self.settings_here
        return {**shared, **{name: getattr(settings, name) for name in names}}

    def folder_settings(self, entry: ModelEntry) -> SegmentSettings | RestoreSettings:
        """Return what the command is told for the chosen folder."""
        from genesis_core.cli.restore import RestoreSettings
        from genesis_core.cli.segment_settings import SegmentSettings

        target = self._parts.target
        values: dict[str, Any] = {
            "scan": Path(target.scans.text().strip()).expanduser(),
            "out": Path(target.results.text().strip()).expanduser(),
            "skip_existing": target.skip.isChecked(),
            **self.arguments(entry),
        }
        if entry.segments:
            return SegmentSettings(model=(entry.path,), **values)
        return RestoreSettings(model=entry.path, **values)

    def shared(self) -> dict[str, Any]:
        """Return what of all that differs from the command's defaults, by the names of its settings."""
        values = changed_options(self.settings_here)
        for name, usual in (("device", "auto"), ("precision", "float32")):
            if (value := getattr(self.preferences, name)) != usual:
                values[name] = value
        if self._parts.target.whole_folder and self._parts.target.skip.isChecked():
            values["skip_existing"] = True
        return values

    def kept(self) -> Kept:
        """Return the state to be kept."""
        parts, target = self._parts, self._parts.target
        return Kept(
            model=self.wanted if self.entry is None else self.entry.path,
            folders=self.folders,
            whole_folder=target.whole_folder,
            scans=target.scans.text(),
            results=target.results.text(),
            leave_out_finished=target.skip.isChecked(),
            options=changed_options(self.settings),
            structures=self._structures,
            structures_open=parts.structures_section.fold.isChecked(),
            card_open=parts.card_section.fold.isChecked(),
            options_open=parts.options_section.fold.isChecked(),
        )

    def show(self) -> None:
        """Show what follows from the choice: the folder for results, the frame, whether the scan fits the model."""
        entry, target = self.entry, self._parts.target
        scans = target.scans.text().strip()
        if entry is not None and scans and (entry.path, scans) != self._suggested_for:
            self._suggested_for = (entry.path, scans)
            folder = Path(os.path.abspath(Path(scans).expanduser()))
            # While a path is being typed it is the root, which has no name, and nothing beside it.
            if folder.name:
                done = "segmented" if entry.segments else "restored"
                target.suggest_results(folder.with_name(f"{folder.name}_{done}_{entry.name}"))
        self.show_frame()
        self._judge()
        self.changed.emit()

    def show_frame(self) -> None:
        """Say which frame is looked at, and what speaks against the layer."""
        target = self._parts.target
        told = [] if self.entry is None else [worth(self.entry.card)]
        if not target.whole_folder:
            layer = target.layers[0]
            frame = None if layer is None or len(target.combos) > 1 else self._link.frame(layer)
            told.append("" if frame is None else f"Frame {frame} of 0 to {layer.data.shape[0] - 1}, as displayed.")
            if self._judgement.subject == self._subject():
                told.append(self._judgement.doubt)
        target.note.show_text(" ".join(one for one in told if one))

    def _take_models(self, listing: Listing) -> None:
        self.listing = replace(listing, entries=tuple(entry for entry in listing.entries if entry.applies))
        by_path = {entry.path: entry for entry in self.listing.entries}
        wanted = self.wanted if self.wanted in by_path else next(iter(by_path), None)
        self._choose(None if wanted is None else by_path[wanted])

    def _choose_path(self, path: Path) -> None:
        self.wanted = path
        self.trouble.emit("")
        self._choose(next((entry for entry in self.listing.entries if entry.path == path), None))

    def _choose(self, entry: ModelEntry | None) -> None:
        self.entry = entry
        parts = self._parts
        parts.models.show_models(self.listing, entry)
        parts.card.show_entry(entry)
        for section in (parts.card_section, parts.options_section):
            section.setVisible(entry is not None)
        parts.target.show_channels(channel_names(entry))
        self._show_options()
        self.show()

    def _show_options(self) -> None:
        entry, parts, settings, kept = self.entry, self._parts, self.settings_here, self.structures
        segments = entry is not None and entry.segments
        parts.options.show_settings(settings, kept if segments else None)
        choosing = entry is not None and segments and can_leave_out(entry.card)
        parts.structures_section.setVisible(choosing)
        if entry is not None and choosing:
            colours, rules = structure_colours(entry.card), has_organ_rules(entry.card)
            parts.structures.show_structures(colours, kept, rules=rules)
            parts.structures.show_rules(settings.organ_rules != "none")
            more = ", organ rules" if settings.organ_rules != "none" else ""
            count = f"all {len(kept)}" if len(kept) == len(colours) else f"{len(kept)} of {len(colours)}"
            parts.structures_section.title.setText(f"Structures: {count}{more}")

    def _keep_structures(self, names: tuple[str, ...]) -> None:
        if self.entry is None:
            return
        folder = str(self.entry.path)
        self._structures.pop(folder, None)
        if len(names) < len(self.entry.card.structures):
            self._structures[folder] = names
        self._show_options()
        self.changed.emit()

    def _edit(self, name: str, value: Any) -> None:
        self.settings = self.settings.model_copy(update={name: value})
        self._show_options()
        self.changed.emit()

    def _subject(self) -> tuple[Any, ...]:
        path = None if self.entry is None else self.entry.path
        return (path, *(getattr(layer, "unique_id", None) for layer in self._parts.target.layers))

    def _judge(self) -> None:
        """Let a thread look whether the layers are of the model's modality, once for each choice."""
        entry, subject = self.entry, self._subject()
        if entry is None or self._parts.target.whole_folder or self._judgement.subject == subject or self.why_not():
            return
        self._judgement = _Judgement(subject)
        card, inputs = entry.card, self.inputs()
        self._judging.submit(
            lambda: _Judgement(subject, next((doubt for one in inputs if (doubt := misfit(one, card))), ""))
        )

    def _take_judgement(self, judgement: _Judgement) -> None:
        if judgement.subject == self._subject():
            self._judgement = judgement
            self.show_frame()
