from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import SettingsError
from napari_genesis.dock_state import write_state
from napari_genesis.studio.keeping import Kept, kept_entries, read_kept
from napari_genesis.studio.recipe_draft import RecipeDraft


def test_a_draft_comes_back_with_what_is_switched_off(tmp_path: Path) -> None:
    draft = RecipeDraft.of(Recipe.paper()).with_enabled(0, False).with_setting(0, "windows", 55).with_group(0, 0.4)
    write_state(
        tmp_path / "deep" / "state.yaml", Kept(**kept_entries(draft), seed=9, size=(16, 48, 48), model=tmp_path)
    )
    kept = read_kept(tmp_path / "deep" / "state.yaml")
    assert kept.draft() == draft
    assert (kept.seed, kept.size, kept.model) == (9, (16, 48, 48), tmp_path)


def test_without_a_file_the_defaults(tmp_path: Path) -> None:
    assert read_kept(tmp_path / "none.yaml") == Kept()
    assert Kept().draft() is None


@pytest.mark.parametrize(
    "text",
    [
        "seed: [",
        "colour: red",
        "seed: -1",
        "entries: [{corruption: {kind: none}, enabled: true, rate: 1.0}]",
        "entries: [{corruption: {kind: nonlinear}, enabled: true, rate: 1.5}]",
        "entries: [{corruption: {kind: nonlinear}, enabled: true, rate: 0.5, group: 3}]",
        "entries: [{corruption: {kind: nonlinear, decreasing: 7}, enabled: true, rate: 0.5}]",
    ],
)
def test_a_damaged_file_is_set_aside_and_named(text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "state.yaml"
    path.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert read_kept(path) == Kept()
    assert "state.yaml" in caplog.text
    assert (tmp_path / "state.damaged.yaml").read_text() == text
    assert not path.exists()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutation_of_a_sound_file_is_set_aside_or_is_a_state_that_can_be_used(
    data: st.DataObject, tmp_path: Path
) -> None:
    path, aside = tmp_path / "state.yaml", tmp_path / "state.damaged.yaml"
    aside.unlink(missing_ok=True)
    write_state(path, Kept(**kept_entries(RecipeDraft.of(Recipe.genesis()))))
    text = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(text))
    kept = read_kept(path)
    if aside.exists():
        assert aside.read_bytes() == bytes(text)
        assert not path.exists()
        assert kept == Kept()
        return
    draft = kept.draft()
    assert draft is not None
    # All of it is within bounds: written again, it is read again as it was.
    write_state(path, kept)
    assert read_kept(path) == kept
    assert Recipe.from_dict(draft.recipe().to_dict()) == draft.recipe()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be kept"):
        write_state(tmp_path / "file" / "state.yaml", Kept())
