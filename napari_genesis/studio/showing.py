"""From what the session knows to what the Studio's parts and the canvas show; the user's moves go the other way."""

from __future__ import annotations

from napari_genesis.studio.canvas import CanvasPreview
from napari_genesis.studio.parts import StudioParts
from napari_genesis.studio.preview import VIEWS, View, in_words
from napari_genesis.studio.recipe_draft import preset_of
from napari_genesis.studio.restoring import Judgement
from napari_genesis.studio.scan import Array, StudioScan
from napari_genesis.studio.session import Frame, Session
from napari_genesis.studio.viewer_link import ViewerLink

_WHAT_TO_DO = (
    "Open a CT or MR scan (File > Open, or drop it onto the window), or a synthetic one under File > Open Sample > "
    "Genesis."
)


class Showing:
    """Shows one session in one set of parts."""

    def __init__(self, session: Session, parts: StudioParts, link: ViewerLink, canvas: CanvasPreview) -> None:
        self._session = session
        self._parts = parts
        self._link = link
        self._canvas = canvas
        # Why a model that was chosen is not used.
        self._note = ""

    def scan(self, scan: StudioScan | None) -> None:
        """Show what is known of the scan; without one, what to do."""
        parts = self._parts
        parts.scan.show_scan(scan)
        for button in (parts.sheet, parts.measure):
            button.setEnabled(scan is not None)
        if scan is None:
            self._canvas.remove()
            parts.thumbnails.show_planes(dict.fromkeys(VIEWS), 1.0)
            parts.figures.show_words(_WHAT_TO_DO if self._session.layer is None else "")

    def recipe(self) -> None:
        """Show the recipe, its cards, and what it is compared with."""
        session, draft = self._session, self._session.draft
        preset = preset_of(draft.recipe()) is not None
        other = None if session.other is None else session.other.name
        history = session.history
        self._parts.recipe.show_recipe(draft.name, preset, history.can_undo, history.can_redo, other)
        self._parts.sample.show_compared(other)
        self._cards()

    def sample(self) -> None:
        """Show seed and lock."""
        self._parts.sample.show_sample(self._session.seed, self._session.locked)

    def box(self) -> None:
        """Show the box's size, also on the cards, whose sizes are parts of it."""
        scan = self._session.scan
        self._parts.sample.show_size(self._session.size, None if scan is None else scan.spacing)
        self._cards()

    def frame(self, frame: Frame, *, in_canvas: bool) -> None:
        """Show a preview in words, curves and pictures, and in the canvas if that is wanted."""
        scan, layer = self._session.scan, self._session.layer
        if scan is None or layer is None:
            return
        preview, parts = frame.preview, self._parts
        if in_canvas:
            full = scan.map.high - scan.map.low
            self._canvas.show(layer, preview.place, frame.voxels, frame.look, full, settled=frame.settled)
        parts.figures.show_words(in_words(preview))
        known = self._session.judgement
        if known is not None and known.preview is preview:
            parts.figures.show_figures(known.return_input, known.return_mean, known.model)
        else:
            parts.figures.show_errors(preview.return_input, preview.return_mean)
        parts.curve.show_curves(preview.draw, preview.other_draw)
        parts.curve.show_histogram(preview.histogram, scan.map, "HU" if scan.modality == "ct" else "")
        self.planes()

    def judgement(self, judgement: Judgement) -> None:
        """Show what took longer: the figures and the restoration."""
        self._parts.figures.show_figures(judgement.return_input, judgement.return_mean, judgement.model)
        self._parts.figures.show_note(judgement.problem or self._note)
        self.statistics()
        self.planes()

    def note(self, words: str) -> None:
        """Say why a model that was chosen is not used, until another one is chosen."""
        self._note = words
        self._parts.figures.show_note(words)

    def statistics(self) -> None:
        """Measure many samples of what is shown, if that is wanted."""
        if self._session.frame is not None:
            self._parts.statistics.measure(self._session.frame.preview)

    def planes(self) -> None:
        """Show the current slice in the small pictures."""
        session = self._session
        frame, scan, layer, judgement = session.frame, session.scan, session.layer, session.judgement
        if frame is None or scan is None or layer is None:
            return
        preview, index = frame.preview, self._link.slice_of(layer)

        def plane(voxels: Array) -> Array:
            return self._link.as_displayed(voxels, preview.place, index)

        restored = judgement.restored if judgement is not None and judgement.preview is preview else None
        original, corrupted = plane(preview.original), plane(preview.corrupted)
        planes: dict[View, Array | None] = {
            "original": original,
            "corrupted": corrupted,
            "difference": corrupted - original,
            "restored": None if restored is None else plane(restored),
        }
        self._parts.thumbnails.show_planes(planes, self._link.aspect(scan.spacing))

    def _cards(self) -> None:
        scan = self._session.scan
        self._parts.cards.show_draft(self._session.draft, self._session.size, None if scan is None else scan.spacing)
