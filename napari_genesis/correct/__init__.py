"""The Review dock: correct what a model proposes where it teaches most, and continue training with what was accepted.

What a review is lies in `genesis_core.studies.review`; here it is shown. `queue_rows`, `label_edits`, `case_files` and
`commands` know no Qt; `open_case` is the one place that touches the viewer's layers; `review_dock` puts all together.
"""
