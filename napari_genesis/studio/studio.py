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

from genesis_core.corruptions.presets import PRESETS
from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import GenesisError
from napari_genesis.layers import LayerData
from napari_genesis.preferences import Preferences, on_preferences, read_preferences
from napari_genesis.studio.canvas import CanvasPreview
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.studio.keeping import Kept, default_file, kept_entries, read_kept, write_kept
from napari_genesis.studio.model_panel import restoring_models
from napari_genesis.studio.parts import WIDTH, StudioParts
from napari_genesis.studio.preview import VIEWS, View, in_words
from napari_genesis.studio.restoring import Judgement, RestoringModel
from napari_genesis.studio.scan import Array, Index, StudioScan
from napari_genesis.studio.session import Frame, Session
from napari_genesis.studio.shortcuts import Shortcuts
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
        self._viewer = viewer = napari_viewer
        self._state_file = state_file or default_file()
        kept = read_kept(self._state_file)
        self.session = Session(kept.draft(), self)
        self.session.seed, self.session.locked, self.session.size = kept.seed, kept.locked, kept.size
        self.link = ViewerLink(viewer, self)
        self.canvas = CanvasPreview(viewer, self._dragged)
        self.parts = StudioParts()
        self.files = StudioFiles(self)
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
        # Whoever closes the dock, or the viewer, deletes the widget; what outlives it must end then.
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
        parts.measure.toggled.connect(lambda on: self._measure() if on else parts.statistics.stop())
        parts.update_now.clicked.connect(lambda: session.refresh(now=True))
        session.busy_changed.connect(lambda busy: parts.scan.show_busy() if busy else None)
        session.scan_changed.connect(self._show_scan)
        session.draft_changed.connect(self._show_recipe)
        session.sample_changed.connect(self._show_sample)
        session.box_changed.connect(self._show_box)
        session.frame_ready.connect(self._show_frame)
        session.judged.connect(self._show_judgement)
        session.trouble.connect(parts.show_trouble)
        self.link.layers_changed.connect(lambda: parts.scan.show_layers(list(self._viewer.layers)))
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
        self._show_recipe()
        self._show_sample()
        self._show_scan(None)
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
        self._finding.submit(lambda: restoring_models(known.workspace))
        if self.session.model is not None:
            self.choose_model(self.session.model.path)

    # From the parts to the session.

    def _choose_layer(self, layer: Any) -> None:
        self.session.choose_layer(layer, None if layer is None else self.link.frame(layer))
        self._reach()

    def choose_model(self, path: Path | None) -> None:
        """Restore by the model in a folder; None: by none."""
        try:
            chosen = self._preferences
            model = None if path is None else RestoringModel(path, chosen.device, chosen.precision)
        except GenesisError as problem:
            self.parts.figures.show_note(str(problem))
            model = None
        else:
            self.parts.figures.show_note("")
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
        self._show_planes()

    _frame: int | None = None

    # From the session to the parts.

    def _show_scan(self, scan: StudioScan | None) -> None:
        layer = self.session.layer
        self._frame = None if layer is None else self.link.frame(layer)
        self.parts.scan.show_scan(scan)
        for button in (self.parts.sheet, self.parts.measure):
            button.setEnabled(scan is not None)
        if scan is None:
            self.canvas.remove()
            self.parts.thumbnails.show_planes(dict.fromkeys(VIEWS), 1.0)
            self.parts.figures.show_words(
                "Open a CT or MR scan (File > Open, or drop it onto the window), or a synthetic one under "
                "File > Open Sample > Genesis."
                if layer is None
                else ""
            )
        else:
            self._moved()

    def _show_recipe(self) -> None:
        session, draft = self.session, self.session.draft
        recipe = draft.recipe()
        preset = draft.name in PRESETS and recipe == Recipe.read(draft.name)
        other = None if session.other is None else session.other.name
        self.parts.recipe.show_recipe(draft.name, preset, session.history.can_undo, session.history.can_redo, other)
        self.parts.sample.show_compared(other)
        self._show_cards()
        self._keep_later()

    def _show_sample(self) -> None:
        self.parts.sample.show_sample(self.session.seed, self.session.locked)
        self._keep_later()

    def _show_box(self) -> None:
        scan = self.session.scan
        self.parts.sample.show_size(self.session.size, None if scan is None else scan.spacing)
        self._show_cards()
        self._keep_later()

    def _show_cards(self) -> None:
        scan = self.session.scan
        self.parts.cards.show_draft(self.session.draft, self.session.size, None if scan is None else scan.spacing)

    def _show_frame(self, frame: Frame) -> None:
        scan, layer = self.session.scan, self.session.layer
        if scan is None or layer is None or layer not in self._viewer.layers:
            return
        preview = frame.preview
        if self.isVisible():
            full = scan.map.high - scan.map.low
            self.canvas.show(layer, preview.place, frame.voxels, frame.look, full, settled=frame.settled)
        self.parts.figures.show_words(in_words(preview))
        self.parts.figures.show_errors(preview.return_input, preview.return_mean)
        self.parts.curve.show_curves(preview.draw, preview.other_draw)
        self.parts.curve.show_histogram(preview.histogram, scan.map, "HU" if scan.modality == "ct" else "")
        self._show_planes()

    def _show_judgement(self, judgement: Judgement) -> None:
        self.parts.figures.show_figures(judgement.return_input, judgement.return_mean, judgement.model)
        self.parts.figures.show_note(judgement.problem)
        self._measure()
        self._show_planes()

    def _measure(self) -> None:
        if self.session.frame is not None:
            self.parts.statistics.measure(self.session.frame.preview)

    def add_layer(self, data: LayerData) -> None:
        """Add a layer of ours to the viewer; the one that was active stays so."""
        from napari.layers import Layer

        active = self._viewer.layers.selection.active
        self._viewer.add_layer(Layer.create(*data))
        self._viewer.layers.selection.active = active

    def _show_planes(self) -> None:
        frame, scan, layer, judgement = (
            self.session.frame,
            self.session.scan,
            self.session.layer,
            self.session.judgement,
        )
        if frame is None or scan is None or layer is None:
            return
        preview = frame.preview
        index = self.link.slice_of(layer)
        restored = judgement.restored if judgement is not None and judgement.preview is preview else None

        def plane(voxels: Array | None) -> Array | None:
            return None if voxels is None else self.link.as_displayed(voxels, preview.place, index)

        original, corrupted = plane(preview.original), plane(preview.corrupted)
        assert original is not None
        assert corrupted is not None
        planes: dict[View, Array | None] = {
            "original": original,
            "corrupted": corrupted,
            "difference": corrupted - original,
            "restored": plane(restored),
        }
        self.parts.thumbnails.show_planes(planes, self.link.aspect(scan.spacing))

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
            write_kept(self._state_file, kept)
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
        """Show the preview in the canvas again."""
        super().showEvent(event)
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
