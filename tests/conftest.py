"""Fixtures every test may use: the real scans, where there are any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Tests run side by side: with a thread per core in each, tiny networks wait for one another most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parent.parent


def _real_data_folder() -> Path:
    return Path(os.environ.get("GENESIS_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CT and MRI volumes (GENESIS_DATA, else ../shared/data); without one the test is skipped."""
    folder = _real_data_folder()
    if not folder.is_dir():
        # Whoever names a folder wants these tests, and shall learn that it is the wrong one.
        assert "GENESIS_DATA" not in os.environ, f"GENESIS_DATA: {folder} is no folder"
        pytest.skip("no real scans here: set GENESIS_DATA to their folder")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests out of the user's cache folder."""
    monkeypatch.delenv("GENESIS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "user_cache"))
