"""SuPreM's and the self-supervised checkpoints: recognised by keys, every tensor accounted for, the same numbers.

Outputs are compared in double precision, where equal arithmetic differs by 1e-12 or so and any other by far more.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from published_layout import published_checkpoint, published_tensors
from suprem_layout import (
    Shapes,
    Values,
    head_logits,
    nested,
    segresnet_logits,
    suprem_segresnet,
    suprem_unet,
    swin_features,
    swin_unetr,
    unet_features,
    universal,
)
from torch import Tensor

from genesis_core.cli.main import run
from genesis_core.errors import ModelError
from genesis_core.model import import_weights as importing
from genesis_core.model import published_file, published_sources
from genesis_core.model.import_report import ImportReport, UnmatchedWeightsError
from genesis_core.model.import_weights import import_weights
from genesis_core.model.layout import convert, recognise
from genesis_core.model.published_classes import ATLAS, ATLAS_9, SUPREM_STRUCTURES, TEMPLATE
from genesis_core.model.published_sources import LAYOUTS
from genesis_core.networks.registry import create_network

# Rounding of double precision, through some forty layers.
EXACT = 1e-9


def write(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def turned(x: Tensor) -> Tensor:
    return x.permute(0, 1, 4, 3, 2)


def image(*size: int, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.rand((batch, 1, *size), generator=generator, dtype=torch.float64)


def double(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference over the spread of what is expected, which must not be constant."""
    assert expected.std() > 0.05, "a constant output would prove nothing"
    return float((found - expected).abs().max() / expected.std())


def small_swin(width: int = 12, **more: int) -> dict[str, Tensor]:
    return swin_unetr(width=width, window=3, **more)


def test_suprem_unet_gives_the_features_of_the_published_arithmetic(tmp_path: Path) -> None:
    tensors = suprem_unet(width=8)
    imported = import_weights(write(tmp_path / "any name.pth", nested(tensors)), tmp_path / "model")
    network, report = imported.model.network.double(), imported.report
    assert report.source.startswith("SuPreM U-Net")
    assert (report.prefix, report.published_tensors) == ("module.backbone.", (104, 106))
    assert report.missing == ["backbone.out_tr.final_conv.weight", "backbone.out_tr.final_conv.bias"]
    assert (len(report.matched), report.unexpected, report.mis_shaped) == (62, [], [])
    # 42 running averages, and the 13 tensors of the last layer.
    assert len(report.not_needed) == 42 + 13
    x = image(16, 8, 24, batch=2)
    bottleneck, features = unet_features(double(tensors), x)
    with torch.no_grad():
        found, skips = network.encode(turned(x))
        assert difference(turned(network.forward_features(turned(x))), bottleneck) < EXACT
        assert difference(turned(network.decode(found, skips)), features) < EXACT
        alone = turned(network.forward_features(turned(x[:1])))
    assert difference(alone, bottleneck[:1]) > 0.1, "the batch's own statistics, in evaluation too"


@pytest.mark.parametrize("batch", [1, 2])
def test_suprem_unet_with_its_last_layer_segments_32_classes_as_published(tmp_path: Path, batch: int) -> None:
    tensors = suprem_unet(width=8)
    path = write(tmp_path / "u.pth", nested(tensors))
    model = import_weights(path, tmp_path / "model", keep_head=True).model
    assert (model.card.task, model.card.activation, model.network.settings.head) == (
        "segmentation",
        "sigmoid",
        "text_driven",
    )
    x = image(16, 8, 24, batch=batch)
    with torch.no_grad():
        found = turned(model.network.double()(turned(x)))
    assert found.shape[1] == 32
    assert difference(found, head_logits(double(tensors), *unet_features(double(tensors), x))) < EXACT


def test_suprem_segresnet_keeps_its_32_outputs_and_its_numbers(tmp_path: Path) -> None:
    tensors = suprem_segresnet(width=8)
    imported = import_weights(write(tmp_path / "s.pth", nested(tensors)), tmp_path / "model")
    model, report = imported.model, imported.report
    model.network.double()
    assert report.source.startswith("SuPreM SegResNet")
    assert (report.prefix, report.published_tensors, len(report.matched)) == ("module.", (83, 83), 83)
    assert report.not_needed == report.unexpected == report.missing == []
    x = image(16, 8, 24)
    with torch.no_grad():
        assert difference(turned(model.network(turned(x))), segresnet_logits(double(tensors), x)) < EXACT
        assert difference(model.network(x), segresnet_logits(double(tensors), x)) > 0.1, "the kernels are not symmetric"


def test_swin_unetr_5050_computes_in_the_published_axes_and_merging(tmp_path: Path) -> None:
    tensors = small_swin()
    content = {"state_dict": tensors, "epoch": 5000}
    imported = import_weights(write(tmp_path / "s.pt", content), tmp_path / "model")
    model, report = imported.model, imported.report
    model.network.double()
    assert report.source.startswith("Self-supervised Swin UNETR")
    assert (report.prefix, report.published_tensors) == ("", (157, 159))
    assert report.not_needed == ["out.conv.conv.weight", "out.conv.conv.bias"]
    assert model.card.task == "pretraining"
    settings = model.network.settings
    assert (settings.axes, settings.merging, settings.window, settings.out_channels) == ("xyz", "published", 3, 1)
    x = image(64, 32, 32)
    bottleneck, features = swin_features(double(tensors), x, window=3)
    with torch.no_grad():
        found, skips = model.network.encode(turned(x))
        assert difference(turned(model.network.forward_features(turned(x))), bottleneck) < EXACT
        assert difference(turned(model.network.decode(found, skips)), features) < EXACT
        other = create_network(settings.model_copy(update={"merging": "fixed"})).double()
        other.load_state_dict(model.network.state_dict())
        assert difference(turned(other.forward_features(turned(x))), bottleneck) > 0.1, "as since MONAI 1.5: not equal"


def test_swin_unetr_with_windows_of_seven_and_odd_numbers_of_tokens_equals_the_published_arithmetic(
    tmp_path: Path,
) -> None:
    """The published window, shifted and padded; 32 voxels give 16, 8, 4, 2 tokens, 96 give 48, 24, 12, 6."""
    tensors = swin_unetr(width=12)
    model = import_weights(write(tmp_path / "s.pt", {"state_dict": tensors}), tmp_path / "model").model
    model.network.double()
    x = image(32, 96, 32)
    bottleneck, _ = swin_features(double(tensors), x)
    with torch.no_grad():
        assert difference(turned(model.network.forward_features(turned(x))), bottleneck) < EXACT


@pytest.mark.slow
def test_suprem_swin_unetr_at_full_size_equals_the_published_arithmetic(tmp_path: Path) -> None:
    make = Values(4)
    tensors = universal(swin_unetr(make=make), 48, 768, make)
    path = write(tmp_path / "s.pth", nested(tensors))
    imported = import_weights(path, tmp_path / "source")
    assert imported.report.source.startswith("SuPreM Swin UNETR")
    assert imported.report.published_tensors == (157, 159)
    model = import_weights(path, tmp_path / "model", keep_head=True).model
    x = image(32, 64, 32)
    with torch.no_grad():
        found = turned(model.network.double()(turned(x)))
    expected = head_logits(double(tensors), *swin_features(double(tensors), x, "backbone."))
    assert difference(found, expected) < EXACT


def test_all_three_at_their_published_size_have_the_published_numbers_of_tensors() -> None:
    empty = Shapes()
    for tensors, counts, parameters in [
        (suprem_unet(make=empty), (104, 106), 19_073_665),
        (suprem_segresnet(make=empty), (83, 83), 4_701_424),
        (universal(swin_unetr(make=empty), 48, 768, empty), (157, 159), None),
    ]:
        contents = recognise(tensors, LAYOUTS)
        settings = contents.layout.settings(contents.own())
        network = create_network(settings)
        _, findings = convert(contents, settings, network.state_dict(), drop_head=False)
        report = ImportReport(file="x", digest="", findings=tuple(findings))
        assert (report.published_tensors, report.matched_fraction, report.unexpected) == (counts, 1.0, [])
        if parameters:
            assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    # Without its head, what fine-tuning takes of the SegResNet is 81 of 83.
    assert sum(name.startswith(("encoder", "decoder")) for name in create_network_names("segresnet")) == 81


def create_network_names(kind: str) -> list[str]:
    layout = next(layout for layout in LAYOUTS if layout.kind == kind)
    return list(layout.names(layout.settings({})))


@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
def test_prefixes_and_nesting_do_not_matter_and_the_files_name_neither(tmp_path: Path, prefix: str) -> None:
    tensors = suprem_segresnet(width=8)
    path = write(tmp_path / "Genesis_Chest_CT.pt", nested(tensors, prefix))
    imported = import_weights(path, tmp_path / "model")
    assert imported.report.source.startswith("SuPreM SegResNet")
    assert imported.report.prefix == prefix
    bare = import_weights(write(tmp_path / "bare.pt", tensors), tmp_path / "bare")
    assert imported.model.card.weights_sha256 == bare.model.card.weights_sha256


@pytest.mark.parametrize(
    ("content", "layout"),
    [
        (nested(suprem_segresnet(width=8, classes=18)), "SegResNet"),
        (nested(small_swin(classes=25)), "Swin UNETR"),
        (nested(published_tensors(width=4, n_class=18)), "U-Net"),
        (published_checkpoint(published_tensors(width=4, n_class=2)), "U-Net"),
    ],
)
def test_another_model_in_a_known_layout_is_imported_and_nothing_is_pretended(
    tmp_path: Path, content: dict[str, object], layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "fine_tuned.pth", content)
    assert run(["import-weights", str(path), "--out", str(tmp_path / "model")]) == 0
    assert "not one of the published" in capsys.readouterr().err
    card = importing.load_model(tmp_path / "model").card
    assert (card.task, card.preprocessing, card.structures) == ("pretraining", None, ())
    assert layout in card.source
    assert "not known" in card.licence


def test_missing_tensors_are_named_and_refused_and_so_is_another_architecture(tmp_path: Path) -> None:
    tensors = suprem_segresnet(width=8)
    del tensors["down_layers.2.1.conv1.conv.weight"]
    path = write(tmp_path / "s.pth", nested(tensors))
    with pytest.raises(UnmatchedWeightsError, match=r"only 99% .*down_layers\.2\.1\.conv1") as raised:
        import_weights(path, tmp_path / "model")
    assert raised.value.report.missing == ["down_layers.2.1.conv1.conv.weight"]
    assert not (tmp_path / "model").exists()
    more = {**small_swin(), "swinViT.layers1c.0.layer.conv1.conv.weight": torch.zeros(1)}
    with pytest.raises(UnmatchedWeightsError, match=r"another architecture"):
        import_weights(write(tmp_path / "v2.pt", {"state_dict": more}), tmp_path / "model", minimum_matched=0)
    table = small_swin()
    index = table["swinViT.layers1.0.blocks.0.attn.relative_position_index"]
    table["swinViT.layers1.0.blocks.0.attn.relative_position_index"] = index.flip(0)
    with pytest.raises(UnmatchedWeightsError, match="mis-shaped"):
        import_weights(write(tmp_path / "index.pt", {"state_dict": table}), tmp_path / "model")


def test_keeping_a_head_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "s.pth", nested(suprem_segresnet(width=8)))
    with pytest.raises(ModelError, match="no text-driven last layer"):
        import_weights(path, tmp_path / "model", keep_head=True)


def test_cards_carry_the_published_contract(tmp_path: Path) -> None:
    card = import_weights(write(tmp_path / "s.pth", nested(suprem_segresnet(width=8))), tmp_path / "m").model.card
    assert card.preprocessing.spacing == (1.5, 1.5, 1.5)
    assert (card.preprocessing.axis_codes, card.patch_size) == ("RAS", (96, 96, 96))
    assert (card.preprocessing.intensity.low, card.preprocessing.intensity.high) == (-175, 250)
    assert "patents pending" in card.licence
    assert "CC BY-NC-ND" in card.source_licence
    assert (card.data["epoch"], len(card.structures)) == (800, 32)
    assert "not those of AbdomenAtlas" in " ".join(card.notes)


def test_both_numberings_stand_beside_each_other() -> None:
    by_name = {entry.name: entry for entry in SUPREM_STRUCTURES}
    assert [entry.value for entry in SUPREM_STRUCTURES] == list(range(1, 33))
    assert by_name["liver"].numberings == {TEMPLATE: 6, ATLAS: 5, ATLAS_9: 5}
    assert by_name["rectum"].numberings == {TEMPLATE: 20, ATLAS: 25}
    assert by_name["kidney_cyst"].numberings == {TEMPLATE: 32}
    # Template indices of AbdomenAtlas 1.1's 25 values, as the data set's documentation lists them.
    order = sorted((entry.numberings[ATLAS], entry.value) for entry in SUPREM_STRUCTURES if ATLAS in entry.numberings)
    listed = [8, 4, 3, 2, 6, 11, 9, 1, 7, 13, 12, 21, 25, 18, 14, 5, 23, 24, 15, 19, 17, 16, 10, 22, 20]
    assert order == list(enumerate(listed, 1))
    listed_1_0 = ["aorta", "gall_bladder", "kidney_left", "kidney_right", "liver", "pancreas", "postcava", "spleen"]
    listed_1_0.append("stomach")
    nine = {entry.name for entry in SUPREM_STRUCTURES if ATLAS_9 in entry.numberings}
    assert nine == set(listed_1_0)


def test_a_scan_reaches_the_network_as_nibabels_canonical_array_does(tmp_path: Path) -> None:
    """RAS in (x, y, z) order is what the published loaders feed; our (z, y, x) input is exactly that, turned."""
    import nibabel

    from genesis_core import read_volume

    affine = np.array([[0, -1.5, 0, 10], [1.5, 0, 0, -7], [0, 0, -1.5, 3], [0, 0, 0, 1.0]])
    array = np.random.default_rng(0).integers(-300, 400, (9, 12, 7)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / "scan.nii.gz")
    card = import_weights(write(tmp_path / "s.pth", nested(suprem_segresnet(width=8))), tmp_path / "m").model.card
    prepared = card.preprocessing.prepare(read_volume(tmp_path / "scan.nii.gz"))
    found = prepared.map.to_unit(prepared.volume.array)
    canonical = nibabel.as_closest_canonical(nibabel.load(tmp_path / "scan.nii.gz"))
    expected = np.clip((np.asarray(canonical.dataobj, np.float64) + 175) / 425, 0, 1)
    assert found.shape == expected.shape[::-1]
    np.testing.assert_allclose(found, expected.transpose(2, 1, 0), atol=1e-6)


# --- Fetching, and SHA-256 ---


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Hugging Face: files of a folder, by repository and name."""
    import huggingface_hub

    def download(repository: str, file: str, *, revision: str) -> str:
        path = tmp_path / "hub" / repository / revision / file
        if not path.is_file():
            raise OSError(f"404: {repository}/{file} at {revision}")
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    (tmp_path / "hub/MrGiovanni/SuPreM/main").mkdir(parents=True)
    return tmp_path / "hub/MrGiovanni/SuPreM/main"


def test_a_fetched_file_is_imported_and_must_be_the_published_one_where_that_is_known(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "supervised_suprem_segresnet_2100.pth"
    place = f"hf://MrGiovanni/SuPreM/{name}"
    digest = hashlib.sha256(write(hub / name, nested(suprem_segresnet(width=8))).read_bytes()).hexdigest()
    with pytest.raises(ModelError, match=f"{digest}, and 2db81dc0"):
        import_weights(place, tmp_path / "model")
    imported = import_weights(place, tmp_path / "model", sha256=digest.upper())
    assert "NOT the published" in imported.report.digest_in_words
    assert "NOT the published" in " ".join(imported.model.card.notes)
    known = [
        source if source.name != "suprem_segresnet" else dataclasses.replace(source, sha256=digest)
        for source in published_sources.SOURCES
    ]
    for module in (published_sources, importing):
        monkeypatch.setattr(module, "SOURCES", tuple(known))
    assert import_weights(place, tmp_path / "again").report.digest_in_words.startswith("the published file's")


def test_what_cannot_be_fetched_is_told_with_its_address(hub: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"404.*https://huggingface\.co/MrGiovanni/SuPreM/resolve/v2/absent\.pth"):
        import_weights("hf://MrGiovanni/SuPreM@v2/absent.pth", tmp_path / "model")
    for wrong in ("hf://file.pth", "hf://a/b", "hf://a/b/../c", "hf://a/b@/c"):
        with pytest.raises(ModelError, match="expected hf://OWNER"):
            import_weights(wrong, tmp_path / "model")
    assert published_file.hub_place(str(Path("hf://a/b/c.pth"))) == ("a/b", "c.pth", "main")
    assert published_file.hub_place("models/hf/file.pth") is None


def test_list_names_source_licence_data_preprocessing_and_classes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import-weights", "--list"]) == 0
    text = capsys.readouterr().out
    for said in ("suprem_segresnet", "patents pending", "2,100", "-175 to 250 HU", "kidney_cyst", "2db81dc0", "5,050"):
        assert said in text
    assert run(["import-weights", "--list", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {record["name"] for record in records} == {source.name for source in published_sources.SOURCES}
    assert all(record["licence"] and record["expects"] and record["trained_on"] for record in records)


def test_the_command_says_what_it_recognised_and_the_digest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "u.pth", nested(suprem_unet(width=8)))
    assert run(["import-weights", str(path), "--out", str(tmp_path / "m"), "--keep-head"]) == 0
    text = capsys.readouterr().out
    for said in (
        "recognised as: SuPreM U-Net",
        hashlib.sha256(path.read_bytes()).hexdigest(),
        "117 of the published",
        "RAS",
    ):
        assert said in text
