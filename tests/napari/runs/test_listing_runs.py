"""What the table knows of run folders: in every state, in folds, damaged, growing, and vanishing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from runs_driving import write_run

from napari_genesis.runs.cells import cells_of, date_text, size_text
from napari_genesis.runs.curves import CurveReader, drawn, quantities
from napari_genesis.runs.details import counts_in_words, read_details
from napari_genesis.runs.listing import RunListing, RunSummary


def listed(folder: Path) -> dict[str, RunSummary]:
    return {run.name: run for run in RunListing().read(folder).runs}


def test_a_pretraining_is_known_by_its_loss_against_the_mean_and_a_finetuning_by_its_held_out_dice(
    tmp_path: Path,
) -> None:
    write_run(tmp_path / "lung", loss=0.02, mean=0.05)
    write_run(tmp_path / "liver", "segmentation", dice=0.9, held_out=0.83, source="../lung")
    found = listed(tmp_path)
    assert found["lung"].figure is not None
    assert found["lung"].figure.text == "0.02 (−60 %)"
    cells = cells_of(replace(found["lung"], seconds=12_000), "finished", 1.8e9)
    assert [cell.text for cell in cells[1:5]] == ["finished", "pretrain", "−60 %", "3 h 20"]
    assert (cells[4].tip, "0.02" in cells[3].tip) == ("Trained for 3 h 20 min.", True)
    assert found["liver"].figure is not None
    assert found["liver"].figure.text == "0.830"
    assert found["liver"].source == tmp_path / "lung"
    assert found["lung"].seconds == 60


def test_a_dice_of_sub_volumes_is_marked_as_no_result(tmp_path: Path) -> None:
    write_run(tmp_path / "liver", "segmentation", dice=0.9)
    figure = listed(tmp_path)["liver"].figure
    assert figure is not None
    assert (figure.text, figure.final) == ("~0.900", False)


def test_a_run_of_another_machine_counts_as_alive_while_it_gives_signs_of_life(tmp_path: Path) -> None:
    write_run(tmp_path / "alive", state="running", host="gpu-server", pid=1)
    write_run(tmp_path / "lost", state="running", host="gpu-server", pid=1, age=3600)
    found = listed(tmp_path)
    assert (found["alive"].word, found["lost"].word) == ("running", "interrupted")


def test_damaged_folders_are_rows_that_say_what_is_wrong(tmp_path: Path) -> None:
    (write_run(tmp_path / "status") / "status.json").write_text("{")
    (write_run(tmp_path / "yaml") / "run.yaml").write_bytes(b"\xff\xfe\x00")
    (write_run(tmp_path / "empty") / "run.yaml").write_text("")
    (write_run(tmp_path / "events") / "events.jsonl").write_bytes(b"\x00" * 1000 + b"\n[1]\nnull\n{}\n")
    odd = {"state": "finished", "step": "many", "total_steps": [1], "heartbeat": 1e300, "message": 3, "host": None}
    (write_run(tmp_path / "odd") / "status.json").write_text(json.dumps(odd))
    (write_run(tmp_path / "scores", "segmentation") / "held_out.json").write_text('[{"means": 1}]')
    found = listed(tmp_path)
    assert [found[name].word for name in ("status", "yaml", "empty")] == ["damaged"] * 3
    assert "status.json" in found["status"].trouble
    assert found["events"].figure is None
    assert found["odd"].step == 0
    for run in found.values():
        assert len(cells_of(run, run.word, 1.8e9)) == 10
        assert read_details(run).path == run.path
        assert CurveReader().read((run,))


def test_what_is_appended_is_read_on_and_a_resume_replaces_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    run = write_run(tmp_path / "lung", loss=0.02)
    reader = RunListing()
    reader.read(tmp_path)
    with open(run / "events.jsonl", "a", encoding="utf-8") as file:
        file.write('{"event": "started", "step": 50, "time": 1}\n{"event": "validation", "step": 60, "loss": 0.0')
    (first,) = reader.read(tmp_path).runs
    assert first.figure is not None
    assert first.figure.step == 50
    with open(run / "events.jsonl", "a", encoding="utf-8") as file:
        file.write('1, "return_mean": 0.05}\n')
    (second,) = reader.read(tmp_path).runs
    assert second.figure is not None
    assert (second.figure.step, second.figure.value) == (60, 0.01)


def test_folds_are_counted_and_each_has_its_curve(tmp_path: Path) -> None:
    run = write_run(tmp_path / "liver", "segmentation", "running", host="elsewhere")
    events = [{"event": "fold", "step": 100 * number, "fold": number + 1, "folds": 5} for number in range(2)]
    (run / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    for number in range(2):
        write_run(run / "folds" / str(number), "segmentation", dice=0.7 + number / 10)
    found = listed(tmp_path)["liver"]
    assert found.folds == (2, 5)
    assert cells_of(found, "running", 1.8e9)[5].text == "fold 2 of 5"
    assert found.figure is not None
    assert found.figure.text == "~0.800"
    assert found.seconds == 120
    assert [curve.fold for curve in CurveReader().read((found,))] == [1, 2]


def test_losses_of_different_tasks_are_not_drawn_on_one_scale(tmp_path: Path) -> None:
    write_run(tmp_path / "lung")
    write_run(tmp_path / "liver", "segmentation")
    found = listed(tmp_path)
    both = CurveReader().read((found["lung"], found["liver"]))
    assert {key for key, _ in quantities(both)} == {"mean_dice", "share"}
    one = CurveReader().read((found["lung"],))
    assert {key for key, _ in quantities(one)} == {"validation", "training"}
    steps, share = drawn(one[0], "share")
    assert (steps[-1], round(share[-1], 3)) == (100, 0.4)


def test_sizes_and_dates_read_well() -> None:
    assert [size_text(size) for size in (0, 999, 41_300_000, 1_840_000_000)] == ["0 B", "999 B", "41 MB", "1.8 GB"]
    assert date_text(0, 1e9) == "–"
    assert date_text(1e9, 1e9 + 60).count(":") == 1
    assert date_text(1e9, 1e9 + 400 * 86400).endswith("2001")


def test_who_trains_and_who_is_held_out_is_told_in_parts_that_add_up() -> None:
    data = {"training_cases": 4, "validation_cases": 1, "subjects": 4}
    by_part = {"subjects_by_part": {"training": 3, "validation": 1}}
    assert counts_in_words({**data, **by_part}) == ["4 cases of 3 subjects train", "1 case of 1 subject held out"]
    # Cards of before that was written.
    assert counts_in_words(data) == ["4 cases train", "1 case held out", "4 subjects in all"]
    assert counts_in_words({"scans": "thousands"}) == []
