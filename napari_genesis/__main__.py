"""`python -m napari_genesis`: open napari with the synthetic thorax CT, to see at once that everything works."""

from __future__ import annotations


def main() -> None:
    """Open a viewer with the phantom and run until it is closed."""
    import napari

    viewer = napari.Viewer(title="napari-genesis")
    viewer.open_sample("napari-genesis", "thorax_phantom")
    viewer.dims.ndisplay = 2
    napari.run()


if __name__ == "__main__":
    main()
