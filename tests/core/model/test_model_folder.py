"""A model folder is whole or known not to be: every kind of damage is named, and nothing in it is executed."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import genesis_core
from genesis_core.errors import GenesisError, ModelError
from genesis_core.model import folder as model_folder
from genesis_core.model.card import ModelCard
from genesis_core.model.folder import load_model, save_model
from genesis_core.networks import UNet3D, UNet3DSettings, create_network
from genesis_core.volumes.preprocessing import Preprocessing

NORMS = ["batch_statistics", "batch", "instance"]


def make(seed: int = 1, **changes: object) -> tuple[UNet3D, ModelCard]:
    settings = UNet3DSettings(**{"width": 2, "depth": 3, **changes})
    network = create_network(settings, seed=seed)
    assert isinstance(network, UNet3D)
    card = ModelCard(
        name="small",
        task="restoration",
        network=settings,
        activation="sigmoid",
        patch_size=(32, 64, 64),
        preprocessing=Preprocessing(modality="ct"),
        recipe={"schema": 1, "name": "genesis", "steps": [{"kind": "nonlinear", "probability": 0.9}]},
        data={"scans": 3, "folders": ("a", "b"), "path": Path("x")},
        metrics={"mse": 0.01},
        notes=("One sentence: with a colon.", "- and a dash"),
    )
    return network, card


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", *make())
    return tmp_path / "model"


def reseal(folder: Path) -> None:
    """Make the card state the hash of the weights as they are, as a forger would."""
    values = yaml.safe_load((folder / "model.yaml").read_text())
    values["weights_sha256"] = model_folder.sha256((folder / "weights.safetensors").read_bytes())
    (folder / "model.yaml").write_text(yaml.safe_dump(values))


def edit_card(folder: Path, **changes: object) -> None:
    values = yaml.safe_load((folder / "model.yaml").read_text())
    values.update(changes)
    (folder / "model.yaml").write_text(yaml.safe_dump(values))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dims", [2, 3])
def test_a_loaded_model_computes_what_the_saved_one_did(tmp_path: Path, norm: str, dims: int) -> None:
    network, card = make(norm=norm, dims=dims, in_channels=2, out_channels=3)
    x = torch.rand(2, 2, *(8, 16, 12)[:dims])
    network(x)  # moves the running averages, where there are any
    save_model(tmp_path / "model", network, card)
    model = load_model(tmp_path / "model")
    assert not model.network.training
    assert torch.equal(model.network(x), network.eval()(x))
    assert model.card.model_copy(update={"weights_sha256": ""}) == card
    assert model.path == tmp_path / "model"


def test_a_loaded_model_can_go_on_learning(saved: Path) -> None:
    network = load_model(saved).network.train()
    network(torch.rand(1, 1, 8, 8, 8)).mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_run_folder_is_accepted_and_a_run_without_a_model_is_told_apart(saved: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.yaml").write_text("seed: 0\n")
    with pytest.raises(ModelError, match="not written a model yet"):
        load_model(run)
    shutil.copytree(saved, run / "model")
    assert genesis_core.load_model(run).path == run / "model"


def test_a_model_replaced_while_it_is_read_is_read_again(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer, card = make(seed=2, width=3)
    original, waiting = model_folder.create_network, [card]

    def create(*arguments: object, **more: object) -> object:
        # Building the network takes seconds, in which a run saves its next best.
        if waiting:
            save_model(saved, newer, waiting.pop())
        return original(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(model_folder, "create_network", create)
    model = load_model(saved)
    assert model.card.network == card.network
    assert torch.equal(model.network.state_dict()["head.weight"], newer.state_dict()["head.weight"])


def test_the_same_weights_give_the_same_bytes_and_no_time_or_path_inside(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_model(tmp_path / name, *make())
    one, two = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two
    (length,) = struct.unpack("<Q", one[:8])
    header = json.loads(one[8 : 8 + length])
    assert all(set(entry) == {"dtype", "shape", "data_offsets"} for entry in header.values())


def test_memory_format_and_precision_of_the_network_do_not_matter(tmp_path: Path) -> None:
    network, card = make()
    save_model(tmp_path / "plain", network, card)
    save_model(tmp_path / "last", network.to(memory_format=torch.channels_last_3d), card)
    assert load_model(tmp_path / "plain").card == load_model(tmp_path / "last").card
    save_model(tmp_path / "low", network.bfloat16(), card)
    assert {p.dtype for p in load_model(tmp_path / "low").network.parameters()} == {torch.float32}


def test_loading_draws_no_random_numbers(saved: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model(saved)
    assert torch.equal(torch.rand(3), expected)


def test_a_network_other_than_the_cards_is_not_saved(tmp_path: Path) -> None:
    network, card = make()
    wider, _ = make(width=3, norm="batch")
    with pytest.raises(ModelError, match=r"unexpected.*running_mean.*mis-shaped"):
        save_model(tmp_path / "model", wider, card)
    with torch.no_grad():
        network.head.bias.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"not finite.*head\.bias"):
        save_model(tmp_path / "model", network, card)
    assert not (tmp_path / "model").exists()


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _cut_weights(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _flip_a_bit(folder: Path) -> None:
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(bytes(data))


def _resealed(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        tensors = safetensors.torch.load_file(folder / "weights.safetensors")
        change(tensors)
        safetensors.torch.save_file(tensors, folder / "weights.safetensors")
        reseal(folder)

    return damage


def _cut_and_reseal(folder: Path) -> None:
    _cut_weights(folder)
    reseal(folder)


def _huge_weights(folder: Path) -> None:
    with open(folder / "weights.safetensors", "ab") as file:
        file.truncate(1 << 40)


def _laughs(folder: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (folder / "model.yaml").write_text("\n".join(lines))


def _write_card(text: str | bytes) -> Callable[[Path], None]:
    data = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / "model.yaml").write_bytes(data) and None


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no card": (_without("model.yaml"), "model.yaml is missing"),
    "no weights": (_without("weights.safetensors"), "incomplete"),
    "weights cut short": (_cut_weights, "SHA-256 differs"),
    "one bit flipped": (_flip_a_bit, "SHA-256 differs"),
    "empty weights": (lambda folder: (folder / "weights.safetensors").write_bytes(b"") and None, "SHA-256 differs"),
    "cut short and resealed": (_cut_and_reseal, "safetensors"),
    "a terabyte of weights": (_huge_weights, "not its weights"),
    "NaN": (_resealed(lambda t: t["head.bias"].fill_(float("nan"))), r"not finite.*head\.bias"),
    "infinity": (_resealed(lambda t: t["head.bias"].fill_(float("inf"))), "not finite"),
    "tensor missing": (_resealed(lambda t: t.pop("head.bias")), r"1 missing: head\.bias"),
    "tensor too many": (_resealed(lambda t: t.update(extra=torch.ones(1))), "1 unexpected: extra"),
    "another shape": (_resealed(lambda t: t.update({"head.bias": torch.ones(2)})), r"head\.bias is \(2,\), not \(1,\)"),
    "another type": (
        _resealed(lambda t: t.update({"head.bias": torch.ones(1).int()})),
        r"mis-typed: head\.bias is torch\.int32",
    ),
    "network of the card changed": (
        lambda f: edit_card(f, network={"kind": "unet3d", "width": 3, "depth": 3}),
        "mis-shaped",
    ),
    "unknown key": (lambda f: edit_card(f, colour="red"), "unknown key 'colour'"),
    "unknown network": (
        lambda f: edit_card(f, network={"kind": "no_such_net"}),
        "unknown kind of network 'no_such_net': choose from .*unet3d",
    ),
    "network out of bounds": (lambda f: edit_card(f, network={"kind": "unet3d", "width": 10**9}), "width"),
    "network no mapping": (lambda f: edit_card(f, network=[1]), "network"),
    "newer layout": (lambda f: edit_card(f, schema=2), "newer version"),
    "layout not a number": (lambda f: edit_card(f, schema="one"), "schema"),
    "wrong type": (lambda f: edit_card(f, patch_size="wide"), "patch_size"),
    "metric not a number": (lambda f: edit_card(f, metrics={"mse": float("nan")}), "metrics.mse"),
    "hash missing": (lambda f: edit_card(f, weights_sha256=""), "weights_sha256"),
    "hash malformed": (lambda f: edit_card(f, weights_sha256="../../etc"), "weights_sha256"),
    "empty card": (_write_card(""), "not a model card"),
    "card a list": (_write_card("[1, 2]"), "key: value"),
    "card no YAML": (_write_card("a: [1"), "not valid YAML"),
    "card binary": (_write_card(b"\xff\xfe\x00\x01"), "not valid YAML|cannot be read"),
    "YAML bomb": (_laughs, "aliases"),
    "deep YAML": (_write_card("a: " + "[" * 5000), "levels deep"),
    "card of megabytes": (_write_card("a: " + "x" * (2 << 20)), "larger than such a file"),
    "number of a million digits": (_write_card("schema: " + "9" * 5000), "YAML"),
    "Python in the card": (_write_card("schema: !!python/object/apply:os.mkdir ['executed']"), "YAML"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_named(saved: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    damage, said = DAMAGES[kind]
    damage(saved)
    with pytest.raises(ModelError, match=said) as raised:
        load_model(saved)
    assert str(saved) in str(raised.value)
    assert len(str(raised.value)) < 1500
    assert not (saved.parent / "executed").exists()


def test_paths_that_are_no_models_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "Genesis_Chest_CT.pt").write_bytes(b"weights")
    with pytest.raises(ModelError, match=r"import-weights Genesis_Chest_CT\.pt"):
        load_model(tmp_path / "Genesis_Chest_CT.pt")
    with pytest.raises(ModelError, match="no such folder"):
        load_model(tmp_path / "absent")
    with pytest.raises(ModelError, match="neither a model folder"):
        load_model(tmp_path)


def test_a_device_that_is_not_there_is_named(saved: Path) -> None:
    for device in ("cuda:99", "abacus"):
        with pytest.raises(ModelError, match=device):
            load_model(saved, device=device)


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs, except what cleans up."""


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_save_killed_before_its_card_leaves_the_model_before(
    saved: Path, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_model(saved).card
    with monkeypatch.context() as patch:
        patch.setattr(model_folder, "write_text", lambda *_: (_ for _ in ()).throw(Killed))
        for attempt in range(times):
            with pytest.raises(Killed):
                save_model(saved, *make(seed=10 + attempt))
            assert load_model(saved).card == before
    save_model(saved, *make(seed=99))
    assert load_model(saved).card != before
    assert sorted(path.name for path in saved.iterdir()) == ["model.yaml", "weights.safetensors"]


def test_a_save_killed_between_the_two_renames_leaves_the_model_before(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_model(saved).card
    set_aside = model_folder._set_aside

    def killed_after(folder: Path) -> None:
        set_aside(folder)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(model_folder, "_set_aside", killed_after)
        with pytest.raises(Killed):
            save_model(saved, *make(seed=10))
    assert load_model(saved).card == before


def test_a_first_save_that_is_killed_leaves_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "write_text", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        save_model(tmp_path / "model", *make())
    with pytest.raises(ModelError, match="neither a model folder"):
        load_model(tmp_path / "model")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), resealed=st.booleans())
def test_mutated_folders_give_the_right_model_or_a_clear_error(
    tmp_path: Path, data: st.DataObject, resealed: bool
) -> None:
    folder = tmp_path / "model"
    shutil.rmtree(folder, ignore_errors=True)
    save_model(folder, *make())
    name = data.draw(st.sampled_from(["model.yaml", "weights.safetensors"]))
    content = bytearray((folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, min(len(content) - 1, 2000)))] = data.draw(st.integers(0, 255))
    (folder / name).write_bytes(bytes(content))
    if resealed and name == "weights.safetensors":
        reseal(folder)
    said = str(folder)
    try:
        model = load_model(folder)
        assert model.network(torch.rand(1, 1, 8, 8, 8)).isfinite().all() or resealed
    except GenesisError as problem:
        said = str(problem)
    assert str(folder) in said
