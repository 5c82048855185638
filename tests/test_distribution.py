"""The wheel and the sdist hold what they should, and the wheel works where the source tree is not."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(REPOSITORY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def _wheel(folder: Path) -> Path:
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_wheel_holds_both_packages_the_manifest_and_its_entry_points(distributions: Path) -> None:
    with zipfile.ZipFile(_wheel(distributions)) as archive:
        names = set(archive.namelist())
        entry_points = next(archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert {"genesis_core/__init__.py", "napari_genesis/napari.yaml", "genesis_core/py.typed"} <= names
    assert "napari-genesis = genesis_core.cli.main:main" in entry_points
    assert "[napari.manifest]" in entry_points
    assert "napari-genesis = napari_genesis:napari.yaml" in entry_points


def test_sdist_holds_what_is_needed_to_build_and_test(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "CITATION.cff", "src_core/genesis_core/__init__.py"} <= names
    assert {"napari_genesis/napari.yaml", "tests/test_distribution.py", "Makefile", "constraints.txt"} <= names


def _run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=cwd, env=clean)


def _environment(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / ("Scripts" if os.name == "nt" else "bin")


def _check_the_command(bin_folder: Path, cwd: Path) -> None:
    done = _run([str(bin_folder / "napari-genesis"), "--version"], cwd)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("napari-genesis ")
    done = _run([str(bin_folder / "napari-genesis"), "pretrain", "scans", "--out", "run", "--dry-run"], cwd)
    assert done.returncode == 0, done.stderr
    assert "max_steps" in done.stdout
    done = _run([str(bin_folder / "python"), "-c", "import genesis_core; print(genesis_core.__file__)"], cwd)
    assert str(bin_folder.parent) in done.stdout


def test_installed_wheel_runs_the_command_away_from_the_source(distributions: Path, tmp_path: Path) -> None:
    """Dependencies are borrowed from this environment, so that this stays quick; the full install is the long test."""
    bin_folder = _environment(tmp_path / "environment")
    install = [str(bin_folder / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    done = _run([*install, str(_wheel(distributions))], tmp_path)
    assert done.returncode == 0, done.stderr
    (site,) = (tmp_path / "environment").glob("lib/python*/site-packages")
    borrowed = tmp_path / "borrowed"
    borrowed.mkdir()
    for package in Path(sysconfig.get_paths()["purelib"]).iterdir():
        # Everything but this project's own editable install, which would hide the wheel.
        if "genesis" not in package.name and not package.name.endswith(".pth"):
            (borrowed / package.name).symlink_to(package)
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    _check_the_command(bin_folder, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_wheel_installs_with_all_its_dependencies_into_an_empty_environment(
    distributions: Path, tmp_path: Path
) -> None:
    bin_folder = _environment(tmp_path / "environment")
    constraints = str(REPOSITORY / "constraints.txt")
    install = [str(bin_folder / "python"), "-m", "pip", "install", "--quiet", "-c", constraints]
    for what in ("torch==2.13.0", str(_wheel(distributions))):
        done = _run([*install, what], tmp_path)
        assert done.returncode == 0, done.stderr
    _check_the_command(bin_folder, tmp_path)
    done = _run([str(bin_folder / "python"), "-m", "pip", "check"], tmp_path)
    assert done.returncode == 0, done.stdout
