"""What the first case of a session needs is loaded when the dock is first seen, in a thread: seconds of imports.

napari's first Image and Labels layers load scipy, pandas, scikit-image and numba; reading loads SimpleITK. What is
drawn first (shaders, layer controls) belongs to the window's thread and cannot be loaded before.

What is loaded is then left out of Python's search for garbage: half a million objects that never go, over which a
search holds the window up for 160 to 250 ms, at any time (measured on 2 cores).
"""

from __future__ import annotations

import gc
from functools import cache

from napari_genesis.opening_libraries import open_reading_libraries


@cache
def warm_review() -> None:
    """Load it, once; what cannot be loaded is told by whoever needs it. For a thread; takes seconds."""
    searches = gc.isenabled()
    gc.disable()
    try:
        _load()
        gc.freeze()
    finally:
        if searches:
            gc.enable()


def take_back() -> None:
    """Search everything for garbage again: a viewer that is closed now goes, with the scans in it."""
    gc.unfreeze()


def _load() -> None:
    open_reading_libraries()
    import numpy as np
    import scipy.ndimage  # noqa: F401
    import SimpleITK  # noqa: F401
    from napari.layers import Image

    import genesis_core.inference.postprocessing
    import genesis_core.studies.review
    import genesis_core.volumes.label_reading
    import genesis_core.volumes.label_writing  # noqa: F401
    from napari_genesis.apply.results import warm_labels

    Image(np.zeros((2, 2, 2), np.int16))
    warm_labels()
