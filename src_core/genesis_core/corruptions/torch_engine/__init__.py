"""The corruptions as batched torch operations, for the device that trains: a GPU, or any other that torch knows.

`plan.prepare` turns the draws of a batch into a `Plan`, small and made on the CPU; `Plan.apply` carries it out where
the voxels are, without waiting for the device. Everything is equal to the compiled kernels bit for bit, but for the
order of voxels inside a shuffled window: the kernels' order is sequential, which a GPU cannot be.
"""
