"""From finished work to what is seen of it: layers in the viewer, and the result's part of the dock."""

from __future__ import annotations

from typing import Any

from genesis_core.durations import duration
from napari_genesis.apply.folder_work import FolderDone
from napari_genesis.apply.layer_work import Index, RestoredLayer, SegmentedLayer
from napari_genesis.apply.parts import ApplyParts
from napari_genesis.apply.results import Target, show_restoration, show_segmentation, show_threshold

# Lines about a folder: what more there is stands in the files beside the results.
_MOST_LINES = 30
_HIDDEN = "Uncertainty and spread are layers of their own, hidden at first."


class Showing:
    """Shows one result at a time; `target` is what it belongs to, None where there is none."""

    def __init__(self, viewer: Any, parts: ApplyParts) -> None:
        self._viewer = viewer
        self._parts = parts
        self._centres: dict[str, tuple[int, Index]] = {}
        self.target: Target | None = None
        parts.table.gone_to.connect(self.go_to)
        parts.residual.labels_ready.connect(self._add_threshold)

    def show(self, target: Target | None, result: SegmentedLayer | RestoredLayer | FolderDone) -> None:
        """Show a result. target: of work on a layer; if the layer is gone, nothing is shown."""
        parts = self._parts
        if isinstance(result, FolderDone):
            self.forget()
            parts.show_outcome(result.said, _told(result))
            return
        if target is None or target.layer not in self._viewer.layers:
            return
        self.target = target
        if isinstance(result, SegmentedLayer):
            found = result.segmentation
            show_segmentation(target, result)
            self._centres = result.centres
            parts.residual.forget()
            parts.table.show_found(result)
            each = f", each the mean of {found.predictions} predictions" if found.predictions > 1 else ""
            hidden = () if found.uncertainty is None else (_HIDDEN,)
            parts.show_outcome(_by(target, found.windows, each, result.seconds), (*hidden, *found.notes), table=True)
        else:
            show_restoration(target, result)
            parts.residual.show_restored(result)
            restoration = result.restoration
            # The last note is the residual's limits, which the panel states itself.
            parts.show_outcome(
                _by(target, restoration.windows, "", result.seconds), restoration.notes[:-1], residual=True
            )

    def layers_changed(self) -> None:
        """Let go of a result whose scan the user took away."""
        if self.target is not None and self.target.layer not in self._viewer.layers:
            self.forget()

    def forget(self) -> None:
        """Show no result any more; its layers stay."""
        self.target = None
        self._centres = {}
        self._parts.clear_results()

    def go_to(self, structure: str) -> None:
        """Show the slices through the middle of a structure; the camera stays as it is."""
        if self.target is None or structure not in self._centres:
            return
        layer, dims = self.target.layer, self._viewer.dims
        _, index = self._centres[structure]
        # Of a layer with frames, the place in space is the same in all.
        point = layer.data_to_world((*(0 for _ in range(layer.ndim - 3)), *index))[-3:]
        dims.set_point(range(dims.ndim - 3, dims.ndim), [float(value) for value in point])

    def _add_threshold(self, labels: Any, threshold: str) -> None:
        if self.target is not None:
            show_threshold(self.target, labels, threshold)


def _told(done: FolderDone) -> list[str]:
    """Return what is to be known of a folder, a line each: what failed, warnings, what was noticed of a scan."""
    lines = [f"{name}: {reason}" for name, reason in done.failed]
    lines += [f"{text[:1].upper()}{text[1:]}" for text in done.warned]
    lines += [f"{name}: {note}" for name, note in done.notes]
    left = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], f"and {left} more: see the .json files beside the results."] if left > 0 else lines


def _by(target: Target, windows: int, each: str, seconds: float) -> str:
    counted = f"{windows} window" if windows == 1 else f"{windows} windows"
    return f"{target.layer.name}, by {target.model_name}: {counted}{each}, {duration(seconds)}."
