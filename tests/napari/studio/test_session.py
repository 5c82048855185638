"""The Studio without its widgets: what leads to what, what is dropped, and what stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image

from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import ModelError
from genesis_core.phantom.thorax import make_phantom
from napari_genesis.layers import shown as layer_of
from napari_genesis.studio.preview import Look
from napari_genesis.studio.recipe_draft import RecipeDraft
from napari_genesis.studio.restoring import RestoringModel
from napari_genesis.studio.scan import Box
from napari_genesis.studio.session import Frame, Session


@pytest.fixture(scope="module")
def layer() -> Image:
    array, meta = layer_of(make_phantom(1, shape=(48, 96, 96)).volume)
    return Image(array, name="thorax", **meta)


@pytest.fixture
def session(qtbot: Any, layer: Image) -> Iterator[Session]:
    made = Session()
    made.choose_layer(layer)
    rest(qtbot, made)
    yield made
    made.close()
    assert made.join(30)


def rest(qtbot: Any, session: Session) -> None:
    qtbot.waitUntil(lambda: not session.busy, timeout=60_000)
    # The last results are on their way as events.
    qtbot.wait(1)
    qtbot.waitUntil(lambda: not session.busy, timeout=60_000)


def frame(session: Session) -> Frame:
    assert session.frame is not None
    return session.frame


def test_a_scan_is_shown_corrupted_in_its_middle_and_judged(session: Session) -> None:
    assert session.scan is not None
    assert session.box == Box((8, 16, 16), (32, 64, 64))
    preview = frame(session).preview
    assert np.array_equal(preview.corrupted, Recipe.genesis()(preview.original, seed=0))
    assert session.judgement is not None
    assert session.judgement.preview is preview
    assert session.judgement.return_input.mse == pytest.approx(preview.return_input, rel=1e-4)
    assert session.judgement.return_mean.mse == pytest.approx(preview.return_mean, rel=1e-4)
    assert session.judgement.model is None


def test_a_scan_that_comes_late_is_never_taken_for_another_layers(qtbot: Any, session: Session, layer: Image) -> None:
    array, meta = layer_of(make_phantom(2, shape=(40, 80, 80)).volume)
    other = Image(array, name="other", **meta)
    arrived: list[Any] = []
    session.scan_changed.connect(arrived.append)
    session.choose_layer(layer)
    session.choose_layer(other)
    # Pressed while the scan is read, these are about a scan that is no longer chosen.
    session.choose_modality("mr")
    session.choose_window(0, 100)
    session.choose_seed(3)
    assert session.frame is None
    rest(qtbot, session)
    assert [scan.volume.shape for scan in arrived] == [array.shape]
    assert session.scan is not None
    assert session.scan.modality == "ct"
    assert frame(session).preview.scan is session.scan
    assert frame(session).preview.wanted.seed == 3


def test_every_change_shows_what_it_should(qtbot: Any, session: Session) -> None:
    session.choose_seed(5)
    session.edit(session.draft.with_setting(0, "windows", 50), "0.windows")
    session.choose_size((16, 32, 32))
    session.move_box((0, 0, 0))
    rest(qtbot, session)
    preview = frame(session).preview
    recipe = session.draft.recipe()
    assert preview.place == Box((0, 0, 0), (16, 32, 32))
    assert np.array_equal(preview.corrupted, recipe(preview.original, seed=5))
    session.choose_window(-200, 300)
    rest(qtbot, session)
    assert session.scan is not None
    inside = session.scan.volume.array[:16, :32, :32].astype(float)
    assert np.allclose(frame(session).preview.original, np.clip((inside + 200) / 500, 0, 1), atol=1e-6)


def test_a_box_too_large_for_the_memory_is_refused_in_words(qtbot: Any, session: Session) -> None:
    told: list[str] = []
    session.trouble.connect(told.append)
    session.choose_size((4000, 4000, 4000))
    assert "too large to be shown live" in told[-1]
    assert session.size == (32, 64, 64)


def test_a_drag_is_undone_as_one_step(qtbot: Any, session: Session) -> None:
    first = session.draft
    for windows in (10, 20, 30):
        session.edit(session.draft.with_setting(0, "windows", windows), "0.windows", settled=False)
    session.edit(session.draft.with_setting(0, "windows", 40), "0.windows", settled=True)
    session.undo()
    assert session.draft == first
    rest(qtbot, session)
    assert frame(session).preview.wanted.recipe == first.recipe()
    session.redo()
    assert session.draft.entries[0].corruption.model_dump()["windows"] == 40


def test_unlocked_every_new_place_is_a_sample_of_its_own(session: Session) -> None:
    session.move_box((0, 0, 0))
    assert session.seed == 0
    session.lock(False)
    session.move_box((4, 4, 4))
    assert session.seed == 1
    session.move_box((4, 4, 4))
    assert session.seed == 1


def test_a_box_that_follows_moves_only_when_the_slice_leaves_it(session: Session) -> None:
    assert session.box is not None
    session.look_at_slice(0, 20, True)
    assert session.box.start == (8, 16, 16)
    session.look_at_slice(0, 44, True)
    assert session.box.start == (13, 16, 16)
    session.look_at_slice(0, 2, True)
    assert session.box.start == (2, 16, 16)
    session.look_at_slice(0, 47, False)
    assert session.box.start == (2, 16, 16)
    session.look_at_slice(1, 95, True)
    assert session.box.start == (2, 32, 16)


def test_the_slab_around_the_slice(qtbot: Any, session: Session) -> None:
    session.show_slab(0, 10)
    rest(qtbot, session)
    assert frame(session).preview.place == Box((0, 0, 0), (32, 96, 96))
    assert frame(session).preview.draw is None
    session.look_at_slice(0, 40, True)
    rest(qtbot, session)
    assert frame(session).preview.place == Box((32, 0, 0), (16, 96, 96))
    session.look_at_slice(2, 3, True)
    rest(qtbot, session)
    assert frame(session).preview.place == Box((0, 0, 0), (48, 96, 64))
    session.show_slab(None)
    rest(qtbot, session)
    assert frame(session).preview.draw is not None


def test_looking_at_something_else_computes_nothing_anew(qtbot: Any, session: Session) -> None:
    before = frame(session).preview
    session.choose_look(Look("original"))
    rest(qtbot, session)
    assert frame(session).preview is before
    assert np.allclose(frame(session).voxels, before.original * 2000 - 1000, atol=0.01)


def test_a_second_recipe_is_drawn_with_the_same_seed(qtbot: Any, session: Session) -> None:
    session.compare_with(Recipe.paper())
    session.choose_seed(3)
    rest(qtbot, session)
    preview = frame(session).preview
    assert preview.other is not None
    assert np.array_equal(preview.other, Recipe.paper()(preview.original, seed=3))
    session.compare_with(None)
    rest(qtbot, session)
    assert frame(session).preview.other is None


def test_without_live_updates_only_on_demand(qtbot: Any, session: Session) -> None:
    before = frame(session)
    session.live = False
    session.choose_seed(9)
    rest(qtbot, session)
    assert session.frame is before
    session.refresh(now=True)
    rest(qtbot, session)
    assert frame(session).preview.wanted.seed == 9


def test_what_is_no_scan_is_told_in_words_and_the_next_works(qtbot: Any, session: Session, layer: Image) -> None:
    told: list[str] = []
    session.trouble.connect(told.append)
    session.choose_layer(Image(np.zeros((5, 6, 3), "u1"), rgb=True))
    rest(qtbot, session)
    assert "colours" in told[-1]
    assert session.scan is None
    session.choose_layer(layer)
    rest(qtbot, session)
    assert told[-1] == ""
    assert session.frame is not None


def test_a_recipe_of_nothing_shows_the_original(qtbot: Any, session: Session) -> None:
    draft = session.draft
    for index in range(len(draft.entries)):
        draft = draft.with_enabled(index, False)
    session.edit(draft, "off")
    rest(qtbot, session)
    preview = frame(session).preview
    assert np.array_equal(preview.original, preview.corrupted)
    assert preview.changed == 0


def test_a_model_restores_the_sub_volume_as_the_core_does(qtbot: Any, session: Session, model_folder: Path) -> None:
    import torch

    from genesis_core.model.folder import load_model

    session.choose_model(RestoringModel(model_folder, "cpu"))
    rest(qtbot, session)
    assert session.judgement is not None
    assert session.judgement.restored is not None
    assert session.judgement.model is not None
    with torch.no_grad():
        expected = load_model(model_folder).network(torch.from_numpy(frame(session).preview.corrupted)[None, None])
    assert np.allclose(session.judgement.restored, expected.sigmoid()[0, 0].numpy(), atol=1e-5)
    session.choose_look(replace(session.look, view="restored"))
    rest(qtbot, session)
    assert np.allclose(frame(session).voxels, session.judgement.restored * 2000 - 1000, atol=0.01)
    session.choose_seed(4)
    rest(qtbot, session)
    assert session.judgement.preview is frame(session).preview
    assert np.allclose(frame(session).voxels, session.judgement.restored * 2000 - 1000, atol=0.01)


def test_a_box_the_network_cannot_take_is_told_not_raised(qtbot: Any, session: Session, model_folder: Path) -> None:
    session.choose_model(RestoringModel(model_folder, "cpu"))
    session.choose_size((30, 60, 60))
    rest(qtbot, session)
    assert session.judgement is not None
    assert session.judgement.restored is None
    assert session.judgement.problem


def test_another_window_than_the_models_is_said(qtbot: Any, session: Session, model_folder: Path) -> None:
    session.choose_model(RestoringModel(model_folder, "cpu"))
    session.choose_window(-100, 300)
    rest(qtbot, session)
    assert session.judgement is not None
    assert "another intensity mapping" in session.judgement.problem


def test_a_folder_without_a_model_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        RestoringModel(tmp_path)


def test_a_draft_that_was_kept_is_where_it_starts(qtbot: Any) -> None:
    draft = RecipeDraft.of(Recipe.paper())
    session = Session(draft)
    assert session.draft == draft
    session.close()
    assert session.join(30)
