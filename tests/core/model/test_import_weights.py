"""The published checkpoint becomes our model: same numbers, every tensor accounted for, no code in the file run."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_layout import published_checkpoint, published_tensors, reference_forward
from torch import Tensor

import genesis_core
from genesis_core.errors import GenesisError, ModelError, OutputExistsError
from genesis_core.model.checkpoint_file import CheckpointFile
from genesis_core.model.folder import load_model
from genesis_core.model.import_report import UnmatchedWeightsError
from genesis_core.model.import_weights import import_weights
from genesis_core.model.layout import recognise
from genesis_core.model.published_sources import LAYOUTS, find_source


def write(path: Path, content: object, new_format: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    return path


def small(**more: int) -> dict[str, torch.Tensor]:
    return published_tensors(**{"width": 4, **more})


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    return published_tensors()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write(tmp_path / "Genesis_Chest_CT.pt", published_checkpoint(small()))


@pytest.mark.parametrize("width", [4, pytest.param(32, marks=pytest.mark.slow)])
def test_imported_network_on_zyx_equals_the_published_one_on_xyz(tmp_path: Path, width: int) -> None:
    tensors = published_tensors(width=width)
    path = write(tmp_path / "published.pt", published_checkpoint(tensors))
    network = genesis_core.import_weights(path, tmp_path / "model").model.network
    x = torch.rand(2, 1, 32, 16, 24)
    expected = reference_forward(tensors, x).permute(0, 1, 4, 3, 2)
    with torch.no_grad():
        found = torch.sigmoid(network(x.permute(0, 1, 4, 3, 2)))
    assert expected.std() > 0.02, "a constant output would prove nothing"
    assert (found - expected).abs().max() < 1e-5
    with torch.no_grad():
        not_transposed = torch.sigmoid(network(x))
    assert (not_transposed - reference_forward(tensors, x)).abs().max() > 1e-3, "the kernels are not symmetric"


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("prefix", ["module.", ""], ids=["parallel", "plain"])
@pytest.mark.parametrize("bare", [True, False], ids=["bare", "training"])
def test_every_form_of_the_file_gives_the_same_model(tmp_path: Path, new_format: bool, prefix: str, bare: bool) -> None:
    content = published_checkpoint(small(), prefix)
    path = write(tmp_path / "file.pt", content["state_dict"] if bare else content, new_format)
    imported = import_weights(path, tmp_path / "model")
    reference = import_weights(write(tmp_path / "reference.pt", small()), tmp_path / "reference")
    assert imported.report.prefix == prefix
    assert imported.model.card.weights_sha256 == reference.model.card.weights_sha256
    assert imported.model.card.data.get("epoch") == (None if bare else 311)


def test_safetensors_files_are_read_too(tmp_path: Path) -> None:
    safetensors.torch.save_file(small(), tmp_path / "file.safetensors")
    assert len(import_weights(tmp_path / "file.safetensors", tmp_path / "model").report.matched) == 64


def test_the_report_accounts_for_all_106_tensors(checkpoint: Path, tmp_path: Path) -> None:
    report = import_weights(checkpoint, tmp_path / "model").report
    assert (len(report.matched), len(report.not_needed)) == (64, 42)
    assert report.missing == report.unexpected == report.mis_shaped == []
    assert report.matched_fraction == 1
    assert report.head_matched
    assert "down_tr64.ops.0.bn1.running_mean" in report.not_needed
    assert report.digest == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert json.loads(json.dumps(report.as_json()))["matched"] == 64
    assert [row[:2] for row in report.rows()] == [("encoder", "32"), ("decoder", "30"), ("head", "2"), ("other", "0")]


def test_the_card_states_everything_the_published_model_expects(tmp_path: Path, published: dict[str, Tensor]) -> None:
    checkpoint = write(tmp_path / "Genesis_Chest_CT.pt", published_checkpoint(published))
    imported = import_weights(checkpoint, tmp_path / "model")
    card = imported.model.card
    assert card == load_model(tmp_path / "model").card
    assert imported.report.source.startswith("3D U-Net, most likely Models Genesis")
    assert (card.task, card.activation, card.patch_size) == ("restoration", "sigmoid", (32, 64, 64))
    assert card.network == genesis_core.networks.UNet3DSettings()
    assert sum(parameter.numel() for parameter in imported.model.network.parameters()) == 19_073_665
    assert card.preprocessing.axis_codes == "LPS"
    assert card.preprocessing.spacing is None
    assert (card.preprocessing.intensity.low, card.preprocessing.intensity.high) == (-1000, 1000)
    assert "non-commercial" in card.source_licence
    assert "Arizona State University" in card.source_licence
    assert imported.report.digest in card.source
    assert "spacing" in " ".join(card.notes)
    assert "its output is a structure" in " ".join(card.notes), "fine-tuned to one output, it is laid out alike"
    assert "torch" in card.versions
    assert not imported.model.network.training


def test_the_published_network_without_its_last_layer_is_not_taken_for_one_that_restores_chest_ct(
    tmp_path: Path, published: dict[str, Tensor]
) -> None:
    headless = {name: tensor for name, tensor in published.items() if not name.startswith("out_tr")}
    model = import_weights(write(tmp_path / "backbone.pth", headless), tmp_path / "model").model
    # SuPreM's backbone looks just so, and expects another window, other axes and a spacing.
    assert (model.card.task, model.card.preprocessing) == ("pretraining", None)
    scan = genesis_core.make_phantom(0, (16, 16, 16)).volume
    with pytest.raises(ModelError, match="trained for pretraining, not for restoration"):
        genesis_core.restore(model, scan)


def test_only_one_channel_in_and_one_out_at_the_published_width_is_models_genesis(
    published: dict[str, Tensor],
) -> None:
    def known(tensors: dict[str, Tensor], nested: str = "state_dict") -> bool:
        contents = recognise(tensors, LAYOUTS)
        assert contents is not None
        return find_source(contents, CheckpointFile(tensors, None, "", "", nested)) is not None

    assert known(published)
    assert known(published, nested="")
    assert not known(published, nested="net"), "as programs of SuPreM nest what they have fine-tuned"
    assert not known({**published, "down_tr64.ops.0.conv1.weight": torch.zeros(32, 4, 3, 3, 3)})
    assert not known({**published, "out_tr.final_conv.weight": torch.zeros(2, 64, 1, 1, 1)})
    assert not known(small())


def test_another_number_of_classes_is_read_from_the_head(tmp_path: Path) -> None:
    path = write(tmp_path / "three.pt", published_checkpoint(small(n_class=3)))
    model = import_weights(path, tmp_path / "model").model
    assert model.card.network.out_channels == 3
    assert model.network(torch.rand(1, 1, 16, 16, 16)).shape == (1, 3, 16, 16, 16)


def test_a_missing_head_is_started_at_random_and_said(tmp_path: Path) -> None:
    tensors = {name: tensor for name, tensor in small().items() if not name.startswith("out_tr")}
    path = write(tmp_path / "headless.pt", published_checkpoint(tensors))
    first, second = (import_weights(path, tmp_path / name) for name in ("one", "two"))
    assert first.report.missing == ["out_tr.final_conv.weight", "out_tr.final_conv.bias"]
    assert not first.report.head_matched
    assert "started at random" in " ".join(first.model.card.notes)
    assert first.model.card.weights_sha256 == second.model.card.weights_sha256


def test_missing_and_mis_shaped_tensors_are_refused_by_name_unless_allowed(tmp_path: Path) -> None:
    tensors = small()
    del tensors["down_tr256.ops.1.conv1.bias"]
    tensors["up_tr64.up_conv.weight"] = torch.zeros(1, 2, 3)
    tensors["up_tr64.up_conv.bias"] = tensors["up_tr64.up_conv.bias"].int()
    tensors["something.else"] = torch.zeros(1)
    path = write(tmp_path / "odd.pt", published_checkpoint(tensors))
    with pytest.raises(UnmatchedWeightsError, match=r"95% of the encoder and decoder match, 100%") as raised:
        import_weights(path, tmp_path / "model")
    assert not (tmp_path / "model").exists(), "nothing may be written on failure"
    report = raised.value.report
    assert report.missing == ["down_tr256.ops.1.conv1.bias"]
    assert report.mis_shaped == ["up_tr64.up_conv.weight", "up_tr64.up_conv.bias"]
    assert report.unexpected == ["something.else"]
    for name in (*report.missing, *report.mis_shaped, *report.unexpected):
        assert name in str(raised.value)
        assert name in report.text()
    imported = import_weights(path, tmp_path / "model", minimum_matched=0.9)
    assert imported.report.matched_fraction == 59 / 62
    assert "95.2%" in " ".join(imported.model.card.notes)


def test_parameters_of_another_activation_are_refused_though_all_else_matches(tmp_path: Path) -> None:
    tensors = {**small(), "down_tr64.ops.0.activation.weight": torch.ones(4)}
    path = write(tmp_path / "prelu.pt", published_checkpoint(tensors))
    with pytest.raises(UnmatchedWeightsError, match="another architecture"):
        import_weights(path, tmp_path / "model", minimum_matched=0)


def test_half_precision_weights_become_float32_and_are_noted(tmp_path: Path) -> None:
    halved = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in small().items()}
    imported = import_weights(write(tmp_path / "half.pt", halved), tmp_path / "model")
    assert {parameter.dtype for parameter in imported.model.network.parameters()} == {torch.float32}
    assert "float16" in imported.report.findings[0].note


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float) -> None:
    tensors = small()
    tensors["up_tr128.ops.0.conv1.weight"][0, 0, 1, 1, 1] = value
    with pytest.raises(ModelError, match=r"not finite.*decoder\.1\.convolutions\.0"):
        import_weights(write(tmp_path / "nan.pt", tensors), tmp_path / "model")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2, 3], "type list"),
        ({}, "no state dict"),
        ({"epoch": 3, "weights": "gone"}, "epoch, weights"),
        ({"net": {"module.backbone.down_tr64.ops.0.conv1.weight": torch.zeros(1)}}, "looks like: 3D U-Net"),
        ({"nets": {"module.backbone.down_tr64.ops.0.conv1.weight": torch.zeros(1)}}, "own keys are nets"),
        ({"conv_blocks_context.0.weight": torch.zeros(3)}, "0% of the encoder"),
        ({"state_dict": {}}, "no state dict"),
        (torch.zeros(3), "type Tensor"),
    ],
)
def test_files_of_another_kind_are_refused_with_what_they_hold(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        import_weights(write(tmp_path / "other.pt", content), tmp_path / "model")


def test_nothing_matching_is_refused_even_if_nothing_is_required(tmp_path: Path) -> None:
    path = write(tmp_path / "other.pt", {"a": torch.zeros(1)})
    with pytest.raises(ModelError, match="not one tensor"):
        import_weights(path, tmp_path / "model", minimum_matched=0)


def test_bytes_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    for name, data in [
        ("a.pt", b""),
        ("b.pt", b"PK\x03\x04 no zip"),
        ("c.pt", os.urandom(999)),
        ("d.safetensors", b"{}"),
    ]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match=name):
            import_weights(tmp_path / name, tmp_path / "model")
    with pytest.raises(ModelError, match="no such file"):
        import_weights(tmp_path / "absent.pt", tmp_path / "model")
    with pytest.raises(ModelError, match="a folder, not a checkpoint file"):
        import_weights(tmp_path, tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "holiday.pt", "w") as archive:
        archive.writestr("photo.txt", "not a model")
    with pytest.raises(ModelError, match=r"holiday\.pt"):
        import_weights(tmp_path / "holiday.pt", tmp_path / "model")


class _Trap:
    """A pickle that would create a file when it is opened."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_code_in_the_file_is_refused_and_never_run(tmp_path: Path, form: str) -> None:
    target, path = tmp_path / "executed", tmp_path / "evil.pt"
    content = {**published_checkpoint(small()), "extra": _Trap(target)}
    if form == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": _Trap(target)}))
    else:
        write(path, content, form == "zip")
    with pytest.raises(ModelError, match=r"refused|not a torch checkpoint|not a complete"):
        import_weights(path, tmp_path / "model")
    assert not target.exists()
    assert not (tmp_path / "model").exists()
    if form != "pickle":
        torch.load(path, weights_only=False)
        assert target.exists(), "the trap itself must work, or this test proves nothing"


def test_the_refusal_names_the_code_and_gives_no_dangerous_advice(tmp_path: Path) -> None:
    path = write(tmp_path / "evil.pt", {"extra": _Trap(tmp_path / "executed")})
    with pytest.raises(ModelError) as raised:
        import_weights(path, tmp_path / "model")
    assert "mkdir" in str(raised.value)
    assert "weights_only" not in str(raised.value)


def test_truncated_files_are_refused_at_any_length(tmp_path: Path) -> None:
    for new_format in (True, False):
        data = write(tmp_path / "whole.pt", small(), new_format).read_bytes()
        for keep in (0.001, 0.1, 0.5, 0.9, 0.999, 0.99999):
            (tmp_path / "cut.pt").write_bytes(data[: int(len(data) * keep)])
            with pytest.raises(ModelError, match=r"cut\.pt"):
                import_weights(tmp_path / "cut.pt", tmp_path / "model")
    safetensors.torch.save_file(small(), tmp_path / "whole.safetensors")
    data = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[:-1])
    with pytest.raises(ModelError, match=r"cut\.safetensors"):
        import_weights(tmp_path / "cut.safetensors", tmp_path / "model")


@pytest.fixture(scope="module", params=["zip", "legacy"])
def small_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mutants") / f"{request.param}.pt"
    return write(path, published_checkpoint(published_tensors(width=1)), request.param == "zip")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_a_clear_error_or_the_right_model(
    small_file: Path, tmp_path: Path, data: st.DataObject
) -> None:
    mutant = bytearray(small_file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.one_of(st.integers(0, 3000), st.integers(0, len(mutant) - 1)))
        mutant[min(place, len(mutant) - 1)] = data.draw(st.integers(0, 255))
    (tmp_path / "mutant.pt").write_bytes(bytes(mutant))
    found, said = None, "mutant.pt"
    try:
        found = import_weights(tmp_path / "mutant.pt", tmp_path / "model", overwrite=True)
    except GenesisError as problem:
        said = str(problem)
    assert "mutant.pt" in said
    # The older format has no checksums, so only the newer one can promise the numbers.
    if found and small_file.stem == "zip":
        right = import_weights(small_file, tmp_path / "right", overwrite=True)
        assert found.model.card.weights_sha256 == right.model.card.weights_sha256


def test_one_flipped_bit_among_the_weights_of_a_newer_file_is_found(checkpoint: Path, tmp_path: Path) -> None:
    data = bytearray(checkpoint.read_bytes())
    data[len(data) // 2] ^= 1
    checkpoint.write_bytes(bytes(data))
    with pytest.raises(ModelError, match="checksum"):
        import_weights(checkpoint, tmp_path / "model")


def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    with pytest.raises(ModelError, match="compressed"):
        import_weights(tmp_path / "bomb.pt", tmp_path / "model")


def test_a_part_marked_as_a_folder_whose_weights_torch_would_not_read_is_found(
    checkpoint: Path, tmp_path: Path
) -> None:
    data = bytearray(checkpoint.read_bytes())
    # The attributes of the first weights in the list of parts at the end.
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"/data/0"))
    data[entry + 38] |= 0x10
    checkpoint.write_bytes(bytes(data))
    with pytest.raises(ModelError, match="is marked as a"):
        import_weights(checkpoint, tmp_path / "model")


@pytest.mark.parametrize("problem", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_too_little_memory_is_not_taken_for_a_damaged_file(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def load(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr("torch.load", load)
    with pytest.raises(ModelError, match="not enough memory"):
        import_weights(checkpoint, tmp_path / "model")


def test_an_existing_output_is_kept_unless_overwriting_a_model_was_asked_for(checkpoint: Path, tmp_path: Path) -> None:
    import_weights(checkpoint, tmp_path / "model")
    with pytest.raises(OutputExistsError):
        import_weights(checkpoint, tmp_path / "model")
    import_weights(checkpoint, tmp_path / "model", overwrite=True)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputExistsError, match="not a model folder"):
        import_weights(checkpoint, tmp_path / "thesis", overwrite=True)


def test_a_fraction_outside_0_to_1_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="minimum_matched"):
        import_weights(checkpoint, tmp_path / "model", minimum_matched=1.5)


def test_what_is_no_checkpoint_is_not_accused_of_code(tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(b"voxels" * 500))
    with pytest.raises(ModelError, match=r"scan\.nii\.gz: not a torch checkpoint"):
        import_weights(tmp_path / "scan.nii.gz", tmp_path / "model")


@pytest.mark.parametrize("new_format", [True, False])
def test_a_cut_file_is_said_to_be_cut_short_in_our_words(tmp_path: Path, new_format: bool) -> None:
    data = write(tmp_path / "whole.pt", small(), new_format).read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match=r"cut\.pt: cut short or damaged: .* whole one; download it again"):
        import_weights(tmp_path / "cut.pt", tmp_path / "model")
