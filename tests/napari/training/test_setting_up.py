"""What the forms of new trainings do with what is chosen in them; docks without a window around them."""

from __future__ import annotations

import shlex
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from finetune_driving import tiny_draft
from napari.components import ViewerModel
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication, QLineEdit

from genesis_core.corruptions.recipe import Recipe
from genesis_core.model.card import ModelCard
from genesis_core.model.folder import save_model
from genesis_core.networks.registry import create_network
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.training.run_folder import RunFolder
from napari_genesis.dock_state import write_state
from napari_genesis.jobs.asking import NoAnswerError
from napari_genesis.jobs.devices import Device
from napari_genesis.jobs.labelled_check import LabelledCheck
from napari_genesis.jobs.queues import application_jobs
from napari_genesis.jobs.scan_check import FolderCheck
from napari_genesis.preferences import Preferences
from napari_genesis.studio.keeping import Kept, kept_entries
from napari_genesis.studio.recipe_draft import RecipeDraft
from napari_genesis.training.advanced import AdvancedSettings
from napari_genesis.training.draft import PretrainDraft, RecipeChoice
from napari_genesis.training.finetuning.finetune_dock import FinetuneDock
from napari_genesis.training.finetuning.finetune_draft import FinetuneDraft
from napari_genesis.training.finetuning.labelled_dialogue import LabelledDialogue
from napari_genesis.training.finetuning.labelled_panel import LabelledPanel
from napari_genesis.training.finetuning.setup_page import FinetuneSetup
from napari_genesis.training.finetuning.source_panel import SourcePanel
from napari_genesis.training.pretrain_dock import PretrainDock
from napari_genesis.training.setup_page import SetupPage

pytestmark = pytest.mark.gui


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "workspace"
    monkeypatch.setattr("napari_genesis.training.training_dock.read_preferences", lambda: Preferences(workspace=folder))
    return folder


@pytest.fixture
def setup(qtbot: Any, tmp_path: Path) -> FinetuneSetup:
    """The form of a fine-tuning."""
    made = FinetuneSetup(FinetuneDraft(), tmp_path / "workspace")
    qtbot.addWidget(made)
    return made


@pytest.fixture
def source(qtbot: Any, tmp_path: Path) -> SourcePanel:
    """The choice of a source, in a workspace that is still empty."""
    panel = SourcePanel()
    qtbot.addWidget(panel)
    panel.look(tmp_path / "workspace")
    return panel


def imported(place: Path, title: str) -> Path:
    """A model as an import leaves it. title: of its source."""
    network = UNet3DSettings(width=2, depth=2)
    card = ModelCard(
        name=place.name, task="pretraining", network=network, activation="none", patch_size=(16, 16, 16), source=title
    )
    save_model(place, create_network(network, seed=0), card)
    return place


def test_a_command_that_was_copied_keeps_its_recipe_when_the_studio_goes_on(
    qtbot: Any, tmp_path: Path, workspace: Path
) -> None:
    studio = tmp_path / "studio.yaml"
    dock = PretrainDock(ViewerModel(), tmp_path / "pretrain.yaml", studio)
    qtbot.addWidget(dock)
    files = []
    for rate in (0.25, 0.75, 0.25):
        write_state(studio, Kept(**kept_entries(RecipeDraft.of(Recipe.genesis()).with_rate(0, rate))))
        dock.setup.load(replace(dock.draft, recipe=RecipeChoice("studio")))
        dock.copy_command()
        words = shlex.split(QApplication.clipboard().text())
        files.append(Path(words[words.index("--recipe") + 1]))
    assert [Recipe.read(file).steps[0].probability for file in files] == [0.25, 0.75, 0.25]
    # What is there already is not written again.
    assert len(set(files)) == 2


def test_a_checkpoint_is_known_by_its_digest_not_by_its_name(qtbot: Any, tmp_path: Path, source: SourcePanel) -> None:
    files = [tmp_path / name / "model_best.pth" for name in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(file.parent.name.encode())
    # SHA-256 of "a".
    digest = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    title = f"model_best.pth, in the layout of Models Genesis, SHA-256 {digest}"
    place = imported(tmp_path / "workspace" / "models" / "model_best", title)
    source.look(tmp_path / "workspace")
    source.choose(files[0])
    qtbot.waitUntil(lambda: source.path == place, timeout=10_000)
    assert "imported before" in source.offer.text()
    # Also once the workspace's models are listed, among which it is.
    qtbot.waitUntil(lambda: not source.lane.busy, timeout=10_000)
    QApplication.processEvents()
    assert source.choice.currentText().startswith("model_best: ")
    assert not source.waits
    source.choose(files[1])
    qtbot.waitUntil(lambda: not source.recognising.busy, timeout=10_000)
    QApplication.processEvents()
    assert source.path is None
    assert source.waits == "model_best.pth is not imported yet."


def test_a_workspace_that_cannot_be_written_is_said_at_the_import(tmp_path: Path, source: SourcePanel) -> None:
    (tmp_path / "workspace").write_text("a file, where the folder was to be")
    file = tmp_path / "weights.pt"
    file.write_bytes(b"")
    source.choose(file)
    source.start_import()
    assert "cannot be made" in source.trouble.text()
    assert source.do_import.isEnabled()


def test_another_folder_is_read_anew_not_as_the_one_before(setup: FinetuneSetup, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    subjects = tmp_path / "subjects.csv"
    setup.load(tiny_draft(folders[0], data__layout="nnunet", data__subjects=subjects, data__names={1: "liver"}))
    assert setup.draft.check_words() == ["--layout", "nnunet", "--subjects", str(subjects)]
    setup.data.choose(folders[1])
    assert setup.draft.labelled == folders[1]
    assert not any("data.layout" in word or "data.subjects" in word for word in setup.draft.words(None))
    assert not setup.draft.names
    assert setup.draft.changed["network.width"] == 2


def test_what_is_wrong_with_a_folder_is_said_in_its_own_letters(
    qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = LabelledPanel()
    qtbot.addWidget(panel)
    monkeypatch.setattr(panel.checking, "start", lambda *_: None)
    panel.choose(tmp_path)
    panel.checking.progressed.emit(LabelledCheck(tmp_path, done=True, problem="no DICOM in /data/MyStudy\nmore"))
    assert panel.summary.text() == "No DICOM in /data/MyStudy"


def test_devices_are_asked_for_only_where_one_is_chosen(
    qtbot: Any, tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "workspace" / "runs" / "one"
    RunFolder.create(run).settings_file.write_text("task: restoration\n")
    asked: list[str] = []

    def ask() -> list[Device]:
        asked.append("devices")
        raise NoAnswerError("No module named 'torch'")

    monkeypatch.setattr("napari_genesis.training.looking.find_devices", ask)
    monkeypatch.setattr("napari_genesis.training.looking._DEVICES_EVERY", 20)
    dock = PretrainDock(ViewerModel(), tmp_path / "pretrain.yaml", tmp_path / "studio.yaml")
    qtbot.addWidget(dock)
    dock.show_run(run)
    dock.show()
    qtbot.waitUntil(lambda: dock.has_looked, timeout=10_000)
    qtbot.wait(60)
    assert not asked
    dock.show_run(None)
    # Why there are none is said where one is chosen.
    qtbot.waitUntil(lambda: "No module named 'torch'" in dock.setup.device.currentText(), timeout=10_000)
    qtbot.waitUntil(lambda: len(asked) > 1, timeout=10_000)
    dock.hide()
    count = len(asked)
    qtbot.wait(60)
    assert len(asked) <= count + 1


def test_every_thread_of_a_dock_ends_with_it(qtbot: Any, tmp_path: Path, workspace: Path) -> None:
    # Theirs last as long as the application.
    application_jobs()
    before = set(threading.enumerate())
    dock = FinetuneDock(ViewerModel(), tmp_path / "finetune.yaml")
    made = set(threading.enumerate()) - before
    assert "genesis-case-names" in {thread.name for thread in made}
    dock.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    qtbot.waitUntil(lambda: not any(thread.is_alive() for thread in made), timeout=10_000)


def test_of_thousands_of_cases_those_in_view_are_read_whole(qtbot: Any, tmp_path: Path) -> None:
    reason = "labels and image have different grids: copy it again from where it came from, or resample the labels"
    cases = tuple({"name": f"case {n}", "status": "left_out", "reason": reason * 3} for n in range(3000))
    dialogue = LabelledDialogue(LabelledCheck(tmp_path, cases, {}, done=True))
    qtbot.addWidget(dialogue)
    dialogue.show()
    table = dialogue.cases
    # The others are not measured, which would hold up the window.
    assert table.rowHeight(0) > table.rowHeight(2999)
    table.scrollToBottom()
    assert table.rowHeight(2999) == table.rowHeight(0)
    wrapped = table.rowHeight(0)
    dialogue.resize(1600, 480)
    qtbot.waitUntil(lambda: table.rowHeight(2999) < wrapped, timeout=5_000)


def test_what_is_set_stays_set_where_it_is_what_was_declared_but_not_what_was_planned(qtbot: Any) -> None:
    draft = FinetuneDraft()
    plan = draft.with_change("training.accumulate", 4).resolved()
    advanced = AdvancedSettings(draft, {"training": ("training", ("accumulate",))}, "plan")
    qtbot.addWidget(advanced)

    def take(edited: FinetuneDraft) -> None:
        nonlocal draft
        draft = edited
        # As the form does until the next plan is made.
        advanced.show_draft(draft, "run")

    advanced.edited.connect(take)
    advanced.show_draft(draft, "run", plan)
    advanced.fold.setChecked(True)
    for value in (2, FinetuneDraft().base().training.accumulate):
        advanced.forms["training"].changed.emit("accumulate", value, True)
        assert draft.changed == {"training.accumulate": value}
        # What is planned then repeats what was set.
        advanced.show_draft(draft, "run", draft.resolved())
    control = advanced.forms["training"].controls["accumulate"]
    assert control.modified
    control.reset()
    assert not draft.changed


def test_what_is_typed_into_a_field_stays_when_a_plan_arrives(qtbot: Any) -> None:
    draft = FinetuneDraft()
    advanced = AdvancedSettings(draft, {"training": ("training", ("accumulate", "batch_size"))}, "plan")
    qtbot.addWidget(advanced)
    advanced.show()
    advanced.show_draft(draft, "run", draft.resolved())
    advanced.fold.setChecked(True)
    line = advanced.forms["training"].controls["batch_size"].findChild(QLineEdit)
    QApplication.setActiveWindow(advanced)
    line.setFocus()
    line.selectAll()
    qtbot.keyClicks(line, "3")
    plan = draft.with_change("training.accumulate", 4).resolved()
    advanced.show_draft(draft, "run", plan)
    assert QApplication.focusWidget() is line
    assert line.text() == "3"
    with qtbot.waitSignal(advanced.edited) as edited:
        qtbot.keyClick(line, Qt.Key.Key_Return)
    assert edited.args[0].changed == {"training.batch_size": 3}
    advanced.show_draft(edited.args[0], "run", plan)
    # What the plan says is the form's default as soon as nobody types.
    line.clearFocus()
    accumulate = lambda: advanced.forms["training"].controls["accumulate"]  # noqa: E731
    qtbot.waitUntil(lambda: accumulate().field.default == 4, timeout=5_000)
    assert not accumulate().modified


@pytest.mark.parametrize("name", ["a/b", "../x", ".", "c:d", ".hidden"])
def test_a_name_that_is_no_folder_of_the_workspace_is_refused(setup: FinetuneSetup, name: str) -> None:
    setup.edit(replace(setup.draft, name=name))
    assert "no name of a folder" in setup.why_not
    setup.edit(replace(setup.draft, name="liver, 2nd try"))
    assert "name" not in setup.why_not


def test_a_number_of_steps_that_cannot_be_is_said(setup: FinetuneSetup, qtbot: Any) -> None:
    setup.edit(replace(setup.draft, budget="steps", steps=90))
    setup.show()
    line = setup.budget_choice.steps.findChild(QLineEdit)
    line.selectAll()
    qtbot.keyClicks(line, "0")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert setup.draft.steps == 90
    assert setup.budget_choice.problem.shown


def test_ct_and_mr_in_one_folder_are_named_before_the_start(qtbot: Any, tmp_path: Path) -> None:
    setup = SetupPage(PretrainDraft(), tmp_path / "studio.yaml")
    qtbot.addWidget(setup)
    setup.data.checking.start = lambda path: None
    setup.data.choose(tmp_path)
    scans = [{"path": f"{name}.nii.gz", "status": "readable", "modality": name[:2]} for name in ("ct1", "ct2", "mr1")]
    check = FolderCheck(tmp_path, tuple(scans[:2]), done=True)
    setup.data.checking.progressed.emit(check)
    assert setup.can_start
    setup.data.checking.progressed.emit(replace(check, records=tuple(scans)))
    assert "2 of these scans look like CT and 1 like MR (the fewer: mr1.nii.gz)" in setup.why_not
    setup.edit(setup.draft.with_change("data.modality", "ct"))
    assert setup.can_start
