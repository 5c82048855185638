"""Every backbone as an ONNX file that computes what torch does, or is right for one size alone and says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from genesis_core.errors import ModelError
from genesis_core.model import onnx_file
from genesis_core.model.card import LabelEntry, ModelCard
from genesis_core.model.folder import Model, load_model, save_model
from genesis_core.model.onnx_file import write_onnx
from genesis_core.networks import (
    DynUNetSettings,
    NetworkSettings,
    NNUNetSettings,
    ResNetSettings,
    SegResNetSettings,
    SwinUNETRSettings,
    UNet3DSettings,
    create_network,
)
from genesis_core.networks.registry import BACKBONES
from genesis_core.volumes.preprocessing import Preprocessing

SMALL = {
    "unet3d": UNet3DSettings(width=8, depth=3, out_channels=3, head="text_driven"),
    "segresnet": SegResNetSettings(width=8, blocks_down=(1, 1, 2), blocks_up=(1, 1), out_channels=3, pad=True),
    "swin_unetr": SwinUNETRSettings(width=12, window=3, depths=(2, 1, 1, 1), out_channels=3, axes="xyz"),
    "dynunet": DynUNetSettings(width=4, depth=3, flat_levels=1, out_channels=3),
    "nnunet": NNUNetSettings(
        width=4,
        largest=8,
        level_strides=((1, 1, 1), (2, 2, 2), (2, 2, 2)),
        level_kernels=((3, 3, 3),) * 3,
        blocks=(1, 1, 1),
        decoder_blocks=(1, 1),
        out_channels=3,
    ),
    "resnet": ResNetSettings(depth=18, width=4, out_channels=3, input_scale=10, input_shift=-5),
}
pytestmark = pytest.mark.filterwarnings("ignore")


def saved(folder: Path, settings: NetworkSettings) -> Model:
    network = create_network(settings, seed=1)
    for name, buffer in network.named_buffers():
        if name.endswith("class_vectors"):
            buffer.copy_(torch.randn(buffer.shape, generator=torch.Generator().manual_seed(2)))
    card = ModelCard(
        name="x",
        task="segmentation",
        network=settings,
        activation="sigmoid",
        patch_size=(64, 32, 32) if settings.kind == "swin_unetr" else (24, 16, 16),
        preprocessing=Preprocessing(modality="ct"),
        structures=tuple(LabelEntry(name=f"part {value}", value=value) for value in (1, 2, 3)),
    )
    save_model(folder, network, card)
    return load_model(folder)


def test_every_backbone_is_here() -> None:
    assert set(SMALL) == set(BACKBONES)


@pytest.mark.parametrize("kind", SMALL)
def test_the_file_computes_what_torch_does(tmp_path: Path, kind: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model = saved(tmp_path / "model", SMALL[kind])
    found = write_onnx(model, tmp_path / "x.onnx")
    assert all(one.passed for one in found)
    one_size = kind == "swin_unetr"
    assert {one.shape[0] for one in found} == ({1} if one_size else {1, 2})
    assert (len({one.shape[2:] for one in found}) == 1) is one_size
    told = json.loads((tmp_path / "x.onnx.json").read_text())["input"]
    assert (told["size"], told["batch"].startswith("one")) == (
        ("as trained_on, and no other", True) if one_size else ("any such", False)
    )
    session = runtime.InferenceSession(str(tmp_path / "x.onnx"), providers=["CPUExecutionProvider"])
    values = np.random.default_rng(3).random((1, 1, *told["trained_on"]), dtype=np.float32)
    theirs = session.run(["logits"], {"image": values})[0]
    with torch.inference_mode():
        ours = model.network(torch.from_numpy(values)).numpy()
    assert ours.std() > 0.003, "a constant would prove nothing"
    np.testing.assert_allclose(theirs, ours, atol=1e-4)


def test_a_file_the_runtime_cannot_run_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    model = saved(tmp_path / "model", SMALL["segresnet"])
    real = onnx_file._inputs
    monkeypatch.setattr(
        onnx_file, "_inputs", lambda *given: [(name, values[:, :, :-3]) for name, values in real(*given)]
    )
    with pytest.raises(ModelError, match="ONNX Runtime cannot run the exported file on noise"):
        write_onnx(model, tmp_path / "x.onnx")
