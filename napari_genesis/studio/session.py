"""What the Studio knows and does, without widgets: the scan, the recipe with its history, the sample, the box.

Every change leads to one piece of work in the fast lane (corrupt and compose; at once where that takes milliseconds)
and, after a moment's rest, one in the slow lane (restore and measure). Results that were overtaken are dropped. The
widgets only call methods and listen to signals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import GenesisError
from genesis_core.volumes.volume import Modality
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.studio.history import History
from napari_genesis.studio.preview import Look, Preview, Wanted, compute, shown, slab_of
from napari_genesis.studio.recipe_draft import RecipeDraft
from napari_genesis.studio.restoring import Judgement, RestoringModel, judge
from napari_genesis.studio.scan import Array, Box, Index, StudioScan, scan_of_layer

# What costs less is computed at once, without a thread; the window may stand still for 50 ms.
QUICK_MILLISECONDS = 12.0
# The rest after which what takes longer is computed.
IDLE_MILLISECONDS = 150
# Voxels of a box; each needs about 40 bytes in all that is computed and shown.
MOST_VOXELS = 320**3
# Size of the published sub-volumes, "64x64x32" in the order x, y, z.
PUBLISHED_SIZE: Index = (32, 64, 64)


@dataclass(frozen=True, eq=False)
class Frame:
    """A preview ready for the canvas: voxels (z, y, x) in scan units at `preview.place`."""

    preview: Preview
    look: Look
    voxels: Array
    settled: bool


class Session(QObject):
    """The state behind one Studio.

    scan_changed: another scan, or None. draft_changed: the recipe. sample_changed: seed or lock. box_changed: place,
    size, or box against slab. frame_ready(Frame), judged(Judgement): results. trouble(str): a sentence for the user,
    empty when it is over. busy_changed(bool): a scan is being looked at.
    """

    scan_changed = Signal(object)
    draft_changed = Signal()
    sample_changed = Signal()
    box_changed = Signal()
    frame_ready = Signal(object)
    judged = Signal(object)
    trouble = Signal(str)
    busy_changed = Signal(bool)

    def __init__(self, draft: RecipeDraft | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.history = History(draft or RecipeDraft.of(Recipe.genesis()))
        self.scan: StudioScan | None = None
        self.layer: Any = None
        self.seed = 0
        self.locked = True
        self.size: Index = PUBLISHED_SIZE
        self.box: Box | None = None
        self.slab_axis: int | None = None
        self._slab_index = 0
        self._slice: int | None = None
        self.other: Recipe | None = None
        self.look = Look()
        self.model: RestoringModel | None = None
        self.live = True
        self.restore_while_dragging = False
        self.frame: Frame | None = None
        self.judgement: Judgement | None = None
        # Another scan is on its way, or another mapping of it: what is known may not be of `layer` any more.
        self._due = False
        self._looking = LatestOnly("genesis-studio-scan", self)
        self._fast = LatestOnly("genesis-studio-corrupt", self)
        self._slow = LatestOnly("genesis-studio-restore", self)
        # What the fast lane computed last; it alone writes here while there is a scan.
        self._last: Preview | None = None
        self._idle = QTimer(self)
        self._idle.setSingleShot(True)
        self._idle.setInterval(IDLE_MILLISECONDS)
        self._idle.timeout.connect(self._judge)
        self._looking.finished.connect(self._scan_arrived)
        self._looking.failed.connect(self._scan_refused)
        self._fast.finished.connect(self._frame_arrived)
        self._fast.failed.connect(self._failed)
        self._slow.finished.connect(self._judged)
        self._slow.failed.connect(self._failed)

    @property
    def draft(self) -> RecipeDraft:
        """The recipe as it is being edited."""
        return self.history.state

    @property
    def busy(self) -> bool:
        """Whether anything is still to come."""
        return self._looking.busy or self._fast.busy or self._slow.busy or self._idle.isActive()

    @property
    def is_refused(self) -> bool:
        """Whether the chosen layer has been looked at, and is no scan."""
        return self.layer is not None and self.scan is None and not self._due

    def close(self) -> None:
        """Stop everything; the threads end after the work they are in."""
        self._idle.stop()
        for lane in (self._looking, self._fast, self._slow):
            lane.close()

    def join(self, seconds: float = 10.0) -> bool:
        """Wait for the threads of a closed session; return whether they ended."""
        return all(lane.join(seconds) for lane in (self._looking, self._fast, self._slow))

    # The scan.

    def choose_layer(self, layer: Any, frame: int | None = None) -> None:
        """Look at another Image layer (None: none), in a thread; `scan_changed` follows."""
        self._fast.discard()
        self._slow.discard()
        self._idle.stop()
        self._last = None
        self.frame, self.judgement = None, None
        self.layer = layer
        # A scan that was asked for before must not be taken for this layer's.
        self._looking.discard()
        if layer is None:
            self._due = False
            self._take_scan(None)
            return
        self._look(lambda: scan_of_layer(layer, frame))

    def choose_modality(self, modality: Modality) -> None:
        """Take the scan for CT or MR, with the usual mapping of that modality."""
        scan = self.scan
        if scan is not None and not self._due:
            self._look(lambda: scan.as_modality(modality))

    def _look(self, work: Callable[[], StudioScan]) -> None:
        self._due = True
        self.busy_changed.emit(True)
        self._looking.submit(work)

    def choose_window(self, low: float, high: float) -> None:
        """Map `low` to 0 and `high` to 1, in scan units."""
        if self.scan is None or self._due or (low, high) == (self.scan.map.low, self.scan.map.high):
            return
        try:
            self._take_scan(self.scan.with_window(low, high))
        except GenesisError as problem:
            self.trouble.emit(str(problem))

    def _scan_arrived(self, scan: StudioScan) -> None:
        self._due = False
        self.busy_changed.emit(False)
        self._take_scan(scan)

    def _scan_refused(self, problem: Exception) -> None:
        self._due = False
        self.busy_changed.emit(False)
        self._take_scan(None)
        self._failed(problem)

    def _take_scan(self, scan: StudioScan | None) -> None:
        before, self.scan = self.scan, scan
        if scan is None:
            self.box = None
        elif before is None or self.box is None or before.volume.shape != scan.volume.shape:
            z, y, x = (length // 2 for length in scan.volume.shape)
            self.box = scan.place((z if self._slice is None else self._slice, y, x), self.size)
        self.trouble.emit("")
        self.scan_changed.emit(scan)
        self.box_changed.emit()
        self.refresh()

    # The recipe.

    def edit(self, draft: RecipeDraft, what: str, settled: bool = True) -> None:
        """Take an edited recipe; unsettled edits of one thing are one step of undo."""
        self.history.add(draft, what, settled=settled)
        self.draft_changed.emit()
        self.refresh(settled=settled)

    def load(self, recipe: Recipe) -> None:
        """Replace the whole recipe; undo brings the one before back."""
        self.edit(RecipeDraft.of(recipe), "recipe")

    def undo(self) -> None:
        """Take back the last edit of the recipe."""
        self.history.undo()
        self.draft_changed.emit()
        self.refresh()

    def redo(self) -> None:
        """Do again what was taken back."""
        self.history.redo()
        self.draft_changed.emit()
        self.refresh()

    def compare_with(self, recipe: Recipe | None) -> None:
        """Show a second recipe beside this one, drawn with the same seed; None ends it."""
        self.other = recipe
        self.draft_changed.emit()
        self.refresh()

    # The sample.

    def choose_seed(self, seed: int) -> None:
        """Show another sample."""
        self.seed = max(seed, 0)
        self.sample_changed.emit()
        self.refresh()

    def lock(self, locked: bool) -> None:
        """Keep the sample while the box moves; unlocked, each new place is a sample of its own, as in training."""
        self.locked = locked
        self.sample_changed.emit()

    # The box.

    def choose_size(self, size: Index) -> None:
        """Give the box another size, (z, y, x) in voxels, around the same centre; one too large is refused in words."""
        if math.prod(size) > MOST_VOXELS:
            self.trouble.emit(
                f"A box of {' x '.join(map(str, size))} voxels is too large to be shown live; the most are "
                f"{MOST_VOXELS:,} voxels, 320 x 320 x 320."
            )
            self.box_changed.emit()
            return
        self.size = size
        if self.scan is not None and self.box is not None:
            self.box = self.scan.place(self.box.centre, size)
        self.box_changed.emit()
        self.refresh()

    def move_box(self, start: Index, settled: bool = True) -> None:
        """Put the box's first voxel at `start`, as far as the scan reaches."""
        if self.scan is None or self.box is None:
            return
        z, y, x = (first + length // 2 for first, length in zip(start, self.size, strict=True))
        box = self.scan.place((z, y, x), self.size)
        if box == self.box and not settled:
            return
        if box != self.box and not self.locked:
            self.seed += 1
            self.sample_changed.emit()
        self.box = box
        self.box_changed.emit()
        self.refresh(settled=settled)

    def look_at_slice(self, axis: int, index: int, follow: bool) -> None:
        """Tell that slice `index` along `axis` of the scan is displayed; a box that follows goes there.

        Moving the box by the shortest way keeps it still while one scrolls inside it.
        """
        if axis == 0:
            self._slice = index
        if self.slab_axis is not None:
            before = self._slab()
            self.slab_axis, self._slab_index = axis, index
            if self._slab() != before:
                self.box_changed.emit()
                self.refresh(settled=False)
            return
        if not follow or self.box is None:
            return
        first, length = self.box.start[axis], self.box.size[axis]
        if first <= index < first + length:
            return
        start = list(self.box.start)
        start[axis] = index if index < first else index - length + 1
        self.move_box((start[0], start[1], start[2]), settled=False)

    def show_slab(self, axis: int | None, index: int = 0) -> None:
        """Show the whole layer of boxes around slice `index` of `axis`; None: the one box."""
        self.slab_axis, self._slab_index = axis, index
        self.box_changed.emit()
        self.refresh()

    def _slab(self) -> Box | None:
        if self.slab_axis is None or self.scan is None:
            return None
        return slab_of(self.scan.volume.shape, self.size, self.slab_axis, self._slab_index)

    # What is shown.

    def choose_look(self, look: Look) -> None:
        """Show something else of the same sample."""
        self.look = look
        self.refresh()

    def choose_model(self, model: RestoringModel | None) -> None:
        """Restore by another model, or by none."""
        self.model = model
        self.judgement = None
        if model is None and self.look.view == "restored":
            self.look = replace(self.look, view="corrupted")
        self.refresh()

    def wanted(self) -> Wanted | None:
        """Return what is to be computed now; None without a scan, or while another one is on its way."""
        if self.scan is None or self.box is None or self._due:
            return None
        return Wanted(self.draft.recipe(), self.seed, self.box, self._slab(), self.other)

    def refresh(self, *, settled: bool = True, now: bool = False) -> None:
        """Compute what is shown anew. now: also if live updates are off."""
        wanted, scan = self.wanted(), self.scan
        if wanted is None or scan is None or not (self.live or now):
            return
        self._compute(scan, wanted, settled)
        self._idle.start(0 if self.restore_while_dragging else IDLE_MILLISECONDS)

    def _restored(self, wanted: Wanted) -> Array | None:
        known = self.judgement
        return known.restored if known is not None and known.preview.wanted == wanted else None

    def _compose(self, scan: StudioScan, wanted: Wanted, look: Look, restored: Array | None, settled: bool) -> Frame:
        known = self._last
        preview = known if known and known.scan is scan and known.wanted == wanted else compute(scan, wanted, known)
        self._last = preview
        return Frame(preview, look, shown(preview, restored, look, scan.map), settled)

    def _frame_arrived(self, frame: Frame) -> None:
        self.frame = frame
        self.trouble.emit("")
        self.frame_ready.emit(frame)

    def _judge(self) -> None:
        frame, scan, model = self.frame, self.scan, self.model
        if scan is None or frame is None or self._fast.busy:
            if self._fast.busy:
                self._idle.start()
            return
        preview = frame.preview
        self._slow.submit(lambda: judge(scan, preview, model))

    def _judged(self, judgement: Judgement) -> None:
        if self.frame is None or judgement.preview is not self.frame.preview:
            return
        self.judgement = judgement
        self.judged.emit(judgement)
        if self.look.view == "restored" and judgement.restored is not None:
            self._show_restored()

    def _show_restored(self) -> None:
        wanted, scan = self.wanted(), self.scan
        if wanted is not None and scan is not None:
            self._compute(scan, wanted, True)

    def _compute(self, scan: StudioScan, wanted: Wanted, settled: bool) -> None:
        look, restored = self.look, self._restored(wanted)
        if not self._is_quick(scan, wanted) or self._fast.busy:
            self._fast.submit(lambda: self._compose(scan, wanted, look, restored, settled))
            return
        # What a thread computed before this must not come after it.
        self._fast.discard()
        try:
            frame = self._compose(scan, wanted, look, restored, settled)
        except (GenesisError, MemoryError) as problem:
            self._failed(problem)
        else:
            self._frame_arrived(frame)

    def _is_quick(self, scan: StudioScan, wanted: Wanted) -> bool:
        """Whether the last preview of this size cost so little that a thread would only add waiting for Python's lock.

        Where the window is being painted, a thread waits up to 5 ms for the lock, several times.
        """
        known = self._last
        same = known is not None and known.scan is scan and known.place.size == (wanted.slab or wanted.box).size
        return known is not None and same and known.milliseconds < QUICK_MILLISECONDS

    def _failed(self, problem: Exception) -> None:
        if not isinstance(problem, GenesisError | MemoryError):
            raise problem
        self.trouble.emit(str(problem) or "There is not enough memory for this; choose a smaller box.")
