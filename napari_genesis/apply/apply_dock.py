"""The Apply dock, a widget of napari: it puts the parts together, starts and ends the work, and keeps its state.

What is chosen lies in `choosing`, the work in `layer_work` and `folder_work`, its thread in `running`, what comes of it
in `showing` and `results`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, QTimer
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QApplication, QSizePolicy, QVBoxLayout, QWidget

from genesis_core.errors import GenesisError
from napari_genesis.apply.choosing import Choice
from napari_genesis.apply.folder_work import apply_to_folder
from napari_genesis.apply.kept import default_file, read_kept
from napari_genesis.apply.layer_work import LayerRequest, SegmentedLayer, restore_layer, segment_layer
from napari_genesis.apply.models import ModelEntry
from napari_genesis.apply.parts import WIDTH, ApplyParts
from napari_genesis.apply.progress import Progress, Reporting
from napari_genesis.apply.results import Target, warm_labels
from napari_genesis.apply.running import Running
from napari_genesis.apply.sharing import as_command
from napari_genesis.apply.showing import Showing
from napari_genesis.dock_state import write_state
from napari_genesis.docking import delete_when_closed, viewer_itself
from napari_genesis.preferences import on_preferences
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.studio.viewer_link import ViewerLink

if TYPE_CHECKING:
    from napari.viewer import Viewer

# What was changed is kept after this rest, so that a crash of napari loses at most as much.
_KEEP_AFTER = 2000


class ApplyDock(QWidget):
    """Segment or restore the open layer, or a folder of scans, with a trained model.

    napari_viewer: the viewer it lives in. state_file: where the state is kept from one day to the next.
    """

    def __init__(self, napari_viewer: Viewer, state_file: Path | None = None) -> None:
        super().__init__()
        self._viewer = viewer = viewer_itself(napari_viewer)
        self._state_file = state_file or default_file()
        kept = read_kept(self._state_file)
        self.parts = ApplyParts()
        self.running = Running(self)
        self.link = ViewerLink(viewer, self)
        self.choice = Choice(self.parts, self.link, kept, self)
        self.showing = Showing(viewer, self.parts)
        # The layer that is being worked on; None while a folder is.
        self._target: Target | None = None
        self._keep_timer = QTimer(self)
        self._keep_timer.setSingleShot(True)
        self._keep_timer.setInterval(_KEEP_AFTER)
        self._keep_timer.timeout.connect(self.keep)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.parts)
        # napari fills the height of a dock that does not ask for it.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.parts.card_section.unfold(kept.card_open)
        self.parts.options_section.unfold(kept.options_open)
        self.parts.structures_section.unfold(kept.structures_open)
        self._connect()
        delete_when_closed(self)
        # What outlives the widget must end with it.
        lanes = (*self.choice.lanes, self.parts.residual.lane)
        end = weakref.finalize(self, _end, self.link, lanes, on_preferences(self.choice.look_for_models))
        self.destroyed.connect(lambda: end())
        self.parts.target.show_layers(list(viewer.layers), viewer.layers.selection.active)
        self.choice.look_for_models()
        self.choice.show()

    def _connect(self) -> None:
        parts, running, choice = self.parts, self.running, self.choice
        parts.start.clicked.connect(self.start)
        parts.cancel.clicked.connect(self.cancel)
        parts.copy_command.connect(self.copy_command)
        for section in (parts.structures_section, parts.card_section, parts.options_section):
            section.toggled.connect(lambda _: self._keep_timer.start())
        choice.changed.connect(self._show_ready)
        choice.trouble.connect(self._say)
        running.progressed.connect(lambda progress: parts.show_running(progress, running.stopping))
        running.done.connect(lambda result: self.showing.show(self._target, result))
        running.failed.connect(self._say)
        running.stopped.connect(self._say_stopped)
        running.ended.connect(self._ended)
        self.link.layers_changed.connect(self._layers_changed)
        self.link.moved.connect(choice.show_frame)

    def start(self) -> None:
        """Apply the chosen model to what is chosen."""
        entry, target = self.choice.entry, self.parts.target
        if entry is None or self.running.busy or self.choice.why_not():
            return
        self.parts.show_trouble("")
        verb = "segmenting" if entry.segments else "restoring"
        if target.whole_folder:
            settings = self.choice.folder_settings(entry)
            self._target = None
            self.running.start(lambda report: apply_to_folder(settings, report), f"{verb} {settings.scan}")
        else:
            self._target = self._target_of(entry)
            request = LayerRequest(entry.path, self.choice.inputs(), self.choice.arguments(entry))
            work: Callable[..., Any] = _segmented if entry.segments else restore_layer
            self.running.start(lambda report: work(request, report), f"{verb} {self._target.layer.name}")
        self.parts.show_running(Progress("starting"), False)
        self.keep()

    def cancel(self) -> None:
        """Let the work end at its next window; nothing comes of it."""
        self.running.stop()
        if self.running.busy:
            self.parts.show_running(Progress("stopping"), True)

    def copy_command(self) -> None:
        """Put the same as a command on the clipboard."""
        entry, target, clipboard = self.choice.entry, self.parts.target, QApplication.clipboard()
        if entry is None or clipboard is None:
            return
        if target.whole_folder:
            scan: Path | None = Path(target.scans.text().strip() or "SCANS")
            out = Path(target.results.text().strip() or "RESULTS")
        else:
            source = getattr(getattr(target.layers[0], "source", None), "path", None)
            scan, out = None if source is None else Path(source), Path("RESULTS")
        clipboard.setText(as_command(entry, scan, out, self.choice.shared()))
        if not self.running.busy:
            self.parts.status.setText("Copied to the clipboard.")

    def keep(self) -> None:
        """Write the state to its file; a problem is shown, nothing is raised."""
        self._keep_timer.stop()
        try:
            write_state(self._state_file, self.choice.kept())
        except GenesisError as problem:
            self._say(str(problem))

    def _target_of(self, entry: ModelEntry) -> Target:
        target = self.parts.target
        layer = next(one for one in target.layers if one is not None)
        frame = None if len(target.combos) > 1 else self.link.frame(layer)
        return Target(self._viewer, layer, frame, entry.path, entry.name)

    def _show_ready(self) -> None:
        entry = self.choice.entry
        if not self.running.busy:
            word = "Apply" if entry is None else "Segment" if entry.segments else "Restore"
            folder = " folder" if self.parts.target.whole_folder else ""
            self.parts.show_ready(f"{word}{folder}", self.choice.why_not())
        self.parts.copy_action.setEnabled(entry is not None)
        self._keep_timer.start()

    def _layers_changed(self) -> None:
        self.parts.target.show_layers(list(self._viewer.layers))
        self.showing.layers_changed()
        if self._target is not None and self._target.layer not in self._viewer.layers and self.running.busy:
            self.running.stop()
            self._say("The scan was removed, so the work on it ends")
        self.choice.show()

    def _say(self, text: str) -> None:
        self.parts.show_trouble(_sentence(text))

    def _say_stopped(self, words: str) -> None:
        if not self.parts.trouble.text():
            self._say(words if self._target is None and words else "Stopped; nothing was made")

    def _ended(self) -> None:
        self._target = None
        self.choice.show()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for the width it is made for, and no more of the canvas."""
        return QSize(WIDTH, super().sizeHint().height())

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look for models again: a training may have ended meanwhile."""
        super().showEvent(event)
        self.choice.look_for_models()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802
        """Keep the state; work that runs goes on."""
        super().hideEvent(event)
        self.keep()


def _segmented(request: LayerRequest, report: Reporting) -> SegmentedLayer:
    found = segment_layer(request, report)
    warm_labels()
    return found


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith((".", "!", "?")) else ".")


def _end(link: ViewerLink, lanes: Sequence[LatestOnly], preferences: Callable[[], None]) -> None:
    for lane in lanes:
        lane.close()
    link.close()
    preferences()
