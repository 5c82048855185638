"""Which models are listed, which are left out and why, and what their cards tell. No window."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from apply_driving import write_model

from genesis_core.errors import ModelError
from genesis_core.model.card import ModelCard
from genesis_core.model.ensemble import ENSEMBLE, ensemble_yaml
from genesis_core.networks.settings import UNet3DSettings
from napari_genesis.apply.card_facts import card_facts, structure_colours, summary
from napari_genesis.apply.fit import worth
from napari_genesis.apply.models import find_models, read_entry


def test_runs_and_models_of_a_workspace_are_listed_newest_first(models: Path) -> None:
    old, new = models / "runs" / "restorer" / "model" / "model.yaml", models / "models" / "segmenter" / "model.yaml"
    os.utime(old, (1000, 1000))
    os.utime(new, (2000, 2000))
    listing = find_models(models)
    assert [(entry.name, entry.segments) for entry in listing.entries] == [("segmenter", True), ("restorer", False)]
    assert listing.left_out == ()


def test_a_damaged_card_is_left_out_and_named_and_the_rest_is_there(tmp_path: Path) -> None:
    write_model(tmp_path / "good", "segmentation")
    for name, text in (("cut", "schema: 1\nname: x\n"), ("newer", "schema: 99\n"), ("noise", "\x00[")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.yaml").write_text(text)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    listing = find_models(tmp_path)
    assert [entry.name for entry in listing.entries] == ["good"]
    reasons = {path.name: reason for path, reason in listing.left_out}
    assert set(reasons) == {"cut", "newer", "noise"}
    assert "'task' is required" in reasons["cut"]
    assert "newer version" in reasons["newer"]


def test_no_workspace_is_no_problem(tmp_path: Path) -> None:
    assert find_models(tmp_path / "nowhere").entries == ()


def test_the_folds_of_a_run_are_one_entry(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "folds"
    for fold, dice in enumerate((0.4, 0.6)):
        write_model(run / f"fold_{fold}" / "model", "segmentation", seed=fold, metrics={"mean_dice": dice})
    (run / ENSEMBLE).write_text(ensemble_yaml(("fold_0", "fold_1")))
    (entry,) = find_models(tmp_path).entries
    assert len(entry.cards) == 2
    assert summary(entry) == "2 structures, 2 folds"
    facts = dict(card_facts(entry))
    assert facts["task"] == "segmentation; the mean of 2 folds"
    assert facts["Dice"] == "mean 0.500"
    (run / "fold_1" / "model" / "model.yaml").unlink()
    with pytest.raises(ModelError, match="fold 'fold_1' holds no model"):
        read_entry(run)


def test_a_folder_chosen_by_the_user_is_listed_too(models: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", "restoration")
    assert other in [entry.path for entry in find_models(models, (other, tmp_path / "gone")).entries]
    with pytest.raises(ModelError, match="holds no model"):
        read_entry(tmp_path)


def test_a_card_is_told_in_words(tmp_path: Path) -> None:
    metrics = {"loss": 0.25, "dice_lung": 0.9, "mean_dice": 0.8, "held_out_dice_lung": 0.7, "held_out_mean_dice": 0.6}
    folder = write_model(
        tmp_path / "liver", "segmentation", metrics=metrics, source="lung", source_licence="MIT", notes=("A note.",)
    )
    facts = dict(card_facts(read_entry(folder)))
    assert facts["trained on"] == "8 CT scans (2 more held out)"
    assert facts["Dice"] == "mean 0.600, lung 0.700 (held-out scans)"
    assert facts["reached"] == "loss 0.25"
    assert (facts["source"], facts["licence"], facts["source licence"]) == ("lung", "CC BY 4.0", "MIT")
    assert facts["looks at"].endswith("Patches of 16 x 32 x 32 voxels (z, y, x).")
    assert facts["folder"] == str(folder)
    assert structure_colours(read_entry(folder).card)[0] == ("lung", (10, 200, 30))


def test_what_nobody_stated_is_said_so(tmp_path: Path) -> None:
    facts = dict(
        card_facts(read_entry(write_model(tmp_path / "bare", "restoration", metrics={}, data={}, licence=None)))
    )
    assert facts["trained on"] == facts["reached"] == facts["licence"] == "not stated"


def test_a_model_that_never_beat_the_mean_is_told_of() -> None:
    card = ModelCard(
        name="flat", task="restoration", network=UNet3DSettings(width=2), activation="sigmoid", patch_size=(8, 8, 8)
    )
    assert worth(card) == ""
    poor = card.model_copy(update={"metrics": {"loss": 0.062, "return_mean": 0.045, "return_input": 0.2}})
    assert "0.0620 against 0.0450" in worth(poor)
    assert worth(card.model_copy(update={"metrics": {"loss": 0.02, "return_mean": 0.045}})) == ""
