"""Trainings beside the window: starting, watching and stopping runs, each in a process of its own. No widgets.

`queues.Jobs` holds every job of this napari, one queue a device; `job.Job` is one run, ours or found on the disk;
`reading.RunReader` turns its folder into a `view.RunView`, all that a widget shows of a run.
"""
