"""The contact sheet's window: what it asks for, shows, keeps and hands on; that it never blocks, and ends its work."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel, QMessageBox, QWidget

from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import ModelError
from genesis_core.inference.contact_sheet import ContactSheet, make_contact_sheet
from genesis_core.inference.sheet_examples import Montage, make_examples, montage
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.preprocessing import Preprocessing
from napari_genesis.studio.sheet_dialogue import SheetDialogue

pytestmark = pytest.mark.gui

Stop, Progress = Callable[[], bool], Callable[[int, int], None]
RECIPE = Recipe.genesis()
THREAD = "contact sheet"


def small_sheet(samples: int | None, should_stop: Stop, progress: Progress) -> ContactSheet | None:
    original = np.linspace(0, 1, 4 * 8 * 8, dtype=np.float32).reshape(4, 8, 8)
    made = make_examples(RECIPE, original, seed=3, samples=samples, progress=progress, should_stop=should_stop)
    if made is None:
        return None
    pixels = np.full((400 if samples is None else 100 * samples, 300, 3), 200, np.uint8)
    return ContactSheet(pixels, (0, 0, 0), made, RECIPE.name, 3, samples)


class Endless:
    """A sheet that is never ready: it shows one example, and waits until it is told to stop."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.stopped = threading.Event()
        self.asked: list[int | None] = []

    def __call__(self, samples: int | None, should_stop: Stop, progress: Progress) -> ContactSheet | None:
        self.asked.append(samples)
        progress(3, 12)
        self.begun.set()
        while not should_stop():
            threading.Event().wait(0.002)
        self.stopped.set()
        return None


@pytest.fixture
def shown(qtbot: Any) -> Iterator[Callable[..., SheetDialogue]]:
    made: list[SheetDialogue] = []
    # A parent that nothing holds would take its dialogue with it.
    parents: list[QWidget] = []

    def show(make: Any = small_sheet) -> SheetDialogue:
        parents.append(QWidget())
        qtbot.addWidget(parents[-1])
        made.append(SheetDialogue(make, parents[-1]))
        made[-1].show()
        return made[-1]

    yield show
    for dialogue in made:
        try:
            dialogue.close()
        except RuntimeError:
            # Closed by the test, and deleted since.
            continue
    qtbot.waitUntil(lambda: not working())


def working() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def ready(qtbot: Any, dialogue: SheetDialogue) -> None:
    qtbot.waitUntil(dialogue.save_button.isEnabled)


def test_it_begins_with_the_combinations_and_says_what_it_shows(qtbot: Any, shown: Any) -> None:
    dialogue = shown()
    assert not dialogue.save_button.isEnabled()
    assert not dialogue.add_button.isEnabled()
    ready(qtbot, dialogue)
    assert dialogue.status.text() == "12 combinations, seed 3"
    assert not dialogue.bar.isVisible()


def test_the_picture_fits_the_width_and_keeps_its_shape(qtbot: Any, shown: Any) -> None:
    dialogue = shown()
    ready(qtbot, dialogue)
    for width in (600, 1000):
        dialogue.resize(width, 500)
        qtbot.waitUntil(lambda: dialogue.picture.size_shown.width() == dialogue.picture.viewport().width())
        size = dialogue.picture.size_shown
        assert size.height() == round(size.width() * 400 / 300)
        assert width - 80 < size.width() < width


def test_random_samples_are_asked_for_by_number_and_other_work_is_stopped(qtbot: Any, shown: Any) -> None:
    asked: list[int | None] = []
    endless = Endless()

    def make(samples: int | None, should_stop: Stop, progress: Progress) -> ContactSheet | None:
        asked.append(samples)
        return (endless if samples is None else small_sheet)(samples, should_stop, progress)

    dialogue = shown(make)
    qtbot.waitUntil(endless.begun.is_set)
    qtbot.waitUntil(lambda: (dialogue.bar.value(), dialogue.bar.maximum()) == (3, 12))
    dialogue.count.setValue(5)
    assert dialogue.random.isChecked()
    ready(qtbot, dialogue)
    assert endless.stopped.is_set()
    assert dialogue.status.text() == "5 samples, seeds 3 to 7"
    dialogue.count.setValue(1)
    qtbot.waitUntil(lambda: dialogue.status.text() == "1 sample, seed 3")
    assert asked == [None, 5, 1]


@pytest.mark.parametrize("how", ["escape", "close", "parent"])
def test_closing_in_the_middle_stops_the_work_and_leaves_nothing(qtbot: Any, how: str) -> None:
    endless = Endless()
    parent = QWidget()
    dialogue = SheetDialogue(endless, parent)
    dialogue.show()
    qtbot.waitUntil(endless.begun.is_set)
    assert len(working()) == 1
    gone: list[bool] = []
    dialogue.destroyed.connect(lambda: gone.append(True))
    kept = weakref.ref(dialogue)
    if how == "escape":
        qtbot.keyClick(dialogue, Qt.Key.Key_Escape)
    elif how == "close":
        dialogue.close_button.click()
    else:
        parent.deleteLater()
    qtbot.waitUntil(lambda: bool(gone))
    qtbot.waitUntil(lambda: endless.stopped.is_set() and not working())
    del dialogue
    gc.collect()
    assert kept() is None
    if how != "parent":
        parent.deleteLater()


@pytest.mark.usefixtures("own_file_dialogues")
def test_the_window_is_never_blocked(qtbot: Any, shown: Any, tmp_path: Path) -> None:
    prepared = Preprocessing.model_validate({"modality": "ct"}).prepare(make_phantom(1, (48, 96, 96)).volume)

    def make(samples: int | None, should_stop: Stop, progress: Progress) -> ContactSheet | None:
        return make_contact_sheet(
            prepared, RECIPE, patch_size=(16, 48, 48), samples=samples, progress=progress, should_stop=should_stop
        )

    worst = 0.0

    def measured(what: Callable[[], Any]) -> None:
        # The time this thread works, which other programs do not change.
        nonlocal worst
        began = time.thread_time()
        what()
        worst = max(worst, time.thread_time() - began)

    def until_ready() -> None:
        deadline = time.monotonic() + 60
        while not dialogue.save_button.isEnabled():
            measured(QApplication.processEvents)
            assert time.monotonic() < deadline

    dialogue = shown(make)
    until_ready()
    # What a window costs when it is first drawn is Qt's affair.
    worst = 0.0
    measured(lambda: dialogue.count.setValue(30))
    until_ready()
    measured(dialogue.add_button.click)
    until_ready()
    # Building Qt's own file dialogue takes as long as it takes.
    files = asking(qtbot, dialogue)
    measured(lambda: files.fileSelected.emit(str(tmp_path / "long.png")))
    files.reject()
    until_ready()
    measured(QApplication.processEvents)
    assert (tmp_path / "long.png").is_file()
    assert worst < 0.05, worst


def test_the_layer_is_the_sub_volumes_side_by_side(qtbot: Any, shown: Any) -> None:
    dialogue = shown()
    ready(qtbot, dialogue)
    with qtbot.waitSignal(dialogue.layer_wanted) as caught:
        dialogue.add_button.click()
    laid = caught.args[0]
    assert isinstance(laid, Montage)
    expected = small_sheet(None, lambda: False, lambda done, total: None)
    assert expected is not None
    assert np.array_equal(laid.array, montage(expected.examples, 4, 4).array)
    assert laid.names[0] == "unchanged"
    assert laid.array.shape == (4, 3 * 8 + 2 * 4, 4 * 8 + 3 * 4)


def asking(qtbot: Any, dialogue: SheetDialogue) -> QFileDialog:
    dialogue.save_button.click()
    found: list[QFileDialog] = []

    def there() -> bool:
        found[:] = [one for one in dialogue.findChildren(QFileDialog) if one.isVisible()]
        return bool(found)

    qtbot.waitUntil(there)
    return found[0]


@pytest.fixture
def own_file_dialogues() -> Iterator[None]:
    before = QApplication.testAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs, True)
    yield
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs, before)


@pytest.mark.usefixtures("own_file_dialogues")
def test_the_picture_is_saved_under_a_name_made_of_recipe_and_seed(qtbot: Any, shown: Any, tmp_path: Path) -> None:
    dialogue = shown()
    ready(qtbot, dialogue)
    files = asking(qtbot, dialogue)
    assert [Path(name).name for name in files.selectedFiles()] == ["contact_sheet_genesis_seed_3.png"]
    files.selectFile(str(tmp_path / "kept"))
    files.accept()
    qtbot.waitUntil(lambda: dialogue.status.text() == "Saved kept.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "kept.png")), np.full((400, 300, 3), 200))


@pytest.mark.usefixtures("own_file_dialogues")
@pytest.mark.parametrize("answer", ["No", "Yes"])
def test_a_file_that_exists_is_replaced_only_if_the_file_dialogue_was_told_so(
    qtbot: Any, shown: Any, tmp_path: Path, answer: str
) -> None:
    there = tmp_path / "there.png"
    there.write_bytes(b"precious")
    dialogue = shown()
    ready(qtbot, dialogue)
    files = asking(qtbot, dialogue)
    asked: list[str] = []

    def reply() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        asked.append(box.text())
        box.button(getattr(QMessageBox.StandardButton, answer)).click()

    QTimer.singleShot(100, reply)
    files.selectFile(str(there))
    files.accept()
    assert "there.png" in asked[0]
    if answer == "Yes":
        qtbot.waitUntil(lambda: dialogue.status.text() == "Saved there.png")
        assert there.read_bytes() != b"precious"
    else:
        files.reject()
        assert there.read_bytes() == b"precious"


@pytest.mark.usefixtures("own_file_dialogues")
@pytest.mark.parametrize("answer", ["No", "Yes"])
def test_where_the_file_dialogue_adds_no_ending_the_window_asks_itself(
    qtbot: Any, shown: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    there = tmp_path / "there.png"
    there.write_bytes(b"precious")
    asked: list[str] = []

    def question(parent: Any, title: str, text: str) -> Any:
        asked.append(text)
        return getattr(QMessageBox.StandardButton, answer)

    monkeypatch.setattr(QMessageBox, "question", question)
    dialogue = shown()
    ready(qtbot, dialogue)
    files = asking(qtbot, dialogue)
    files.fileSelected.emit(str(tmp_path / "there"))
    files.reject()
    assert "there.png exists" in asked[0]
    if answer == "Yes":
        qtbot.waitUntil(lambda: dialogue.status.text() == "Saved there.png")
    assert (there.read_bytes() == b"precious") == (answer == "No")


@pytest.mark.usefixtures("own_file_dialogues")
def test_a_folder_that_cannot_be_written_is_told_and_the_picture_stays(qtbot: Any, shown: Any, tmp_path: Path) -> None:
    dialogue = shown()
    ready(qtbot, dialogue)
    files = asking(qtbot, dialogue)
    files.fileSelected.emit(str(tmp_path / "no_folder" / "x.png"))
    files.reject()
    qtbot.waitUntil(lambda: "no_folder" in dialogue.status.text() and "Saving" not in dialogue.status.text())
    assert dialogue.save_button.isEnabled()
    assert dialogue.picture.isVisible()


def test_what_cannot_be_made_is_said_in_the_pictures_place(qtbot: Any, shown: Any) -> None:
    def make(samples: int | None, should_stop: Stop, progress: Progress) -> ContactSheet | None:
        if samples is None:
            raise ModelError("the model takes 16 voxels, not 15")
        return small_sheet(samples, should_stop, progress)

    dialogue = shown(make)
    qtbot.waitUntil(lambda: dialogue.problem.isVisible())
    assert dialogue.problem.text() == "the model takes 16 voxels, not 15"
    assert not dialogue.save_button.isEnabled()
    dialogue.random.setChecked(True)
    ready(qtbot, dialogue)
    assert not dialogue.problem.isVisible()


def test_a_defect_reaches_the_exception_hook_and_the_window_lives(
    qtbot: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, problem, trace: seen.append(problem))

    def make(samples: int | None, should_stop: Stop, progress: Progress) -> ContactSheet | None:
        raise ZeroDivisionError("division by zero")

    dialogue = shown(make)
    qtbot.waitUntil(lambda: dialogue.problem.isVisible())
    assert isinstance(seen[0], ZeroDivisionError)
    assert isinstance(dialogue.problem, QLabel)
    assert "division by zero" in dialogue.problem.text()
