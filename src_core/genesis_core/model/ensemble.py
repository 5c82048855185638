"""Models that are applied together: the folds of one training, listed in `ensemble.yaml` of its run folder.

The file holds one key, `models`: a list of model folders or runs, relative to the folder it lies in.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pydantic import field_validator

from genesis_core.errors import ModelError
from genesis_core.settings import Settings, dump_yaml, read_yaml, setting, validate

if TYPE_CHECKING:
    import torch

    from genesis_core.model.folder import Model

ENSEMBLE = "ensemble.yaml"
# Such a list is a few lines; anything larger is something else.
_MAX_BYTES = 1 << 16


class EnsembleList(Settings):
    """What `ensemble.yaml` holds."""

    models: tuple[str, ...] = setting(
        ..., "Model folders, relative to this file's folder, with forward slashes.", min_length=1, max_length=64
    )

    @field_validator("models")
    @classmethod
    def _inside(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            pure = PurePosixPath(path)
            # A run that is copied must take its models along.
            if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\\" in path:
                raise ValueError(f"'{path}' must be a path below this folder, without '..'")
        if len(set(paths)) < len(paths):
            raise ValueError("names a model twice")
        return paths


def load_ensemble(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> tuple[Model, ...]:
    """Load all models of a run: those its `ensemble.yaml` lists, else the one model that `load_model` finds there.

    path: a run folder or a model folder. device: where the networks are put. `segment` takes what is returned.
    Raises ModelError if the list is damaged or leads out of the folder, or as `load_model` does for each model.
    """
    from genesis_core.model.folder import load_model

    folder = Path(path)
    places = [folder / PurePosixPath(name) for name in listed_models(folder)] or [folder]
    return tuple(load_model(place, device) for place in places)


def listed_models(folder: Path) -> tuple[str, ...]:
    """Return the models a run in folds lists, relative to it; none for a single model. Raises ModelError if damaged."""
    listing = folder / ENSEMBLE
    if not listing.is_file():
        return ()
    values = read_yaml(listing, error=ModelError, max_bytes=_MAX_BYTES)
    return validate(EnsembleList, values, where=str(listing), error=ModelError).models


def ensemble_yaml(models: tuple[str, ...]) -> str:
    """Return the text of an `ensemble.yaml` that lists these folders; raises ModelError if one leads elsewhere."""
    listed = validate(EnsembleList, {"models": list(models)}, where=ENSEMBLE, error=ModelError)
    return dump_yaml(listed.model_dump(mode="json"))
