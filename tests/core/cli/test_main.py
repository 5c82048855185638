"""The edge of the command line: what a stream cannot show, and errors that are nobody's defect."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from genesis_core.cli import main as edge
from genesis_core.cli.main import main, run


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are valid text")
def test_a_name_that_the_output_cannot_show_ends_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / os.fsdecode(b"Sch\xe4del.nii")).write_bytes(b"no scan")
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for name in ("stdout", "stderr")}
    with monkeypatch.context() as patched:
        for name, stream in streams.items():
            patched.setattr(sys, name, stream)
        patched.setattr(sys, "argv", ["napari-genesis", "inspect", str(tmp_path)])
        with pytest.raises(SystemExit) as ended:
            main()
    out, err = (stream.buffer.getvalue().decode() for stream in streams.values())
    assert ended.value.code == 0, err
    assert "Sch\\udce4del.nii" in out
    assert "0 readable, 1 refused" in out


def test_too_little_memory_is_no_defect_and_the_way_out_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def too_large(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 3.2 GiB")

    monkeypatch.setattr(edge.group, "main", too_large)
    assert run(["inspect", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "not enough memory (Unable to allocate 3.2 GiB). Lower" in said
    assert "defect" not in said


def test_a_table_of_series_and_a_check_of_labels_are_not_asked_for_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(tmp_path), "--labelled", "--series", str(tmp_path / "series.csv")]) == 2
    assert "--series tells the DICOM series of unlabelled scans" in capsys.readouterr().err
