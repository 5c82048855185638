"""The card reads back as it was written, in a form people can read."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from pydantic import ValidationError

from genesis_core.model.card import ModelCard, read_card
from genesis_core.networks import UNet3DSettings
from genesis_core.volumes.preprocessing import Preprocessing


def card(**changes: object) -> ModelCard:
    values: dict[str, object] = {
        "name": "small",
        "task": "restoration",
        "network": UNet3DSettings(width=8, norm="instance"),
        "activation": "sigmoid",
        "patch_size": (32, 64, 64),
        "weights_sha256": "0" * 64,
        **changes,
    }
    return ModelCard.model_validate(values)


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_a_card_reads_back_equal(tmp_path: object, modality: str) -> None:
    shared = [1, 2]
    written = card(
        preprocessing=Preprocessing(modality=modality, spacing=(1.0, 1.5, 2.0), axis_codes="RAS"),
        data={"first": shared, "second": shared, "nested": {"deep": [0.1, None, True, "1e5", "no"]}},
        name="Zürich: 肺 #1",
        metrics={"mse": 1e-7},
    )
    path = f"{tmp_path}/model.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(written.to_yaml())
    assert read_card(path) == written
    assert "&" not in written.to_yaml(), "a shared list must not become an alias, which reading refuses"


def test_the_yaml_starts_with_the_layout_and_keeps_the_networks_settings() -> None:
    text = card().to_yaml()
    assert text.startswith("schema: 1\nname: small\n")
    assert yaml.safe_load(text)["network"] == {
        "kind": "unet3d",
        "in_channels": 1,
        "out_channels": 1,
        "dims": 3,
        "width": 8,
        "depth": 4,
        "norm": "instance",
        "pad": False,
        "head": "convolution",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": "poetry"},
        {"activation": "relu"},
        {"patch_size": (0, 1, 1)},
        {"data": {"x": object()}},
        {"metrics": {"a": float("inf")}},
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        card(**wrong)


def test_a_card_needs_no_torch() -> None:
    code = "import sys, genesis_core.model.card; sys.exit('torch' in sys.modules or 'SimpleITK' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
