"""Self-supervised learning on 3D medical images: the science behind napari-genesis, without Qt and without napari.

    import genesis_core as gc

Every public name below is imported when it is first used, so that `import genesis_core` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Public name -> the module it lives in.
_PUBLIC = {
    "Volume": "volumes.volume",
    "Geometry": "volumes.volume",
    "read_volume": "volumes.reading",
    "write_volume": "volumes.writing",
    "reorient": "volumes.resampling",
    "resample": "volumes.resampling",
    "find_labelled": "volumes.labelled.finding",
    "read_case": "volumes.labelled.reading_cases",
    "Recipe": "corruptions.recipe",
    "Draw": "corruptions.recipe",
    "make_phantom": "phantom.thorax",
    "Model": "model.folder",
    "load_model": "model.folder",
    "load_ensemble": "model.ensemble",
    "import_weights": "model.import_weights",
    "export_model": "model.export",
    "restore": "inference.restore",
    "segment": "inference.segment",
    "pretrain": "training.pretrain",
    "finetune": "training.finetune",
    "rounds_of": "training.rounds",
    "evaluate": "studies.evaluation.evaluate",
    "GenesisError": "errors",
}
_SUBPACKAGES = {
    "corruptions",
    "inference",
    "metrics",
    "model",
    "networks",
    "phantom",
    "proxy",
    "sampling",
    "training",
    "volumes",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from genesis_core.corruptions.recipe import Draw as Draw
    from genesis_core.corruptions.recipe import Recipe as Recipe
    from genesis_core.errors import GenesisError as GenesisError
    from genesis_core.inference.restore import restore as restore
    from genesis_core.inference.segment import segment as segment
    from genesis_core.model.ensemble import load_ensemble as load_ensemble
    from genesis_core.model.export import export_model as export_model
    from genesis_core.model.folder import Model as Model
    from genesis_core.model.folder import load_model as load_model
    from genesis_core.model.import_weights import import_weights as import_weights
    from genesis_core.phantom.thorax import make_phantom as make_phantom
    from genesis_core.studies.evaluation.evaluate import evaluate as evaluate
    from genesis_core.training.finetune import finetune as finetune
    from genesis_core.training.pretrain import pretrain as pretrain
    from genesis_core.training.rounds import rounds_of as rounds_of
    from genesis_core.volumes.labelled.finding import find_labelled as find_labelled
    from genesis_core.volumes.labelled.reading_cases import read_case as read_case
    from genesis_core.volumes.reading import read_volume as read_volume
    from genesis_core.volumes.resampling import reorient as reorient
    from genesis_core.volumes.resampling import resample as resample
    from genesis_core.volumes.volume import Geometry as Geometry
    from genesis_core.volumes.volume import Volume as Volume
    from genesis_core.volumes.writing import write_volume as write_volume


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"genesis_core.{_PUBLIC[name]}"), name)
    if name in _SUBPACKAGES:
        return importlib.import_module(f"genesis_core.{name}")
    raise AttributeError(f"module 'genesis_core' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, *_SUBPACKAGES})
