"""What follows from what was chosen in the Fine-tune dock: settings, command, the way back, words. No window."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from genesis_core.errors import SettingsError
from genesis_core.model.card import ModelCard
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.training.finetune_settings import FinetuneSettings, RoundSettings
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import read_settings, write_settings
from napari_genesis.apply.models import ModelEntry
from napari_genesis.jobs.preparing import prepare_run
from napari_genesis.jobs.step_time import StepTime
from napari_genesis.jobs.view import NamedColour, PreviewArrays, RunView
from napari_genesis.training.draft import PretrainDraft, RecipeChoice
from napari_genesis.training.estimating import estimate
from napari_genesis.training.finetuning.dice_data import dice_lines, mean_line, mean_of, structures_of
from napari_genesis.training.finetuning.finetune_draft import FinetuneDraft, chosen_structures, command_line
from napari_genesis.training.finetuning.keeping import read_draft, write_draft
from napari_genesis.training.finetuning.plan_words import plan_rows, plan_text
from napari_genesis.training.finetuning.round_note import round_in_words
from napari_genesis.training.finetuning.sources import is_checkpoint, licence_warning, place_of_import
from napari_genesis.training.preview_plan import best_slice, plan_layers, voxel_size


def test_what_is_not_set_is_left_to_be_planned(tmp_path: Path) -> None:
    draft = FinetuneDraft(labelled=tmp_path, budget="10 minutes", source=tmp_path / "source")
    settings = draft.settings(tmp_path / "run")
    assert not settings.is_given("sampling.patch_size")
    run = prepare_run(settings)
    assert run.status().state == "queued"
    stored = read_settings(run)
    assert isinstance(stored, FinetuneSettings)
    # Also for the process that reads it from the folder.
    assert not any(stored.is_given(key) for key in ("sampling.patch_size", "network.width", "training.batch_size"))
    assert not stored.is_given("training.keep")
    assert stored.training.max_hours == pytest.approx(1 / 6)
    assert stored.data.labelled == tmp_path
    assert stored.source == tmp_path / "source"
    # Folders stand relative to the run, as the core writes them.
    assert yaml.safe_load(run.settings_file.read_text())["data"]["labelled"] == ".."
    given = replace(draft, changed={"network.width": 8, "sampling.patch_size": (16, 16, 16)}).settings(tmp_path / "two")
    again = read_settings(prepare_run(given))
    assert isinstance(again, FinetuneSettings)
    assert again.is_given("network.width")
    assert not again.is_given("network.norm")
    assert again.sampling.patch_size == (16, 16, 16)


def test_a_change_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SettingsError, match="width"):
        FinetuneDraft().with_change("network.width", "wide")
    assert FinetuneDraft().with_change("network.width", 4).without_change("network.width") == FinetuneDraft()


def test_the_command_names_what_was_chosen_and_no_more() -> None:
    draft = FinetuneDraft(labelled=Path("/data/my set"), budget="1 hour")
    assert command_line(draft, Path("runs/a")) == ("napari-genesis finetune '/data/my set' --out runs/a --max-hours 1")
    draft = replace(draft, source=Path("runs/lung"), structures=("liver", "lung left"), budget="steps", steps=5)
    words = shlex.split(command_line(draft.with_change("folds", 2), Path("a")))
    for pair in (["--source", "runs/lung"], ["--structures", "liver,lung left"], ["--max-steps", "5"]):
        assert words[words.index(pair[0]) + 1] == pair[1]
    assert words[-2:] == ["--set", "folds=2"]
    # A comma in a name would divide it.
    words = draft.__class__(structures=("liver, left lobe",)).structure_words()
    assert words == ["--set", "data.structures=['liver, left lobe']"]


def test_all_structures_are_no_choice() -> None:
    assert chosen_structures(("b", "a"), ("a", "b")) == ()
    assert chosen_structures(("b",), ("a", "b")) == ("b",)


def test_choices_are_kept_and_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    file, folder, source = tmp_path / "config" / "finetune.yaml", tmp_path / "set", tmp_path / "source"
    folder.mkdir()
    source.mkdir()
    draft = FinetuneDraft(labelled=folder, structures=("liver",), source=source, budget="steps", steps=77)
    draft = draft.with_device("cuda:1")
    write_draft(file, draft.with_change("seed", 4))
    assert read_draft(file) == draft
    source.rmdir()
    folder.rmdir()
    assert (read_draft(file).labelled, read_draft(file).source, read_draft(file).structures) == (None, None, ())


def _planned(draft: FinetuneDraft, out: Path, plan: dict[str, str], **update: Any) -> FinetuneSettings:
    """The settings of a run as its run.yaml has them, once it was planned."""
    settings = draft.settings(out)
    whole = FinetuneSettings.model_validate(settings.model_dump(mode="json", by_alias=True))
    return whole.model_copy(update={"plan": plan, **update})


def test_a_run_comes_back_as_a_form_with_what_was_set_and_without_what_was_planned(tmp_path: Path) -> None:
    draft = FinetuneDraft(
        labelled=tmp_path / "set",
        structures=("liver",),
        budget="a night (8 h)",
        device="cuda:1",
        changed={"training.learning_rate": 0.01, "network.width": 8, "seed": 3},
    )
    plan = {
        "network.width": "8: as you set it.",
        "network.norm": "instance: small batches make batch statistics noisy.",
        "sampling.patch_size": "40,40,40 voxels: whole scans.",
        "training.max_steps": "as many as fit into 8 hours, by timing the first ones.",
        "activation": "softmax, since nothing overlaps.",
    }
    settings = _planned(draft, tmp_path / "run", plan, activation="softmax")
    settings = settings.model_copy(
        update={
            "sampling": settings.sampling.model_copy(update={"patch_size": (40, 40, 40)}),
            "training": settings.training.model_copy(update={"max_steps": 4321}),
            "network": settings.network.model_copy(update={"out_channels": 2}),
        }
    )
    run = RunFolder.create(tmp_path / "run")
    write_settings(run, settings)
    read = read_settings(run)
    assert isinstance(read, FinetuneSettings)
    assert FinetuneDraft.of_settings(read) == draft


def test_a_round_comes_back_as_a_form_that_continues_the_same_run(tmp_path: Path) -> None:
    rounds = RoundSettings(previous=tmp_path / "first", start="source", corrected=tmp_path / "review" / "corrected")
    draft = FinetuneDraft(
        labelled=tmp_path / "set", structures=("liver",), budget="steps", steps=15, rounds=rounds, changed={"seed": 3}
    )
    plan = {"rounds.start": "source: begins again.", "network": "unet3d: as in first.", "folds": "1: as in first."}
    stored = _planned(draft, tmp_path / "run", plan, folds=1)
    spacing = stored.data.model_copy(update={"modality": "ct", "spacing": (1.0, 1.0, 2.0)})
    run = RunFolder.create(tmp_path / "run")
    write_settings(run, stored.model_copy(update={"data": spacing}))
    read = read_settings(run)
    assert isinstance(read, FinetuneSettings)
    again = FinetuneDraft.of_settings(read)
    assert again == draft
    assert again.settings(None).rounds == rounds
    words = again.words(None)
    assert words[words.index("--continue") + 1] == str(tmp_path / "first")
    assert words[words.index("--corrected") + 1] == str(tmp_path / "review" / "corrected")
    assert words[words.index("--start") + 1] == "source"
    assert "--continue" not in replace(again, rounds=None).words(None)
    assert round_in_words(rounds).startswith(
        "Continues first: begins again as it began, with the cases of review/corrected. Its structures"
    )


def test_a_budget_that_no_choice_has_comes_back_under_advanced(tmp_path: Path) -> None:
    settings = FinetuneDraft(labelled=tmp_path).settings(None)
    training = settings.training.model_copy(update={"max_hours": 3.5})
    draft = FinetuneDraft.of_settings(settings.model_copy(update={"training": training}))
    assert draft.settings(None).training.max_hours == 3.5
    assert "--max-hours 3.5" in command_line(draft, tmp_path)
    assert draft.with_budget("1 hour").settings(None).training.max_hours == 1


def test_a_pretraining_comes_back_as_a_form() -> None:
    recipe = RecipeChoice("preset", "paper")
    for draft in (
        PretrainDraft(scans=Path("scans"), recipe=recipe, preset="published", budget="10 minutes"),
        PretrainDraft(scans=Path("scans"), recipe=recipe, preset="lung_ct", budget="steps", steps=9),
        PretrainDraft(scans=Path("scans"), recipe=recipe, changed={"seed": 7, "training.batch_size": 3}),
    ):
        assert PretrainDraft.of_settings(draft.settings(None, None), recipe) == draft


def test_a_plan_is_told_in_rows_with_reasons() -> None:
    settings = FinetuneDraft(budget="1 hour").settings(None).model_copy(update={"folds": 5})
    reasons = {
        "folds": "5: under 20 subjects.",
        "sampling.patch_size": "whole scans.",
        "transfer": "auto: as published.",
    }
    rows = {row.name: row for row in plan_rows(settings, reasons)}
    assert rows["held out"].value == "every subject once, in 5 trainings"
    assert rows["held out"].reason == "5: under 20 subjects."
    assert rows["length"].value == "as many steps as fit the time"
    assert rows["takes over"].value == "all but the last layer"
    assert plan_text(settings, reasons, ("no memory",)).startswith("warning: no memory\n\nfolds\n    5: under")


def test_the_estimate_counts_all_folds() -> None:
    now = time.mktime((2026, 3, 2, 17, 0, 0, 0, 0, -1))
    steps = FinetuneDraft(budget="steps", steps=288).settings(None)
    text = estimate(steps, StepTime(0.5, 1 << 30), None, now, measuring=False, trainings=5)
    assert text.startswith("Takes about 15 min, ends at 17:15: 5 trainings of 288 steps, 0.5 s a step.")
    hour = FinetuneDraft(budget="1 hour").settings(None)
    assert "1,152 steps of 0.5 s in each of 5 trainings" in estimate(
        hour, StepTime(0.5, 1 << 30), None, now, measuring=False, trainings=5
    )


def _entry(**card: Any) -> ModelEntry:
    made = ModelCard(
        name="source",
        task="restoration",
        network=UNet3DSettings(),
        activation="sigmoid",
        patch_size=(32, 64, 64),
        weights_sha256="0" * 64,
        **card,
    )
    return ModelEntry(Path("source"), (made,), 0.0)


def test_terms_that_exclude_sale_are_said_in_plain_words() -> None:
    assert "Not for commercial use" in licence_warning(_entry(licence="academic, non-commercial use only"))
    assert "Not for commercial use" in licence_warning(_entry(licence="MIT", source_licence="CC BY-NC 4.0"))
    assert licence_warning(_entry(licence="CC BY 4.0")) == ""
    assert licence_warning(_entry()) == ""


def test_a_checkpoint_is_imported_under_a_free_name(tmp_path: Path) -> None:
    file = tmp_path / "Genesis_Chest CT.pt"
    assert is_checkpoint(file)
    assert not is_checkpoint(tmp_path)
    place = place_of_import(file, tmp_path)
    assert place == tmp_path / "models" / "genesis_chest_ct"
    place.mkdir(parents=True)
    assert place_of_import(file, tmp_path).name == "genesis_chest_ct_2"


def test_dice_comes_by_structure_and_in_its_colour() -> None:
    events = tuple({"step": step, "dice_liver": step / 10, "mean_dice": step / 20} for step in (0, 5))
    view = RunView(Path("run"), validations=(*events, {"step": 10, "mean_dice": 0.6, "dice_cyst": "none"}))
    assert [one.name for one in structures_of(view)] == ["liver", "cyst"]
    coloured = replace(view, preview=PreviewArrays(0, {}, structures=(NamedColour("liver", (1, 2, 3)),)))
    (liver,) = dice_lines(coloured, structures_of(coloured))
    assert (liver.colour, liver.steps.tolist(), liver.values.tolist()) == ((1, 2, 3), [0, 5], [0, 0.5])
    assert mean_line(view).latest == 0.6
    assert mean_of({"a": 0.5, "b": None}) == 0.5
    assert mean_of({"b": None}) is None


def test_a_preview_of_a_segmentation_is_an_image_with_labels_on_it() -> None:
    shape = (1, 4, 5, 6)
    reference = np.zeros(shape, np.uint8)
    reference[0, 3] = 1
    arrays = {
        "case_image": np.linspace(0, 1, 120, dtype=np.float32).reshape(shape),
        "case_reference": reference,
        "case_prediction": np.zeros(shape, np.uint8),
        "image": np.zeros((4, 2, 2, 2), np.float32),
    }
    preview = PreviewArrays(7, arrays, "case", (1.0, 2.0, 3.0), (NamedColour("liver", (255, 0, 0)),))
    layers = plan_layers(preview)
    assert [(one.key, one.kind, one.column) for one in layers] == [
        ("image", "image", 0), ("prediction", "labels", 0), ("reference", "labels", 0),
    ]  # fmt: skip
    assert {one.data.shape for one in layers} == {(4, 5, 6)}
    assert list(layers[1].settings["features"]["structure"]) == ["liver"]
    assert best_slice(layers) == 3
    assert voxel_size(preview, None).tolist() == [3.0, 2.0, 1.0]
    # Shapes that do not fit cannot lie on each other; what is not known is not shown.
    assert plan_layers(replace(preview, arrays={**arrays, "case_prediction": np.zeros((1, 2, 2, 2), np.uint8)})) == []
    assert plan_layers(PreviewArrays(0, {"other": np.zeros(shape, np.float32)})) == []
