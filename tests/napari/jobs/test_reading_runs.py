"""What is read of a run folder while another process writes it: half lines, resumes, damage, and no names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genesis_core.training.previews import write_preview
from genesis_core.training.run_folder import RunFolder
from napari_genesis.jobs.last_words import KEPT, exit_in_words, keep_last_words, log_file, read_last_words
from napari_genesis.jobs.queues import Jobs
from napari_genesis.jobs.reading import RunReader
from napari_genesis.jobs.tailing import EventTail
from napari_genesis.jobs.view import RunView
from napari_genesis.training.wording import time_left


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder.create(tmp_path / "run")
    run.settings_file.write_text("task: restoration\ntraining: {batch_size: 4}\nrecipe: paper\n")
    run.set_status("running", 0, 100)
    return run


def line(kind: str, **values: Any) -> str:
    return json.dumps({"v": 1, "time": values.pop("time", 0.0), "event": kind, **values}) + "\n"


def step(number: int, loss: Any = 0.5, time: float = 0.0) -> str:
    return line("step", step=number, loss=loss, seconds=0.1, waited=0.1, time=time)


def append(run: RunFolder, text: str) -> None:
    with open(run.events_file, "a", encoding="utf-8") as file:
        file.write(text)


def read(reader: RunReader) -> RunView:
    view = reader.read()
    assert view is not None
    return view


def test_half_a_line_waits_for_its_other_half(run: RunFolder) -> None:
    tail = EventTail(run.events_file)
    assert tail.read() == ([], False)
    whole = step(1)
    append(run, whole + whole[:20])
    assert [event["step"] for event in tail.read()[0]] == [1]
    assert tail.read() == ([], False)
    append(run, whole[20:])
    assert [event["step"] for event in tail.read()[0]] == [1]


def test_lines_that_are_no_events_are_passed_over(run: RunFolder) -> None:
    append(run, "garbage\n[1, 2]\n{}\n" + '{"event": 3}\n' + step(1)[:-5] + "\n" + step(2))
    assert [event["step"] for event in EventTail(run.events_file).read()[0]] == [2]


def test_a_file_that_began_anew_is_read_anew(run: RunFolder) -> None:
    tail = EventTail(run.events_file)
    append(run, step(1) + step(2))
    tail.read()
    run.events_file.unlink()
    append(run, step(7))
    events, anew = tail.read()
    assert anew
    assert [event["step"] for event in events] == [7]


def test_after_a_resume_the_later_record_of_a_step_counts(run: RunFolder) -> None:
    reader = RunReader(run)
    append(run, line("started", step=0, total_steps=100) + "".join(step(n, 1.0) for n in range(1, 8)))
    before = read(reader)
    append(run, line("started", step=5, total_steps=100) + step(6, 2.0))
    after = read(reader)
    assert after.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert after.losses.tolist() == [1, 1, 1, 1, 1, 2]
    # What was handed out to the window stays as it was.
    assert before.steps.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert before.losses.tolist() == [1.0] * 7


def test_pace_and_time_left_follow_from_the_events(run: RunFolder) -> None:
    append(run, line("started", step=0, total_steps=100))
    append(run, "".join(step(n, time=float(n)) for n in range(1, 41)))
    view = read(RunReader(run))
    assert view.pace is not None
    assert view.pace.seconds_per_step == pytest.approx(1.0)
    assert view.pace.seconds_left == pytest.approx(60.0)
    assert view.pace.waited == pytest.approx(0.5)
    # Four sub-volumes in 0.1 s of computing and 0.1 s of waiting.
    assert view.pace.volumes_per_second == pytest.approx(20.0)


def test_slow_first_steps_are_soon_forgotten(run: RunFolder) -> None:
    append(run, line("started", step=0, total_steps=100))
    append(run, "".join(step(n, time=7.0 * n) for n in range(1, 4)))
    reader = RunReader(run)
    early = read(reader)
    assert early.pace is None
    assert time_left(early) == "Time left: measuring…"
    append(run, "".join(step(n, time=21.0 + 0.5 * (n - 3)) for n in range(4, 11)))
    later = read(reader)
    assert later.pace is not None
    assert later.pace.seconds_per_step == pytest.approx(0.5)
    assert later.pace.seconds_left == pytest.approx(45.0)


def test_a_warning_holds_until_a_later_validation_has_nothing_to_say(run: RunFolder) -> None:
    reader = RunReader(run)
    append(run, line("warning", step=0, message="one scan is left out"))
    append(run, line("validation", step=5, loss=1.0) + line("warning", step=5, message="it has collapsed"))
    assert read(reader).warnings == ("one scan is left out", "it has collapsed")
    append(run, line("validation", step=10, loss=0.1))
    assert read(reader).warnings == ("one scan is left out",)


def test_the_latest_preview_comes_as_arrays(run: RunFolder) -> None:
    arrays = {name: np.full((1, 2, 3, 4), n, np.float16) for n, name in enumerate(("original", "restored"))}
    for number in (5, 10):
        file = write_preview(run, number, arrays)
        append(run, line("preview", step=number, file=file))
    view = read(RunReader(run))
    assert view.preview is not None
    assert view.preview.step == 10
    assert view.preview.arrays["restored"].dtype == np.float32


@pytest.mark.parametrize("damage", ["status", "settings", "events", "preview"])
def test_damage_is_shown_and_nothing_is_raised(run: RunFolder, damage: str) -> None:
    append(run, line("started", step=0, total_steps=9) + step(1) + line("preview", step=1, file="previews/x"))
    (run.previews / "step_0000001.npz").write_bytes(b"PK\x03\x04 no archive")
    if damage == "status":
        run.status_file.write_text("{")
    elif damage == "settings":
        run.settings_file.write_text("task: [")
    elif damage == "events":
        run.events_file.write_bytes(b"\xff\x00" * 5000)
    view = read(RunReader(run))
    assert view.word == ("damaged" if damage == "status" else "running")
    assert view.preview is None


def test_values_of_other_kinds_are_passed_over(run: RunFolder) -> None:
    huge = 10**400
    append(run, line("started", step="a", total_steps=huge) + line("step", step=huge, loss=huge) + step(3, "low"))
    append(run, line("preparing", done="x", total=None) + line("validation", step=[1]) + line("warning", message=3))
    run.status_file.write_text(json.dumps({"state": "running", "step": "many", "total_steps": "all"}))
    view = read(RunReader(run))
    assert view.steps.tolist() == [3.0]
    assert np.isnan(view.losses[0])
    assert (view.total_steps, view.validations, view.warnings) == (None, (), ())


def test_nothing_new_is_nothing_to_show(run: RunFolder) -> None:
    reader = RunReader(run)
    append(run, step(1))
    read(reader)
    assert reader.read() is None


def test_what_is_kept_of_stderr_names_nobody(run: RunFolder, tmp_path: Path) -> None:
    scans = tmp_path / "Mustermann Erika"
    log = log_file(run)
    log.parent.mkdir(parents=True)
    log.write_text(
        "warning: Mustermann_1.nii.gz (scan_1) is left out\n"
        f"error: {scans / 'Erika 2.nii.gz'}: cannot be read\nerror: /home/erika/else.nii: no\n"
    )
    keep_last_words(run, -9, scans)
    kept = (run.path / KEPT).read_text()
    assert "SIGKILL" in kept
    assert "(scans): cannot be read" in kept
    for name in ("Mustermann", "Erika", "erika"):
        assert name not in kept
    # On this machine, the person sees it all.
    assert any("Erika 2.nii.gz" in said for said in read_last_words(run))
    # One that ended well leaves nothing behind.
    keep_last_words(run, 130, scans)
    assert not (run.path / KEPT).exists()
    assert not log.exists()


def test_exit_codes_have_words() -> None:
    assert exit_in_words(0) == exit_in_words(130) == ""
    assert "SIGSEGV" in exit_in_words(-11)
    assert exit_in_words(3) == "Its process ended with exit code 3."
    assert "signal 99" in exit_in_words(-99)


def test_a_folder_that_is_no_run_is_watched_without_harm(jobs: Jobs, tmp_path: Path, qtbot: Any) -> None:
    job = jobs.look_at(tmp_path / "nothing here")
    qtbot.waitUntil(lambda: job.state == "gone")
    empty = tmp_path / "empty"
    empty.mkdir()
    other = jobs.look_at(empty)
    qtbot.waitUntil(lambda: other.state == "stopped")
