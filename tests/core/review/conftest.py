"""Reviews of small scans by models whose results are known, shared by the tests of this folder."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

# The models with weights set by hand that the tests of segmenting use.
sys.path.append(str(Path(__file__).resolve().parents[1] / "segment"))

from review_files import make_scans
from threshold_models import save_threshold_model

from genesis_core.studies.review import Review, propose


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_threshold_model(tmp_path_factory.mktemp("models") / "threshold")


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scans(tmp_path_factory.mktemp("set") / "scans")


@pytest.fixture(scope="session")
def proposed(model: Path, scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A review with everything proposed; to be copied, never changed."""
    review = Review.create(tmp_path_factory.mktemp("proposed") / "review", scans=scans, run=model)
    propose(review, device="cpu")
    return review.folder


@pytest.fixture
def review(model: Path, scans: Path, proposed: Path, tmp_path: Path) -> Review:
    """A review of its own, with everything proposed."""
    made = Review.create(tmp_path / "review", scans=scans, run=model)
    shutil.copytree(proposed / "proposals", made.folder / "proposals", dirs_exist_ok=True)
    return made
