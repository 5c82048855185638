"""The Corruption Studio, a dock widget: it puts the parts together and passes on what they say.

What it knows lies in `session`, the canvas in `canvas`, how it is laid out in `parts`, every row in a file of its own.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from qtpy.QtCore import QSize, QTimer
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import GenesisError
from napari_genesis.dock_state import write_state
from napari_genesis.docking import delete_when_closed, viewer_itself
from napari_genesis.layers import LayerData
from napari_genesis.preferences import Preferences, on_preferences, read_preferences
from napari_genesis.studio.canvas import CanvasPreview
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.studio.keeping import Kept, default_file, kept_entries, read_kept
from napari_genesis.studio.model_panel import restoring_models
from napari_genesis.studio.parts import WIDTH, StudioParts
from napari_genesis.studio.preview import VIEWS, View
from napari_genesis.studio.restoring import RestoringModel
from napari_genesis.studio.scan import Index, StudioScan
from napari_genesis.studio.session import Frame, Session
from napari_genesis.studio.shortcuts import Shortcuts
from napari_genesis.studio.showing import Showing
from napari_genesis.studio.studio_files import StudioFiles
from napari_genesis.studio.viewer_link import ViewerLink
from napari_genesis.view.watching import watch

if TYPE_CHECKING:
    from napari.viewer import Viewer

# What was changed is kept after this rest, so that a crash of napari loses at most as much.
_KEEP_AFTER = 2000


class Studio(QWidget):
    """Tune every corruption live on an open scan.

    napari_viewer: the viewer it lives in. state_file: where the state is kept from one day to the next.
    """

    def __init__(self, napari_viewer: Viewer, state_file: Path | None = None) -> None:
        super().__init__()
        self._viewer = viewer = viewer_itself(napari_viewer)
        self._state_file = state_file or default_file()
        kept = read_kept(self._state_file)
        self.session = Session(kept.draft(), self)
        self.session.seed, self.session.locked, self.session.size = kept.seed, kept.locked, kept.size
        self.link = ViewerLink(viewer, self)
        self.canvas = CanvasPreview(viewer, self._dragged)
        self.parts = StudioParts()
        self.files = StudioFiles(self)
        self.showing = Showing(self.session, self.parts, self.link, self.canvas)
        self._frame: int | None = None
        self._before_hold: View | None = None
        self._finding = LatestOnly("genesis-studio-models", self)
        self._keep_timer = QTimer(self)
        self._keep_timer.setSingleShot(True)
        self._keep_timer.setInterval(_KEEP_AFTER)
        self._keep_timer.timeout.connect(self.keep)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.parts)
        # napari fills the height of a dock that does not ask for it.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._connect()
        self.shortcuts = Shortcuts(self, self._keys())
        self._start(kept)
        delete_when_closed(self)
        # What outlives the widget must end with it.
        lanes = (self._finding, self.parts.statistics.lane)
        end = weakref.finalize(self, _end, self.session, self.link, self.canvas, lanes, self._end_preferences)
        self.destroyed.connect(lambda: end())

    # Putting together.

    def _connect(self) -> None:
        session, parts = self.session, self.parts
        parts.scan.layer_chosen.connect(self._choose_layer)
        parts.scan.modality_chosen.connect(session.choose_modality)
        parts.scan.window_chosen.connect(session.choose_window)
        parts.scan.usual_chosen.connect(session.choose_modality)
        parts.recipe.preset_chosen.connect(lambda name: session.load(Recipe.read(name)))
        parts.recipe.undo.connect(session.undo)
        parts.recipe.redo.connect(session.redo)
        parts.recipe.open_file.connect(self.files.open_recipe)
        parts.recipe.save_file.connect(self.files.save_recipe)
        parts.recipe.compare.connect(lambda on: session.compare_with(session.draft.recipe() if on else None))
        parts.recipe.copy_command.connect(self.files.copy_command)
        parts.recipe.copy_python.connect(self.files.copy_python)
        parts.cards.edited.connect(session.edit)
        parts.thumbnails.chosen.connect(self.show_view)
        parts.thumbnails.held.connect(self.hold_original)
        parts.sample.seed_chosen.connect(session.choose_seed)
        parts.sample.locked.connect(session.lock)
        parts.sample.size_chosen.connect(session.choose_size)
        parts.sample.slab_chosen.connect(self._show_slab)
        parts.sample.swiped.connect(lambda share: session.choose_look(replace(session.look, swipe=share)))
        parts.model.chosen.connect(self.choose_model)
        parts.sheet.clicked.connect(self.files.contact_sheet)
        parts.measure.toggled.connect(lambda on: self.showing.statistics() if on else parts.statistics.stop())
        parts.update_now.clicked.connect(lambda: session.refresh(now=True))
        session.busy_changed.connect(lambda busy: parts.scan.show_busy() if busy else None)
        session.scan_changed.connect(self._take_scan)
        session.draft_changed.connect(self._take_recipe)
        session.sample_changed.connect(self._take_sample)
        session.box_changed.connect(self._take_box)
        session.frame_ready.connect(self._take_frame)
        session.judged.connect(self.showing.judgement)
        session.trouble.connect(parts.show_trouble)
        self.link.layers_changed.connect(
            lambda: parts.scan.show_layers(list(self._viewer.layers), instead=session.is_refused)
        )
        self.link.voxels_changed.connect(self._look_again)
        self.link.moved.connect(self._moved)
        self.link.selected.connect(self._reach)
        self._finding.finished.connect(parts.model.show_models)

    def _keys(self) -> dict[str, Any]:
        sample, session = self.parts.sample, self.session
        return {
            **{str(n): (f"show {view}", lambda view=view: self.show_view(view)) for n, view in enumerate(VIEWS, 1)},
            "N": ("next sample", sample.next.click),
            "P": ("previous sample", sample.previous.click),
            "L": ("lock the sample", sample.lock.click),
            "F": ("follow the slice", sample.follow.click),
            "B": ("the box or the whole slab", sample.slab.click),
            "S": ("swipe to the middle, or back", self.swipe),
            "C": ("contact sheet", self.parts.sheet.click),
            "T": ("statistics", self.parts.measure.click),
            "Ctrl+Z": ("undo", session.undo),
            "Ctrl+Shift+Z": ("redo", session.redo),
            "W": ("save the recipe", self.files.save_recipe),
        }

    def _start(self, kept: Kept) -> None:
        self.parts.sample.follow.setChecked(kept.follow)
        self._preferences = Preferences()
        self._apply_preferences()
        self._end_preferences = on_preferences(self._apply_preferences)
        self.showing.recipe()
        self.showing.sample()
        self.showing.scan(None)
        self.parts.thumbnails.choose(self.session.look.view)
        watch(self._viewer)
        self.parts.scan.show_layers(list(self._viewer.layers), self._viewer.layers.selection.active)
        self.parts.sample.slab.setChecked(kept.slab)
        if kept.model is not None and kept.model.is_dir():
            self.choose_model(kept.model)
        # Loading the kernels takes half a second, compiling them six, on the first start ever.
        threading.Thread(target=_warm, name="genesis-studio-warm", daemon=True).start()

    def _apply_preferences(self) -> None:
        self._preferences = known = read_preferences()
        self.session.live, self.session.restore_while_dragging = known.live, known.restore_while_dragging
        self.parts.update_now.setVisible(not known.live)
        self._find_models()
        if self.session.model is not None:
            self.choose_model(self.session.model.path)

    def _find_models(self) -> None:
        workspace = self._preferences.workspace
        self._finding.submit(lambda: restoring_models(workspace))

    # From the parts to the session.

    def _choose_layer(self, layer: Any) -> None:
        self.session.choose_layer(layer, None if layer is None else self.link.frame(layer))
        self._reach()

    def _look_again(self, layer: Any) -> None:
        if layer is self.session.layer:
            self._choose_layer(layer)

    def choose_model(self, path: Path | None) -> None:
        """Restore by the model in a folder; None: by none."""
        try:
            chosen = self._preferences
            model = None if path is None else RestoringModel(path, chosen.device, chosen.precision)
        except GenesisError as problem:
            self.showing.note(str(problem))
            model = None
        else:
            self.showing.note("")
        self.session.choose_model(model)
        self.parts.model.show_choice(None if model is None else model.path)
        self._keep_later()

    def show_view(self, view: str) -> None:
        """Show original, corrupted, difference or restored in the canvas."""
        if view == "restored" and self.session.model is None:
            return
        self._before_hold = None
        self.session.choose_look(replace(self.session.look, view=cast(View, view)))
        self.parts.thumbnails.choose(cast(View, view))

    def hold_original(self, held: bool) -> None:
        """Show the original while it is held, then again what was shown before."""
        look = self.session.look
        if held and self._before_hold is None and look.view != "original":
            self._before_hold = look.view
            self.session.choose_look(replace(look, view="original"))
        elif not held and self._before_hold is not None:
            self.session.choose_look(replace(look, view=self._before_hold))
            self.parts.thumbnails.choose(self._before_hold)
            self._before_hold = None

    def swipe(self) -> None:
        """Draw the curtain to the middle; if it is drawn, take it away."""
        self.parts.sample.swipe.setValue(0 if self.parts.sample.swipe.value() else 50)

    def _show_slab(self, whole: bool) -> None:
        layer = self.session.layer
        self.canvas.draggable = not whole
        index = 0 if layer is None else self.link.slice_of(layer)
        self.session.show_slab(self.link.plane[0] if whole else None, index)

    def _dragged(self, start: Index, settled: bool) -> None:
        self.session.move_box(start, settled)

    def _moved(self) -> None:
        """Take note of another slice or plane in the viewer."""
        layer, session = self.session.layer, self.session
        if layer is None or session.scan is None or layer not in self._viewer.layers:
            return
        if layer.ndim == 4 and self.link.frame(layer) != self._frame:
            self._choose_layer(layer)
            return
        sliced, _, columns = self.link.plane
        if self.link.flat:
            session.look_at_slice(sliced, self.link.slice_of(layer), self.parts.sample.follow.isChecked())
        if session.look.swipe_axis != columns:
            session.choose_look(replace(session.look, swipe_axis=columns))
        self.showing.planes()

    # From the session.

    def _take_scan(self, scan: StudioScan | None) -> None:
        layer = self.session.layer
        self._frame = None if layer is None else self.link.frame(layer)
        self.showing.scan(scan)
        if scan is not None:
            self._moved()

    def _take_recipe(self) -> None:
        self.showing.recipe()
        self._keep_later()

    def _take_sample(self) -> None:
        self.showing.sample()
        self._keep_later()

    def _take_box(self) -> None:
        self.showing.box()
        self._keep_later()

    def _take_frame(self, frame: Frame) -> None:
        self.showing.frame(frame, in_canvas=self.isVisible())

    def add_layer(self, data: LayerData) -> None:
        """Add a layer of ours to the viewer; the one that was active stays so."""
        from napari.layers import Layer

        active = self._viewer.layers.selection.active
        self._viewer.add_layer(Layer.create(*data))
        self._viewer.layers.selection.active = active

    # Keeping, showing, hiding.

    def keep(self) -> None:
        """Write the state to its file; a problem is shown, nothing is raised."""
        self._keep_timer.stop()
        session, sample = self.session, self.parts.sample
        kept = Kept(
            **kept_entries(session.draft),
            seed=session.seed,
            locked=session.locked,
            size=session.size,
            follow=sample.follow.isChecked(),
            slab=sample.slab.isChecked(),
            model=None if session.model is None else session.model.path,
        )
        try:
            write_state(self._state_file, kept)
        except GenesisError as problem:
            self.parts.show_trouble(str(problem))

    def _keep_later(self) -> None:
        self._keep_timer.start()

    def _reach(self) -> None:
        active = self._viewer.layers.selection.active
        self.shortcuts.reach_window(active is not None and active in (self.session.layer, self.canvas.layer))

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for the width it is made for, and no more of the canvas."""
        return QSize(WIDTH, super().sizeHint().height())

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Show the preview in the canvas again, and list the models there are by now."""
        super().showEvent(event)
        self._find_models()
        self.session.refresh()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802
        """Take the preview out of the canvas while the Studio is not seen, and keep the state."""
        super().hideEvent(event)
        self.canvas.remove()
        self.keep()


def _warm() -> None:
    from genesis_core.corruptions import warm

    warm()


def _end(
    session: Session, link: ViewerLink, canvas: CanvasPreview, lanes: Sequence[LatestOnly], preferences: Any
) -> None:
    session.close()
    for lane in lanes:
        lane.close()
    link.close()
    canvas.close()
    preferences()
