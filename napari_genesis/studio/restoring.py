"""A restoring model on one sub-volume, and figures that say how hard the task is. No Qt; for a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genesis_core.errors import GenesisError, ModelError
from napari_genesis.opening_libraries import open_torch_libraries
from napari_genesis.studio.preview import Preview
from napari_genesis.studio.scan import Array, Index, StudioScan

if TYPE_CHECKING:
    from genesis_core.model.card import ModelCard
    from genesis_core.model.folder import Model

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Figures:
    """How far something is from the original, in [0, 1]: MSE, PSNR in dB, SSIM."""

    mse: float
    psnr: float
    ssim: float


@dataclass(frozen=True, eq=False)
class Judgement:
    """What is known of a preview after a moment's work.

    return_input, return_mean: the two baselines. restored: the model's result in [0, 1], and model: its figures; None
    without a model. problem: why there is no restoration, in a sentence, else empty.
    """

    preview: Preview
    return_input: Figures
    return_mean: Figures
    restored: Array | None = None
    model: Figures | None = None
    problem: str = ""


class RestoringModel:
    """A restoring model, loaded when it is first applied.

    Raises ModelError at once if the folder holds no model that restores one channel.
    """

    def __init__(self, path: Path, device: str = "auto", precision: Precision = "float32") -> None:
        self.path = path
        self.card = _restoring_card(path)
        self._device = device
        self._precision: Precision = precision
        self._model: Model | None = None
        self._predict: Callable[[Array], Array] | None = None

    @property
    def patch_size(self) -> Index:
        """The size (z, y, x) in voxels it was trained on."""
        z, y, x = self.card.patch_size
        return z, y, x

    def load(self) -> Model:
        """Return the model with its weights, loaded once. Raises ModelError for a damaged one."""
        if self._model is None:
            from genesis_core.model.folder import load_model

            self._model = load_model(self.path)
        return self._model

    def restore(self, sub_volume: Array) -> Array:
        """Return the restored sub-volume, in [0, 1]. Raises GenesisError if it cannot be loaded or take this size."""
        if self._predict is None:
            open_torch_libraries()
            from genesis_core.inference.predictor import choose_device, make_predictor

            model = self.load()
            device = choose_device(self._device)
            self._predict = make_predictor(model.network, model.card.activation, device, self._precision)
        result: Array = self._predict(sub_volume[None, None])[0, 0]
        return result

    def differs(self, scan: StudioScan) -> str:
        """Say how this scan is prepared otherwise than those the model learnt from; empty if it is not."""
        learnt = self.card.preprocessing
        if learnt is None:
            return ""
        if learnt.modality != scan.modality:
            return f"The model learnt from {learnt.modality.upper()}, this scan is taken for {scan.modality.upper()}."
        if learnt.intensity != scan.intensity:
            return f"The model learnt with another intensity mapping: {learnt.intensity.describe()}."
        return ""


def judge(scan: StudioScan, preview: Preview, model: RestoringModel | None) -> Judgement:
    """Restore a sub-volume and measure it; what the model cannot do is told in `problem`, never raised."""
    import numpy as np

    original = preview.original
    mean = np.full_like(original, original.mean(dtype=np.float64))
    known = Judgement(preview, _figures(original, preview.corrupted), _figures(original, mean))
    if model is None or preview.wanted.slab is not None:
        return known
    try:
        restored = model.restore(preview.corrupted)
    except GenesisError as problem:
        return replace(known, problem=str(problem))
    return replace(known, restored=restored, model=_figures(original, restored), problem=model.differs(scan))


def _figures(original: Array, other: Array) -> Figures:
    from genesis_core.metrics.image import image_metrics

    found = image_metrics(original, other, 1.0)
    return Figures(found["mse"], found["psnr"], found["ssim"])


def _restoring_card(path: Path) -> ModelCard:
    # The weights, and torch, wait until they are needed.
    from genesis_core.model.card import read_card

    for folder in (path, path / "model"):
        if (folder / "model.yaml").is_file():
            card = read_card(folder / "model.yaml")
            break
    else:
        raise ModelError(f"{path}: holds no model (model.yaml is missing); choose a run or a model folder")
    if card.task != "restoration":
        raise ModelError(f"{path}: its task is {card.task}; the Studio shows what a restoring model makes of a scan")
    return card
