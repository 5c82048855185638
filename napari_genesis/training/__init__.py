"""The docks that train: what a run learns from and how long, and how it is doing while it trains.

`pretrain_dock.PretrainDock` is the Pretrain dock. What another dock of a training needs as well lies in files of its
own: `run_page` with `progress_panel` and `loss_curves`, `job_controls`, `run_chooser`, `preview_layers`, `data_panel`.
"""
