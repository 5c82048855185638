"""Sample data for napari's File > Open Sample: synthetic thorax CTs made on the spot, real open scans fetched once."""

from __future__ import annotations

from pathlib import Path

from genesis_core.errors import VolumeError
from napari_genesis.contrast import CT_REACH, LUNG_AND_SOFT_TISSUE, REACH_KEY
from napari_genesis.layers import LayerData, shown
from napari_genesis.sample_sources import SAMPLES, Sample, SourceFile
from napari_genesis.view.watching import watch_current
from napari_genesis.waiting import without_freezing

# A phantom whose largest nodule is a solid mass of about 5 cm in the right lung.
_LESION_SEED = 34


def thorax_phantom(seed: int = 0) -> list[LayerData]:
    """Return the phantom of `seed` as an Image (HU) and a Labels layer on the same grid, in millimetres."""
    return _phantom(seed, f"thorax CT {seed} (synthetic)", f"thorax labels {seed} (synthetic)")


def thorax_lesion(seed: int = _LESION_SEED) -> list[LayerData]:
    """Return a phantom with a lung mass; its name says on which slice the mass is largest."""
    import numpy as np

    from genesis_core.phantom.labels import LABELS

    image, labels = _phantom(seed, "", f"thorax labels {seed} (synthetic)")
    area = np.count_nonzero(labels[0] == LABELS["nodule"], axis=(1, 2))
    image[1]["name"] = f"thorax CT with a lung mass, slice {int(np.argmax(area))} (synthetic)"
    return [image, labels]


def abdomen_ct() -> list[LayerData]:
    """Return a CT of abdomen and pelvis, 3 mm, with the vertebrae labelled."""
    return open_sample("abdomen_ct")


def chest_ct() -> list[LayerData]:
    """Return a contrast CT around the thoracic aorta, 1.5 mm, with the aorta labelled."""
    return open_sample("chest_ct")


def sarcoma_ct() -> list[LayerData]:
    """Return a CT around a soft-tissue sarcoma, with the tumour as experts outlined it."""
    return open_sample("sarcoma_ct")


def head_mr() -> list[LayerData]:
    """Return a FLAIR MR of a head with multiple sclerosis: thick slices, oblique."""
    return open_sample("head_mr")


def stroke_mr() -> list[LayerData]:
    """Return a T1 MR of a brain after a stroke, 1 mm."""
    return open_sample("stroke_mr")


def open_sample(key: str) -> list[LayerData]:
    """Return the layers of a real scan, fetched at first use, and tell whose it is.

    Raises VolumeError if it cannot be fetched: no network, or bytes that are not the published ones.
    """
    from napari.utils.notifications import show_info

    sample = SAMPLES[key]
    watch_current()
    layers = without_freezing(lambda: _layers(sample))
    show_info(f"{sample.name}: {sample.attribution}. Terms: {sample.licence}.")
    return layers


def _layers(sample: Sample) -> list[LayerData]:
    from genesis_core.volumes.label_reading import read_labels
    from genesis_core.volumes.label_volume import Structure
    from napari_genesis.label_layers import label_layers
    from napari_genesis.opening import open_path

    # Both are fetched before anything is shown.
    labels_at = _fetched(sample.labels, sample.name) if sample.labels else None
    [(data, meta, kind)] = open_path(_fetched(sample.image, sample.name))
    layers: list[LayerData] = [(data, {**meta, "name": sample.name}, kind)]
    if labels_at:
        structures = [Structure(name, value) for value, name in sample.structures]
        layers += label_layers(read_labels(labels_at, structures), f"{sample.name}: labels")
    return layers


def _fetched(source: SourceFile, name: str) -> Path:
    """Return the file in the user's cache, fetched and checked if it is not there."""
    import logging

    from genesis_core.remembered import cache_root

    try:
        import pooch
    except ImportError:
        raise VolumeError(f"'{name}' needs pooch to be fetched: pip install 'napari-genesis[napari]'") from None
    pooch.get_logger().setLevel(logging.WARNING)
    # Failed connections are OSErrors, whichever library below pooch raises them.
    folder = cache_root() / "samples" / source.sha256[:16]
    try:
        fetched = pooch.retrieve(
            source.url, known_hash=f"sha256:{source.sha256}", fname=Path(source.path).name, path=folder
        )
    except OSError as problem:
        host = source.url.split("/")[2]
        raise VolumeError(
            f"'{name}' could not be fetched from {host} ({type(problem).__name__}). Is this computer connected to the "
            "network? The synthetic thorax CT needs none"
        ) from None
    except ValueError:
        raise VolumeError(
            f"'{name}': what came from the network is not the published file (its SHA-256 differs). A proxy may have "
            "answered in its place; try again on another network"
        ) from None
    return Path(fetched)


def _phantom(seed: int, image_name: str, labels_name: str) -> list[LayerData]:
    from genesis_core.phantom.thorax import make_phantom
    from genesis_core.volumes.label_volume import Structure
    from napari_genesis.label_layers import look

    phantom = without_freezing(lambda: make_phantom(seed))
    array, place = shown(phantom.volume)
    drawn, _ = shown(phantom.labels)
    structures = {Structure(one.name, one.number): one.colour for one in phantom.structures if one.number > 0}
    watch_current()
    image = {
        **place,
        "metadata": {**place["metadata"], REACH_KEY: CT_REACH},
        "name": image_name,
        "colormap": "gray",
        "contrast_limits": LUNG_AND_SOFT_TISSUE,
    }
    labels = {**place, "name": labels_name, "opacity": 0.4, **look(structures)}
    return [(array, image, "image"), (drawn, labels, "labels")]
