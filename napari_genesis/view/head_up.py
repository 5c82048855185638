"""The head is up on coronal and sagittal views, by the camera's orientation alone; zoom and centre stay.

`HeadUp` is the memory for one viewer: it acts when other axes are displayed, never against what the user did since.
"""

from __future__ import annotations

from napari_genesis.view.orientation import Orientation, View, upright


class HeadUp:
    """Which orientation each view of the scans in one viewer has: upright at first, then as the user left it."""

    def __init__(self) -> None:
        self._view: View | None = None
        self._usual: Orientation | None = None
        self._given: Orientation | None = None
        self._left: dict[View, Orientation] = {}

    def follow(self, view: View | None, now: Orientation) -> Orientation:
        """Return the camera's orientation for a view that was `now` oriented; view: None where there is no scan.

        Unchanged while the view stays the same. When the last scan has gone, the orientation is the one before the
        first came, unless the user has chosen another meanwhile.
        """
        if view == self._view:
            return now
        if self._usual is None:
            self._usual = now
        elif self._view is not None:
            self._left[self._view] = now
        self._view = view
        if view is None:
            usual, given = self._usual, self._given
            self._usual, self._given, self._left = None, None, {}
            return usual if now == given else now
        self._given = self._left.get(view) or upright(view, self._usual)
        return self._given
