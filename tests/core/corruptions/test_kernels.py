"""The compiled kernels: light to import, safe in memory, and usable where nothing can be cached."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import genesis_core
from genesis_core import corruptions

PACKAGE = Path(genesis_core.__file__).parent

EXERCISE = """
import numpy as np
from genesis_core.corruptions.recipe import Recipe
for recipe in (Recipe.genesis(), Recipe.paper()):
    for shape in ((1, 1, 1), (3, 40, 7), (9, 11, 13), (20, 33), (16, 64, 100)):
        x = np.random.default_rng(0).random((2, 2, *shape), dtype=np.float32)
        for combination in recipe.combinations():
            draws = [recipe.draw(shape, seed, apply=combination.kinds) for seed in (1, 2)]
            y = recipe.apply(x, draws)
            assert y.shape == x.shape and y.min() >= 0 and y.max() <= 1
print("done")
"""

OVERRUN = """
import numpy as np
from genesis_core.corruptions.kernels import curve, noise
tables = np.zeros(curve.CAPACITY, np.float32), np.zeros(curve.CAPACITY, np.float32), np.zeros(curve.CAPACITY, np.int32)
for overrun in (
    lambda: curve.look_up(np.zeros(16, np.float32), np.zeros(8, np.float32), *tables),
    lambda: noise.noise_inside(np.zeros(64, np.float32), 4, 4, np.array([[3, 0, 0, 2, 4, 4]]), np.uint64(1)),
):
    try:
        overrun()
    except IndexError:
        print("caught")
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_recipes_load_without_numpy_numba_or_torch() -> None:
    done = run(
        "import sys; from genesis_core.corruptions.recipe import Recipe; Recipe.genesis().to_yaml()\n"
        "print([name for name in ('numpy', 'numba', 'torch', 'SimpleITK') if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_warming_loads_the_kernels_and_says_how_long_it_took() -> None:
    assert corruptions.warm() >= 0
    assert corruptions.warm() < 1


@pytest.mark.slow
def test_no_kernel_leaves_its_arrays_under_numba_s_bounds_checks(tmp_path: Path) -> None:
    checks = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    # The checks are on: they see what does overrun.
    assert run(OVERRUN, **checks).stdout.split() == ["caught", "caught"]
    done = run(EXERCISE, **checks)
    assert done.stdout.strip() == "done", done.stderr[-2000:]


@pytest.mark.slow
def test_kernels_work_where_no_cache_can_be_written_and_say_so(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "genesis_core", ignore=shutil.ignore_patterns("__pycache__"))
    # A file where a folder is wanted stops even an administrator from writing.
    (tmp_path / "genesis_core" / "corruptions" / "kernels" / "__pycache__").write_text("")
    (tmp_path / "home").write_text("")
    home = str(tmp_path / "home")
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE"), home)
    done = run(EXERCISE, PYTHONPATH=str(tmp_path), PYTHONDONTWRITEBYTECODE="1", **places)
    assert done.stdout.strip() == "done", done.stderr[-2000:]
    assert "NUMBA_CACHE_DIR" in done.stderr
