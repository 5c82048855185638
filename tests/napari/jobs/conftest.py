"""Jobs of one test alone, which all end with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from training_runs import make_scans

from napari_genesis.jobs.queues import Jobs


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scans(tmp_path_factory.mktemp("scans") / "thorax")


@pytest.fixture(autouse=True)
def _own_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def jobs(qtbot: object) -> Iterator[Jobs]:
    made = Jobs()
    yield made
    for job in made.jobs:
        job.stop_now()
    made.close()
