"""A folder of scans: the very files the commands write, nothing overwritten, bad scans named, stopped and gone on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apply_driving import rest, run
from qtpy.QtWidgets import QApplication, QFileDialog

from genesis_core.cli.main import run as run_command
from genesis_core.cli.restore import RestoreSettings
from genesis_core.inference.sliding_window import Stopped
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.writing import write_volume
from napari_genesis.apply.apply_dock import ApplyDock
from napari_genesis.apply.folder_work import apply_to_folder
from napari_genesis.apply.progress import Progress, Reporting

pytestmark = pytest.mark.gui
Open = Callable[..., ApplyDock]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    (folder / "more").mkdir(parents=True)
    for seed, name in ((1, "a.nii.gz"), (2, "more/b.nii.gz")):
        write_volume(make_phantom(seed, shape=(16, 40, 40)).volume, folder / name)
    return folder


def choose(dock: ApplyDock, scans: Path, results: Path | None = None) -> None:
    dock.parts.target.use_folder.click()
    dock.parts.target.scans.setText(str(scans))
    if results is not None:
        dock.parts.target.results.setText(str(results))


def test_a_path_can_be_typed_from_its_first_letter_on(open_dock: Open, scans: Path, qtbot: Any) -> None:
    dock = open_dock("restorer")
    target = dock.parts.target
    target.use_folder.click()
    for typed in (".", "..", "/", str(scans)):
        target.scans.clear()
        qtbot.keyClicks(target.scans, typed)
        assert target.scans.text() == typed
    assert target.results.text() == f"{scans}_restored_restorer"


@pytest.mark.parametrize("model", ["segmenter", "restorer"])
def test_it_writes_what_the_command_writes(
    model: str, open_dock: Open, viewer: Any, scans: Path, tmp_path: Path, qtbot: Any
) -> None:
    dock = open_dock(model)
    choose(dock, scans)
    word = "segmented" if model == "segmenter" else "restored"
    out = tmp_path / f"scans_{word}_{model}"
    assert dock.parts.target.results.text() == str(out)
    dock.parts.options.overlap.editor.moved.emit(0.25, True)
    dock.copy_command()
    command = shlex.split(QApplication.clipboard().text())
    run(qtbot, dock)
    assert f"2 of 2 scans {word}" in dock.parts.outcome.text()
    assert len(viewer.layers) == 0
    assert command[0] == "napari-genesis"
    other = tmp_path / "by_command"
    command[command.index("--out") + 1] = str(other)
    assert run_command(command[1:]) == 0
    written = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert written == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    for name in written:
        if name.name.endswith(".nii.gz"):
            assert np.array_equal(read_volume(out / name).array, read_volume(other / name).array)
        else:
            assert (out / name).read_text() == (other / name).read_text()


def test_nothing_is_overwritten_and_finished_scans_can_be_left_out(
    open_dock: Open, scans: Path, tmp_path: Path, qtbot: Any
) -> None:
    out = tmp_path / "out"
    dock = open_dock("segmenter")
    choose(dock, scans, out)
    run(qtbot, dock)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    run(qtbot, dock)
    assert "nothing is overwritten" in dock.parts.trouble.text()
    write_volume(make_phantom(3, shape=(16, 40, 40)).volume, scans / "c.nii.gz")
    dock.parts.target.skip.click()
    run(qtbot, dock)
    assert dock.parts.trouble.text() == ""
    assert "1 of 1 scans segmented, 2 already there" in dock.parts.outcome.text()
    assert all(path.read_bytes() == data for path, data in before.items() if path.name != "volumes.csv")


def test_a_damaged_scan_is_named_and_the_others_are_done(
    open_dock: Open, scans: Path, tmp_path: Path, qtbot: Any
) -> None:
    (scans / "cut.nii.gz").write_bytes((scans / "a.nii.gz").read_bytes()[:900])
    holed = make_phantom(2, shape=(16, 40, 40)).volume.array.astype(np.float32)
    holed[3, 4, 5] = np.nan
    write_volume(make_phantom(2, shape=(16, 40, 40)).volume.with_array(holed), scans / "more/b.nii.gz", overwrite=True)
    dock = open_dock("segmenter")
    choose(dock, scans, tmp_path / "out")
    run(qtbot, dock)
    assert dock.parts.outcome.text().startswith("2 of 3 scans segmented, 1 failed. Results: ")
    # Once, with the reason.
    assert (dock.parts.outcome.text() + dock.parts.notes.text()).count("cut.nii.gz") == 1
    failed, *noticed = dock.parts.notes.text().splitlines()
    assert failed.startswith("cut.nii.gz: ")
    # What is said of a layer is said of a scan in a folder too.
    assert any(line.startswith("more/b.nii.gz: 1 not-a-number") for line in noticed)


def test_what_the_command_warns_of_is_told_once(
    scans: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(settings: RestoreSettings, output: Any, stop: Any) -> None:
        output.warn("a folder could not be listed: closed")
        output.record({"event": "failed", "scan": "a.nii.gz", "reason": "cut"})
        output.warn("a.nii.gz is left out: cut")
        output.record({"event": "restored", "scan": "b", "notes": ["flat", "what the residual is not"]})

    monkeypatch.setattr("genesis_core.cli.restore.run", run)
    settings = RestoreSettings(scan=scans, model=models / "runs" / "restorer", out=tmp_path / "out", device="cpu")
    done = apply_to_folder(settings, Reporting())
    assert done.warned == ("a folder could not be listed: closed",)
    assert done.failed == (("a.nii.gz", "cut"),)
    assert done.notes == (("b", "flat"),)


def test_stopped_between_windows_it_goes_on_from_there(
    open_dock: Open, scans: Path, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every window is told, not one a second, so that the test can stop at one.
    monkeypatch.setattr("genesis_core.cli.scan_jobs._SECONDS_BETWEEN_RECORDS", 0.0)
    monkeypatch.setattr("napari_genesis.apply.running._LOOK_EVERY", 1)
    write_volume(make_phantom(2, shape=(40, 64, 64)).volume, scans / "more" / "b.nii.gz", overwrite=True)
    dock = open_dock("restorer")
    out = tmp_path / "out"
    choose(dock, scans, out)
    # A thousand windows: it cannot be done before it is stopped.
    dock.parts.options.overlap.editor.moved.emit(0.9, True)

    def stop_in_the_second(progress: Any) -> None:
        if progress.phase.startswith("scan 2 of 2: more/b") and progress.done > 1000:
            dock.parts.cancel.click()

    dock.running.progressed.connect(stop_in_the_second)
    run(qtbot, dock)
    assert "Stopped: 1 of 2 scans restored" in dock.parts.trouble.text()
    assert [path.name for path in out.rglob("*_metrics.json")] == ["a_metrics.json"]
    assert not list(out.rglob("b_*"))
    dock.running.progressed.disconnect(stop_in_the_second)
    dock.parts.target.skip.click()
    dock.parts.options.overlap.editor.moved.emit(0.25, True)
    run(qtbot, dock)
    assert "1 of 1 scans restored, 1 already there" in dock.parts.outcome.text()
    assert json.loads((out / "more" / "b_metrics.json").read_text())["settings"]["overlap"] == 0.25


def test_what_is_missing_is_said_before_it_starts(
    open_dock: Open, scans: Path, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock = open_dock("segmenter")
    dock.parts.target.use_folder.click()
    assert dock.parts.status.text() == "Choose the folder of scans."
    dock.parts.target.scans.setText(str(tmp_path / "nowhere"))
    assert "no such folder" in dock.parts.status.text()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(scans))
    dock.parts.target.ask_scans.click()
    assert dock.parts.target.scans.text() == str(scans)
    assert dock.parts.start.isEnabled()
    dock.parts.target.results.clear()
    assert dock.parts.status.text() == "Choose a folder for the results."
    dock.parts.target.results.setText(str(scans.parent))
    run(qtbot, dock)
    assert "holds the scans; choose a folder of its own" in dock.parts.trouble.text()
    (tmp_path / "none").mkdir()
    dock.parts.target.scans.setText(str(tmp_path / "none"))
    dock.parts.target.results.setText(str(tmp_path / "out"))
    run(qtbot, dock)
    assert "no scan there" in dock.parts.trouble.text()
    rest(qtbot, dock)


def test_a_folder_tells_which_scan_of_how_many_and_the_time_left(scans: Path, models: Path, tmp_path: Path) -> None:
    told: list[Progress] = []

    class Noting(Reporting):
        def stop(self) -> bool:
            told.append(self.latest)
            return super().stop()

    write_volume(make_phantom(3, shape=(16, 40, 40)).volume, scans / "z.nii.gz")
    settings = RestoreSettings(scan=scans, model=models / "runs" / "restorer", out=tmp_path / "out", device="cpu")
    done = apply_to_folder(settings, Noting())
    assert (done.done, done.skipped, done.failed) == (3, 0, ())
    assert told[0].words == "loading the model"
    places = [progress for progress in told if progress.total]
    assert list(dict.fromkeys(place.phase for place in places)) == [
        "scan 1 of 3: a.nii.gz",
        "scan 2 of 3: more/b.nii.gz",
        "scan 3 of 3: z.nii.gz",
    ]
    # The bar runs once, over all of them.
    assert [place.done for place in places] == sorted(place.done for place in places)
    assert {place.total for place in places} == {3000}
    first = next(place for place in places)
    assert first.words == "scan 1 of 3: a.nii.gz"
    later = [place for place in places if place.phase.startswith("scan 2")]
    assert all(place.words.startswith("scan 2 of 3: more/b.nii.gz, about ") for place in later)


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress("reading"), "reading"),
        (Progress("segmenting", 12, 80, 35.0), "segmenting, window 12 of 80, 35 s left"),
        (Progress("scan 3 of 20", 2400, 20000, 240.0, "scans"), "scan 3 of 20, about 4 min left"),
        (Progress("scan 1 of 20", 400, 20000, 35.0, "scans", True), "scan 1 of 20, 35 s left of this one"),
        (Progress("scan 1 of 20", 0, 20000, None, "scans", True), "scan 1 of 20"),
    ],
)
def test_progress_in_words(progress: Progress, words: str) -> None:
    assert progress.words == words


def test_a_folder_is_left_at_once_when_asked(scans: Path, models: Path, tmp_path: Path) -> None:
    report = Reporting()
    report.ask_to_stop()
    settings = RestoreSettings(scan=scans, model=models / "runs" / "restorer", out=tmp_path / "out", device="cpu")
    with pytest.raises(
        Stopped, match="Stopped: 0 of 2 scans restored; with finished scans left out it goes on from here"
    ):
        apply_to_folder(settings, report)
