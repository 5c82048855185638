"""An exported model is whole, exact and alone in its folder; what cannot be exact is not exported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from genesis_core.errors import ModelError, OutputExistsError
from genesis_core.model import export, onnx_file
from genesis_core.model.card import LabelEntry, ModelCard
from genesis_core.model.ensemble import ENSEMBLE, ensemble_yaml, load_ensemble
from genesis_core.model.export import export_model
from genesis_core.model.folder import load_model, save_model
from genesis_core.networks import UNet3DSettings, create_network
from genesis_core.volumes.preprocessing import Preprocessing

NORMS = ["batch_statistics", "batch", "instance"]


def save(folder: Path, seed: int = 1, **network: object) -> Path:
    settings = UNet3DSettings(**{"width": 2, "depth": 3, "out_channels": 3, **network})
    card = ModelCard(
        name="liver and kidney",
        task="segmentation",
        network=settings,
        activation="softmax",
        patch_size=(16, 20, 24),
        preprocessing=Preprocessing(modality="ct"),
        structures=(LabelEntry(name="liver", value=1), LabelEntry(name="kidney", value=2)),
        licence="CC BY 4.0",
        source="genesis_chest_ct",
        source_licence="CC BY-NC-SA 4.0",
        metrics={"held_out_mean_dice": 0.83},
    )
    save_model(folder, create_network(settings, seed=seed), card)
    return folder


def folds(folder: Path) -> Path:
    for number in range(2):
        save(folder / "folds" / str(number) / "model", seed=number)
    (folder / ENSEMBLE).write_text(ensemble_yaml(("folds/0/model", "folds/1/model")))
    (folder / "run.yaml").write_text("task: segmentation\n")
    (folder / "events.jsonl").write_text("{}\n")
    return folder


def nothing_left(folder: Path, *known: str) -> bool:
    return sorted(path.name for path in folder.iterdir()) == sorted(known)


def test_a_model_folder_is_copied_byte_for_byte_with_its_licence(tmp_path: Path) -> None:
    model = save(tmp_path / "run" / "model")
    made = export_model(tmp_path / "run", tmp_path / "out")
    assert made.files == ("README.md", "model.yaml", "weights.safetensors")
    for name in made.files[1:]:
        assert (tmp_path / "out" / name).read_bytes() == (model / name).read_bytes()
    text = (tmp_path / "out" / "README.md").read_text()
    assert "CC BY 4.0" in text
    assert "CC BY-NC-SA 4.0" in text
    assert load_model(tmp_path / "out").card == load_model(model).card


def test_all_models_of_a_run_in_folds_go_along_and_nothing_else_of_it(tmp_path: Path) -> None:
    run = folds(tmp_path / "run")
    made = export_model(run, tmp_path / "out")
    assert made.models == 2
    assert [model.card for model in load_ensemble(tmp_path / "out")] == [model.card for model in load_ensemble(run)]
    assert not {"run.yaml", "events.jsonl"} & set(made.files)


def test_while_a_model_is_replaced_the_one_its_card_was_written_for_is_exported(tmp_path: Path) -> None:
    model = save(tmp_path / "model")
    good = (model / "weights.safetensors").read_bytes()
    (model / "weights.previous.safetensors").write_bytes(good)
    (model / "weights.safetensors").write_bytes((save(tmp_path / "new", seed=2) / "weights.safetensors").read_bytes())
    export_model(model, tmp_path / "out")
    assert (tmp_path / "out" / "weights.safetensors").read_bytes() == good


def test_a_damaged_model_is_not_exported_and_nothing_is_left(tmp_path: Path) -> None:
    model = save(tmp_path / "model")
    data = bytearray((model / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (model / "weights.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256 differs"):
        export_model(model, tmp_path / "out")
    with pytest.raises(ModelError, match="no such folder"):
        export_model(tmp_path / "nowhere", tmp_path / "out")
    assert nothing_left(tmp_path, "model")


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    model = save(tmp_path / "model")
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputExistsError):
        export_model(model, tmp_path / "out")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dims", [2, 3])
def test_onnx_computes_what_the_model_does_for_any_batch_and_size(tmp_path: Path, norm: str, dims: int) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model = load_model(save(tmp_path / "model", norm=norm, dims=dims, pad=True))
    if norm == "batch":
        for layer in model.network.modules():
            if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
                layer.running_mean.uniform_(-1, 1)
                layer.running_var.uniform_(0.5, 2)
        save_model(tmp_path / "model", model.network, model.card)
    made = export_model(tmp_path / "model", tmp_path / "out", onnx=True)
    (name,) = made.parity
    session = runtime.InferenceSession(str(tmp_path / "out" / name), providers=["CPUExecutionProvider"])
    values = np.random.default_rng(3).random((3, 1, *(8, 24, 12)[-dims:]), dtype=np.float32)
    theirs = session.run(["logits"], {"image": values})[0]
    with torch.inference_mode():
        ours = torch.cat([model.network(torch.from_numpy(one[None])) for one in values]).numpy()
    np.testing.assert_allclose(theirs, ours, atol=1e-4)
    assert session.get_modelmeta().custom_metadata_map["activation"] == "softmax"


def test_what_one_needs_to_use_an_onnx_file_stands_beside_it(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    made = export_model(folds(tmp_path / "run"), tmp_path / "out", onnx=True)
    names = [f"liver_and_kidney_fold{number}.onnx" for number in range(2)]
    assert list(made.parity) == names
    told = json.loads((tmp_path / "out" / f"{names[0]}.json").read_text())
    assert told["output"]["channels"] == ["background", "liver", "kidney"]
    assert told["input"]["multiple_of"] == 4
    assert told["input"]["preprocessing"] == Preprocessing(modality="ct").describe()
    assert told["card"]["licence"] == "CC BY 4.0"
    assert [one["input"] for one in told["parity"]["inputs"]] == ["noise", "a synthetic scan", "noise of another size"]
    assert max(one["max_abs_difference"] for one in told["parity"]["inputs"]) < told["parity"]["tolerance"]
    assert nothing_left(tmp_path / "out", "README.md", *names, *(f"{name}.json" for name in names))


def test_a_source_to_start_from_is_not_exported_as_a_model_that_restores(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = load_model(save(tmp_path / "model"))
    card = model.card.model_copy(update={"task": "pretraining", "activation": "none", "structures": ()})
    save_model(tmp_path / "model", model.network, card)
    export_model(tmp_path / "model", tmp_path / "copy")
    text = (tmp_path / "copy" / "README.md").read_text()
    assert "napari-genesis finetune LABELLED --source THIS_FOLDER" in text
    assert "restore" not in text
    export_model(tmp_path / "model", tmp_path / "out", onnx=True)
    (told,) = (tmp_path / "out").glob("*.json")
    assert json.loads(told.read_text())["output"]["channels"] == ["not known"] * 3


def test_a_graph_that_computes_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    model = save(tmp_path / "model")

    def wrong(network: nn.Module, dims: int) -> nn.Module:
        return create_network(UNet3DSettings(width=2, depth=3, out_channels=3, norm="batch"), seed=9).eval()

    monkeypatch.setattr(onnx_file, "_sample_by_sample", wrong)
    with pytest.raises(ModelError, match="does not compute what the model does"):
        export_model(model, tmp_path / "out", onnx=True)
    assert nothing_left(tmp_path, "model")


def test_not_a_number_is_never_within_the_tolerance() -> None:
    assert not onnx_file.Parity("noise", (1,), float("nan"), 1.0).passed
    assert not onnx_file.Parity("noise", (1,), 0.01, 1.0).passed
    assert onnx_file.Parity("noise", (1,), 0.01, 500.0).passed


def test_without_the_packages_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "_PACKAGES", ("onnx", "no_such_runtime"))
    with pytest.raises(ModelError, match=r"python -m pip install.*no_such_runtime"):
        export_model(save(tmp_path / "model"), tmp_path / "out", onnx=True)
    assert nothing_left(tmp_path, "model")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write_text", full)
    with pytest.raises(ModelError, match="No space left"):
        export_model(save(tmp_path / "model"), tmp_path / "out")
    assert nothing_left(tmp_path, "model")
