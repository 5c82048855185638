"""The Apply dock: segment or restore the open layer, or a folder of scans, with a trained model.

What a model is lies in `models`, the work in `layer_work` and `folder_work`, the layers it ends in in `results`; every
row is a file of its own, and `apply_dock` puts them together.
"""
