"""`python -m napari_genesis`: napari with the synthetic thorax CT in the Corruption Studio, to begin with."""

from __future__ import annotations


def main() -> None:
    """Open a viewer with the phantom and the Studio, and run until it is closed."""
    import napari

    viewer = napari.Viewer(title="napari-genesis")
    viewer.open_sample("napari-genesis", "thorax_phantom")
    viewer.dims.ndisplay = 2
    image, labels = viewer.layers
    labels.visible = False
    viewer.layers.selection.active = image
    viewer.window.add_plugin_dock_widget("napari-genesis", "Corruption Studio")
    napari.run()


if __name__ == "__main__":
    main()
