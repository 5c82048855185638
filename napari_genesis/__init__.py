"""What napari shows of napari-genesis: no science, and nothing heavy imported at napari's start."""
