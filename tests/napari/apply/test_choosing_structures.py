"""Which structures are kept, and the organ rules: chosen in the dock, applied, told as a command, remembered."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apply_driving import close, core_segments, rest, run, write_model
from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from genesis_core.cli.main import run as run_command
from genesis_core.model.published_classes import SUPREM_STRUCTURES
from genesis_core.networks.settings import UNet3DSettings
from napari_genesis.apply.apply_dock import ApplyDock
from napari_genesis.layers import volume_from_layer

pytestmark = pytest.mark.gui
Open = Callable[..., ApplyDock]
NAMES = tuple(one.name for one in SUPREM_STRUCTURES)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a model of SuPreM's 32 classes, and one whose two structures exclude each other."""
    workspace = tmp_path_factory.mktemp("many")
    network = UNet3DSettings(width=2, norm="instance", out_channels=len(NAMES))
    many = {"network": network, "activation": "sigmoid", "structures": SUPREM_STRUCTURES}
    write_model(workspace / "models" / "organs", "segmentation", **many)
    write_model(workspace / "models" / "segmenter", "segmentation")
    return workspace


def tick(dock: ApplyDock, *names: str) -> None:
    """Tick these alone, as a user does: all unticked, then one after another by the filter and its box."""
    picker = dock.parts.structures
    if not picker.isVisible():
        dock.parts.structures_section.fold.click()
    picker.filter.clear()
    picker.none.click()
    for name in names:
        picker.filter.setText(name)
        (item,) = [one for one in picker.list.findItems(name, Qt.MatchFlag.MatchExactly) if not one.isHidden()]
        item.setCheckState(Qt.CheckState.Checked)
    picker.filter.clear()


def command(dock: ApplyDock) -> list[str]:
    dock.parts.copy_action.trigger()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    return shlex.split(clipboard.text())


def test_those_that_are_ticked_are_segmented_and_the_rules_applied(
    open_dock: Open, viewer: Any, scan: Layer, models: Path, qtbot: Any
) -> None:
    dock = open_dock("organs")
    title = dock.parts.structures_section.title
    assert title.text() == "Structures: all 32"
    assert "--structures" not in command(dock)
    tick(dock, "stomach", "spleen", "kidney_cyst")
    assert title.text() == "Structures: 3 of 32"
    assert dock.parts.structures.rules.isVisible()
    assert "one piece an organ" in dock.parts.structures.rules.toolTip()
    dock.parts.structures.rules.click()
    words = command(dock)
    assert words[words.index("--structures") + 1] == "spleen,stomach,kidney_cyst"
    assert words[words.index("--organ-rules") + 1] == "suprem"
    run(qtbot, dock)
    expected = core_segments(
        models / "models" / "organs", volume_from_layer(scan), structures=("spleen", "stomach", "kidney_cyst"),
        organ_rules="suprem",
    )  # fmt: skip
    table = dock.parts.table
    assert [table.item(row, 0).text() for row in range(table.rowCount())] == ["spleen", "stomach", "kidney_cyst"]
    made = [layer for layer in viewer.layers if layer.name.startswith("segmentation of")]
    for layer, array in zip(made, expected.labels.layers, strict=True):
        np.testing.assert_array_equal(np.asarray(layer.data), array)
    # What the command writes is what the window shows.
    assert any("its largest piece" in note for note in expected.notes)
    assert set(expected.notes) <= set(dock.parts.notes.text().splitlines())


def test_all_32_can_be_kept_or_none_which_is_refused_in_words(open_dock: Open, scan: Layer, qtbot: Any) -> None:
    dock = open_dock("organs")
    picker = dock.parts.structures
    assert picker.chosen == NAMES
    tick(dock)
    assert picker.chosen == ()
    assert not dock.parts.start.isEnabled()
    assert "Tick a structure at least" in dock.parts.status.text()
    picker.all.click()
    assert dock.parts.start.isEnabled()
    assert dock.choice.arguments(dock.choice.entry)["structures"] == ()


def test_all_and_none_are_those_the_filter_shows(open_dock: Open, scan: Layer) -> None:
    dock = open_dock("organs")
    picker = dock.parts.structures
    picker.filter.setText("Kidney ")
    picker.none.click()
    left = tuple(name for name in NAMES if not name.startswith("kidney_"))
    assert 0 < len(left) < 32
    assert picker.chosen == left
    picker.all.click()
    assert picker.chosen == NAMES


def test_what_is_chosen_is_remembered_for_each_model(open_dock: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    dock = open_dock("organs")
    tick(dock, "liver")
    dock.parts.structures.rules.click()
    dock.parts.options.largest_component.moved.emit(("liver",))
    other = open_row(qtbot, dock, "segmenter")
    # Structures that exclude each other cannot be left out, and the rules are about others.
    assert not dock.parts.structures_section.isVisible()
    assert {"--structures", "--organ-rules", "--largest-component"}.isdisjoint(command(other))
    close(viewer, dock)
    again = open_dock("organs")
    assert again.parts.structures.chosen == ("liver",)
    assert again.parts.structures.rules.isChecked()
    assert again.choice.settings_here.largest_component == ("liver",)


def test_the_folder_is_done_as_the_command_does_it(open_dock: Open, tmp_path: Path, scan: Layer, qtbot: Any) -> None:
    import genesis_core as gc

    (tmp_path / "scans").mkdir()
    gc.write_volume(volume_from_layer(scan), tmp_path / "scans" / "a.nii.gz")
    dock = open_dock("organs")
    tick(dock, "liver")
    dock.parts.target.use_folder.click()
    dock.parts.target.scans.setText(str(tmp_path / "scans"))
    dock.parts.target.results.setText(str(tmp_path / "window"))
    words = command(dock)
    run(qtbot, dock)
    words[words.index("--out") + 1] = str(tmp_path / "terminal")
    assert run_command(words[1:]) == 0
    assert (tmp_path / "window" / "a.nii.gz").read_bytes() == (tmp_path / "terminal" / "a.nii.gz").read_bytes()


def open_row(qtbot: Any, dock: ApplyDock, name: str) -> ApplyDock:
    models = dock.parts.models.models
    row = next(number for number in range(models.count()) if models.itemText(number).startswith(f"{name}:"))
    models.setCurrentIndex(row)
    models.activated.emit(row)
    rest(qtbot, dock)
    return dock
