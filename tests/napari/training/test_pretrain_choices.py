"""What follows from what was chosen in the dock: settings, the command, the estimate, the words. No window."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import SettingsError
from genesis_core.training.pretrain_settings import PRESETS
from genesis_core.training.run_folder import RunStatus
from napari_genesis.dock_state import write_state
from napari_genesis.jobs.step_time import StepTime
from napari_genesis.jobs.view import Pace, RunView
from napari_genesis.preferences import Preferences
from napari_genesis.studio.keeping import Kept, kept_entries
from napari_genesis.studio.recipe_draft import RecipeDraft
from napari_genesis.training.curve_data import drawable, smoothed, thinned
from napari_genesis.training.draft import PRESET_NAMES, PretrainDraft, RecipeChoice, command_line
from napari_genesis.training.estimating import estimate
from napari_genesis.training.keeping import read_draft, write_draft
from napari_genesis.training.wording import headline, time_left, why


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_every_preset_makes_settings_with_the_budget(preset: str) -> None:
    settings = PretrainDraft(preset=preset, budget="10 minutes").settings(Path("out"), Recipe.paper())
    assert settings.training.max_hours == pytest.approx(1 / 6)
    assert settings.recipe == Recipe.paper()
    steps = PretrainDraft(preset=preset, budget="steps", steps=9).settings(None, None)
    assert (steps.training.max_hours, steps.training.max_steps) == (None, 9)


def test_presets_are_those_of_the_command_line_and_one_to_look_at() -> None:
    assert ("quick look", *PRESETS) == PRESET_NAMES
    assert PretrainDraft(preset="quick look").base().network.width < PretrainDraft().base().network.width
    assert PretrainDraft(preset="published").base().training.optimiser == "sgd"


def test_a_change_is_laid_over_the_preset_and_a_wrong_one_refused() -> None:
    draft = PretrainDraft(preset="published").with_change("training.batch_size", 3)
    settings = draft.settings(None, None)
    assert (settings.training.batch_size, settings.training.optimiser) == (3, "sgd")
    with pytest.raises(SettingsError, match="flips"):
        draft.with_change("sampling.flips", ("q",))
    assert draft.with_preset("standard").changed == {}


def test_a_preset_brings_its_recipe_and_takes_it_away_again() -> None:
    draft = PretrainDraft(scans=Path("scans")).with_preset("inpainting")
    assert draft.recipe == RecipeChoice(name="inpainting")
    assert draft.settings(None, draft.recipe.read(Path("none"))).loss_region == "replaced"
    assert command_line(draft, Path("a"), None) == (
        "napari-genesis pretrain scans --out a --preset inpainting --max-hours 1"
    )
    assert draft.with_preset("published").recipe == RecipeChoice(name="genesis")
    own = replace(draft, recipe=RecipeChoice(name="outer_cutout"))
    assert own.with_preset("standard").recipe == RecipeChoice(name="outer_cutout")


def test_the_command_names_what_differs_and_no_more() -> None:
    draft = PretrainDraft(scans=Path("/data/my scans"), budget="1 hour")
    assert command_line(draft, Path("runs/a"), None) == (
        "napari-genesis pretrain '/data/my scans' --out runs/a --max-hours 1"
    )
    draft = replace(
        draft, preset="lung_ct", budget="steps", steps=5, device="cuda:1", recipe=RecipeChoice("preset", "paper")
    )
    words = shlex.split(command_line(draft.with_change("sampling.patch_size", (8, 16, 16)), Path("a"), None))
    for pair in (["--preset", "lung_ct"], ["--recipe", "paper"], ["--max-steps", "5"], ["--device", "cuda:1"]):
        assert words[words.index(pair[0]) + 1] == pair[1]
    assert words[-1] == "sampling.patch_size=[8, 16, 16]"


def test_the_recipe_of_the_studio_is_the_one_that_trains(tmp_path: Path) -> None:
    file = tmp_path / "studio.yaml"
    choice = RecipeChoice("studio")
    with pytest.raises(SettingsError, match="Studio"):
        choice.read(file)
    draft = RecipeDraft.of(Recipe.genesis()).with_rate(0, 0.25)
    write_state(file, Kept(**kept_entries(draft)))
    assert choice.read(file).steps[0].probability == 0.25
    file.write_text("entries: [{kind: nonsense}]")
    with pytest.raises(SettingsError, match="Studio"):
        choice.read(file)


def test_choices_are_kept_and_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    file, scans = tmp_path / "config" / "pretrain.yaml", tmp_path / "scans"
    scans.mkdir()
    draft = PretrainDraft(scans=scans, budget="steps", steps=77, preset="published").with_device("cuda:1")
    write_draft(file, draft.with_change("seed", 4))
    assert read_draft(file) == draft
    scans.rmdir()
    assert read_draft(file).scans is None
    file.write_text("steps: many")
    assert read_draft(file) == PretrainDraft()


def test_the_device_is_that_of_the_preferences_until_one_is_picked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pretrain.yaml"
    monkeypatch.setattr("napari_genesis.training.keeping.read_preferences", lambda: Preferences(device="cpu"))
    assert read_draft(file).device == "cpu"
    write_draft(file, read_draft(file))
    monkeypatch.setattr("napari_genesis.training.keeping.read_preferences", lambda: Preferences(device="mps"))
    assert read_draft(file).device == "mps"
    # Also what would be the default is a choice, once it is made.
    write_draft(file, read_draft(file).with_device("auto"))
    assert read_draft(file).device == "auto"
    # Files of earlier versions say "auto" for want of a choice, and a device for one.
    file.write_text("device: auto")
    assert read_draft(file).device == "mps"
    file.write_text("device: cpu")
    assert read_draft(file).device == "cpu"


def test_the_estimate_says_when_it_ends_and_what_it_needs() -> None:
    now = time.mktime((2026, 3, 2, 17, 0, 0, 0, 0, -1))
    hour = PretrainDraft(budget="1 hour").settings(None, None)
    known = StepTime(0.5, 3 << 30)
    text = estimate(hour, known, 8 << 30, now, measuring=False)
    assert text == "Ends at 18:00, after about 5,760 steps of 0.5 s. Needs about 3.0 GB of memory."
    assert "only 2.0 are free: lower batch size" in estimate(hour, known, 2 << 30, now, measuring=False)
    steps = PretrainDraft(budget="steps", steps=1152).settings(None, None)
    assert estimate(steps, known, None, now, measuring=False).startswith("Takes about 12 min, ends at 17:12")
    assert estimate(steps, None, None, now, measuring=True) == "Timing a few steps…"
    night = PretrainDraft(budget="a night (8 h)").settings(None, None)
    assert "Ends on" in estimate(night, None, None, now, measuring=False)


def test_states_are_told_in_words() -> None:
    view = RunView(Path("runs/lung"), step=1200, total_steps=2000, pace=Pace(1.0, 8.0, 0.0, 600.0))
    now = time.mktime((2026, 3, 2, 17, 0, 0, 0, 0, -1))
    assert headline("running", view) == "Training: step 1,200 of 2,000"
    assert time_left(view, lambda: now) == "10 min left, done at 17:10"
    died = replace(view, word="failed", status=RunStatus("failed", message="no memory"), words=("exit", "no memory"))
    assert why("failed", died, "") == ["no memory", "Resume goes on from its last checkpoint.", "exit"]
    assert why("finished", view, "") == []


def test_smoothing_is_the_mean_of_the_last_steps() -> None:
    values = np.array([1.0, 3.0, np.nan, 5.0])
    assert smoothed(values, 1) is values
    assert smoothed(values, 2).tolist() == [1.0, 2.0, 3.0, 5.0]
    assert np.isnan(smoothed(np.array([np.nan, np.nan]), 2)).all()


def test_a_long_run_is_drawn_with_few_points_and_its_last() -> None:
    steps = np.arange(1.0, 100_001.0)
    at, losses = thinned(steps, 1 / steps, 500)
    assert len(at) == len(losses) <= 500
    assert (at[0], at[-1]) == (1.0, 100_000.0)
    assert np.isnan(drawable(np.array([0.0, np.inf, 1.0]), log=True))[:2].all()
    assert drawable(np.array([0.0]), log=False)[0] == 0.0
