"""The runs of a workspace: one table, what each is worth, how they differ, and what can be done with them.

Everything is read from the run folders, in threads: `listing` and `event_scan` for the table, `details` and `curves`
for what is selected. Nothing here trains; jobs do (`napari_genesis.jobs`).
"""
