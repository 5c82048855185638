"""Reading aids for CT and MR in napari: orientation letters, the head up, windows by name and by dragging."""
