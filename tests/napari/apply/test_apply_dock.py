"""The Apply dock: choosing, refusing in words, stopping, remembering."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apply_driving import close, rest, run, write_model
from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from genesis_core.cli.main import run as run_command
from napari_genesis.apply.apply_dock import ApplyDock
from napari_genesis.studio.canvas import NAME as PREVIEW

pytestmark = pytest.mark.gui
Open = Callable[..., ApplyDock]


def test_no_model_and_no_scan_are_said_and_what_to_do(
    open_dock: Open, viewer: Any, qtbot: Any, tmp_path: Path, scan: Layer
) -> None:
    from napari.settings import get_plugin_settings

    get_plugin_settings("napari-genesis").files.workspace = str(tmp_path / "empty")
    dock = open_dock()
    assert dock.parts.status.text() == f"No model in {tmp_path / 'empty'}: train one, or choose its folder."
    assert not dock.parts.start.isEnabled()
    assert not dock.parts.copy_action.isEnabled()
    # A training that ends meanwhile: its model is there after a look.
    write_model(tmp_path / "empty" / "runs" / "new" / "model", "restoration")
    dock.parts.models.refresh.click()
    rest(qtbot, dock)
    assert dock.parts.start.text() == "Restore"
    assert dock.parts.start.isEnabled()
    viewer.layers.clear()
    assert dock.parts.status.text() == "Open a scan first: drop a file into the window."


def test_a_damaged_card_in_the_workspace_is_named_and_the_rest_works(
    open_dock: Open, viewer: Any, scan: Layer, qtbot: Any, tmp_path: Path
) -> None:
    from napari.settings import get_plugin_settings

    write_model(tmp_path / "space" / "models" / "good", "segmentation")
    (tmp_path / "space" / "models" / "bad").mkdir()
    (tmp_path / "space" / "models" / "bad" / "model.yaml").write_text("schema: 1\n")
    get_plugin_settings("napari-genesis").files.workspace = str(tmp_path / "space")
    dock = open_dock()
    assert dock.parts.models.left_out.isVisible()
    assert dock.parts.models.left_out.shown.startswith("Left out: bad (")
    assert str(tmp_path / "space" / "models" / "bad") in dock.parts.models.left_out.toolTip()
    run(qtbot, dock)
    assert "segmentation of thorax (good)" in viewer.layers


def test_a_model_that_is_only_a_source_is_not_offered(open_dock: Open, qtbot: Any, tmp_path: Path) -> None:
    from napari.settings import get_plugin_settings

    source = write_model(tmp_path / "space" / "models" / "encoder", "pretraining")
    write_model(tmp_path / "space" / "models" / "good", "segmentation")
    get_plugin_settings("napari-genesis").files.workspace = str(tmp_path / "space")
    dock = open_dock()
    assert [entry.name for entry in dock.choice.listing.entries] == ["good"]
    dock.choice.add_folder(source)
    rest(qtbot, dock)
    assert "Choose it in Fine-tune" in dock.parts.trouble.text()
    assert dock.choice.entry is not None
    assert dock.choice.entry.name == "good"


def test_damaged_weights_are_said_in_words(
    open_dock: Open, viewer: Any, scan: Layer, qtbot: Any, tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "cut", "segmentation")
    dock = open_dock()
    dock.choice.add_folder(folder)
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    run(qtbot, dock)
    assert "SHA-256 differs" in dock.parts.trouble.text()
    assert len(viewer.layers) == 1
    assert dock.parts.start.isEnabled()
    dock.choice.add_folder(tmp_path)
    assert "holds no model" in dock.parts.trouble.text()


def test_too_little_memory_is_said_with_what_to_do(
    open_dock: Open, viewer: Any, scan: Layer, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("M", (), {"available": 1000})())
    dock = open_dock("restorer")
    run(qtbot, dock)
    assert "are free: crop the scan, close other programs" in dock.parts.trouble.text()


def test_another_modality_is_doubted_before_the_work_and_after_it(open_dock: Open, viewer: Any, qtbot: Any) -> None:
    mr = np.random.default_rng(0).integers(0, 900, (24, 48, 48)).astype(np.int16)
    viewer.add_image(mr, name="mr", units=("mm",) * 3)
    dock = open_dock("segmenter")
    assert "The layer looks like MR" in dock.parts.target.note.shown
    assert "trained on CT" in dock.parts.target.note.shown
    run(qtbot, dock)
    assert "the model was trained on CT: the result means little" in dock.parts.notes.text()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "has no millimetres"),
        ({"units": ("mm",) * 3, "rgb": True}, "holds colours"),
        ({"units": ("mm",) * 2, "two": True}, "has 2 axes"),
    ],
)
def test_a_layer_that_is_no_scan_cannot_be_started_and_why(
    open_dock: Open, viewer: Any, settings: dict[str, Any], words: str
) -> None:
    shape = (6, 7) if settings.pop("two", False) else (5, 6, 7)
    if settings.pop("rgb", False):
        viewer.add_image(np.zeros((5, 6, 7, 3), np.uint8), rgb=True, **settings)
        words = "Open a scan first"
    else:
        viewer.add_image(np.zeros(shape, np.float32), **settings)
    dock = open_dock("segmenter")
    assert not dock.parts.start.isEnabled()
    assert words in dock.parts.status.text()


def test_previews_and_results_of_ours_are_no_scans(open_dock: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    dock = open_dock("restorer")
    viewer.add_image(np.zeros((4, 4, 4)), name=PREVIEW)
    viewer.add_labels(np.zeros((4, 4, 4), np.uint8), name="labels")
    run(qtbot, dock)
    combo = dock.parts.target.combos[0]
    assert [combo.itemText(row) for row in range(combo.count())] == ["thorax"]


def test_progress_is_told_and_cancel_ends_it_at_once(
    many_windows: Callable[..., ApplyDock], viewer: Any, qtbot: Any
) -> None:
    dock = many_windows()
    total = dock.parts.bar.maximum()
    assert total > 1000
    qtbot.waitUntil(lambda: "left" in dock.parts.status.text())
    assert f"of {total}" in dock.parts.status.text()
    assert not dock.parts.models.isEnabled()
    done = dock.parts.bar.value()
    qtbot.mouseClick(dock.parts.cancel, Qt.MouseButton.LeftButton)
    assert dock.parts.status.text() == "Stopping after this window"
    qtbot.waitUntil(lambda: not dock.running.busy, timeout=60_000)
    assert dock.parts.bar.value() < total / 2
    assert done < total / 2
    assert dock.parts.trouble.text() == "Stopped; nothing was made."
    assert len(viewer.layers) == 1
    assert dock.parts.start.isEnabled()
    assert dock.parts.models.isEnabled()


def test_the_scan_is_deleted_while_it_is_worked_on(
    many_windows: Callable[..., ApplyDock], viewer: Any, qtbot: Any
) -> None:
    dock = many_windows("restorer")
    viewer.layers.remove("thorax")
    qtbot.waitUntil(lambda: not dock.running.busy, timeout=60_000)
    assert list(viewer.layers) == []
    assert "The scan was removed" in dock.parts.trouble.text()
    assert "Open a scan" in dock.parts.status.text()


def test_options_follow_the_model_and_return_with_it(open_dock: Open, scan: Layer, qtbot: Any) -> None:
    dock = open_dock("segmenter")
    dock.parts.options_section.fold.click()
    options = dock.parts.options
    assert options.flips.isVisible()
    menu = options.largest_component.menu()
    actions = {action.text(): action for action in menu.actions()}
    assert list(actions) == ["all", "lung", "heart"]
    actions["lung"].trigger()
    actions["heart"].trigger()
    assert options.largest_component.value == ("lung", "heart")
    # The menu stays as it is while boxes are ticked.
    assert [action.isChecked() for action in actions.values()] == [False, True, True]
    actions["all"].trigger()
    assert dock.choice.settings.largest_component == ("all",)
    models = dock.parts.models.models
    row = next(n for n in range(models.count()) if models.itemText(n).startswith("restorer"))
    models.activated.emit(row)
    assert not options.flips.isVisible()
    assert options.overlap.isVisible()


def test_model_and_options_are_there_again_the_next_day(
    open_dock: Open, viewer: Any, scan: Layer, qtbot: Any, tmp_path: Path
) -> None:
    other = write_model(tmp_path / "elsewhere" / "mine", "segmentation")
    dock = open_dock("segmenter")
    dock.choice.add_folder(other)
    dock.parts.options.overlap.editor.moved.emit(0.3, True)
    {action.text(): action for action in dock.parts.options.fill_holes.menu().actions()}["heart"].trigger()
    dock.parts.card_section.fold.click()
    dock.parts.target.scans.setText("/some/scans")
    rest(qtbot, dock)
    close(viewer, dock)
    again = open_dock()
    assert again.choice.entry is not None
    assert again.choice.entry.path == other
    assert again.choice.settings.overlap == 0.3
    assert again.choice.settings.fill_holes == ("heart",)
    assert not again.parts.card_section.fold.isChecked()
    assert again.parts.target.scans.text() == "/some/scans"


def test_a_damaged_state_is_set_aside(open_dock: Open, scan: Layer, tmp_path: Path) -> None:
    state = tmp_path / "config" / "apply.yaml"
    state.parent.mkdir()
    state.write_text("options: {overlap: 7}\n")
    dock = open_dock()
    assert dock.choice.settings.overlap == 0.5
    assert state.with_suffix(".damaged.yaml").read_text() == "options: {overlap: 7}\n"


def test_the_command_on_the_clipboard_is_one_the_program_takes(
    open_dock: Open, scan: Layer, qtbot: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    dock = open_dock("segmenter")
    dock.parts.options.overlap.editor.moved.emit(0.3, True)
    dock.parts.options.uncertainty.editor.click()
    for picker, word in ((dock.parts.options.flips, "z"), (dock.parts.options.largest_component, "lung")):
        {action.text(): action for action in picker.menu().actions()}[word].trigger()
    dock.parts.copy_action.trigger()
    words = shlex.split(QApplication.clipboard().text())
    assert words[:3] == ["napari-genesis", "segment", "SCAN.nii.gz"]
    assert run_command([*words[1:], "--dry-run"]) == 0
    resolved = capsys.readouterr().out
    for line in ("overlap: 0.3", "flips: [z]", "largest_component: [lung]", "uncertainty: true", "device: cpu"):
        assert line in resolved


def test_opening_it_loads_no_torch() -> None:
    code = """
import sys
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
application = QApplication([])
from pathlib import Path
from tempfile import TemporaryDirectory
from napari_genesis.apply.apply_dock import ApplyDock
with TemporaryDirectory() as folder:
    dock = ApplyDock(ViewerModel(), Path(folder) / "apply.yaml")
    while any(lane.busy for lane in dock.choice.lanes):
        application.processEvents()
    application.processEvents()
    print([name for name in ("torch", "SimpleITK", "monai") if name in sys.modules])
    dock.deleteLater()
    application.processEvents()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
