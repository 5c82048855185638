"""One scan told from any other by its voxels, whatever its file, format, type and order of axes."""

from __future__ import annotations

import hashlib

import numpy as np

from genesis_core.volumes.volume import Volume


def image_fingerprint(volume: Volume) -> str:
    """Return the hash of a scan's voxels as float32, in the order of the axes L, P, S."""
    from genesis_core.volumes.resampling import reorient

    array = reorient(volume, "LPS").array
    digest = hashlib.blake2b(repr(array.shape).encode(), digest_size=12)
    for slab in array:
        # Adding zero turns -0.0 into 0.0.
        digest.update((slab.astype(np.float32) + np.float32(0)).tobytes())
    return digest.hexdigest()
