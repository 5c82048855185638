"""The errors people see: one small tree, raised where the fact is known, shown once at the edge.

A message says what is wrong, where (file or setting), and what to do about it. Anything that is not a
`GenesisError` is a defect of ours and may show a traceback.
"""


class GenesisError(Exception):
    """Base of every error a user can cause or mend."""


class VolumeError(GenesisError):
    """A scan cannot be read, written or used as it is."""


class RecipeError(GenesisError):
    """A recipe, or the array given to it, is not acceptable."""


class SettingsError(GenesisError):
    """A setting is unknown, out of bounds, or contradicts another."""


class NetworkError(GenesisError):
    """A network cannot be built, or cannot take an input of this size."""


class ModelError(GenesisError):
    """A model folder or a published checkpoint cannot be read or does not fit."""


class CacheError(GenesisError):
    """The on-disk cache cannot be written or used."""


class SamplingError(GenesisError):
    """No acceptable sub-volumes can be drawn from these scans."""


class MemoryBudgetError(GenesisError):
    """The work does not fit into the memory there is."""


class RunError(GenesisError):
    """A run folder is missing, damaged, busy, or cannot be resumed."""


class TrainingError(GenesisError):
    """Training had to stop: not-a-number, out of memory, nothing to learn from."""


class ReviewError(GenesisError):
    """A review of proposals cannot be begun, opened, or take this decision."""


class OutputExistsError(GenesisError):
    """The output is already there, and nothing of the user's is overwritten without being asked."""
