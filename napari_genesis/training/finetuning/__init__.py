"""The Fine-tune dock: a labelled folder in, a segmentation model out, its predictions in the viewer while it learns.

`finetune_dock.FinetuneDock` is the dock; what it shares with the Pretrain dock lies in `napari_genesis.training`.
"""
