"""The compiled kernels: light to import, safe in memory, and usable where nothing can be cached."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import genesis_core
from genesis_core import corruptions
from genesis_core.corruptions.local_shuffle import LocalShuffle
from genesis_core.corruptions.recipe import Recipe, Step

PACKAGE = Path(genesis_core.__file__).parent

EXERCISE = """
import numpy as np
from genesis_core.corruptions import application
from genesis_core.corruptions.recipe import Recipe
# The second time, two threads share each sample by halves.
for recipe, application._LARGE in ((Recipe.genesis(), 1 << 40), (Recipe.paper(), 1 << 40), (Recipe.genesis(), 0)):
    for shape in ((1, 1, 1), (3, 40, 7), (9, 11, 13), (20, 33), (16, 64, 100)):
        x = np.random.default_rng(0).random((2, 2, *shape), dtype=np.float32)
        for combination in recipe.combinations():
            draws = [recipe.draw(shape, seed, apply=combination.kinds) for seed in (1, 2)]
            y = recipe.apply(x, draws, threads=2)
            assert y.shape == x.shape and y.min() >= 0 and y.max() <= 1
print("done")
"""

OVERRUN = """
import numpy as np
from genesis_core.corruptions.kernels import curve, noise
tables = np.zeros(curve.CAPACITY, np.float32), np.zeros(curve.CAPACITY, np.float32), np.zeros(curve.CAPACITY, np.int32)
for overrun in (
    lambda: curve.look_up(np.zeros(16, np.float32), np.zeros(8, np.float32), *tables),
    lambda: noise.noise_inside(np.zeros(64, np.float32), 4, 4, (0, 6), np.array([[3, 0, 0, 2, 4, 4]]), np.uint64(1)),
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


def test_python_goes_on_in_other_threads_while_a_kernel_runs() -> None:
    recipe = Recipe(steps=(Step(corruption=LocalShuffle(windows=1_000_000)),))
    x = np.zeros((32, 64, 64), np.float32)
    draw = recipe.draw(x.shape, 1)
    span: list[float] = []

    def shuffle() -> None:
        span.append(time.perf_counter())
        recipe.apply(x, draw)
        span.append(time.perf_counter())

    thread = threading.Thread(target=shuffle)
    seen = []
    thread.start()
    while thread.is_alive():
        seen.append(time.perf_counter())
    # The middle of the call lies inside one kernel: nothing could be seen there if it held the lock.
    start, end = span
    assert any(start + 0.4 * (end - start) < moment < start + 0.8 * (end - start) for moment in seen)


@pytest.mark.slow
def test_no_kernel_leaves_its_arrays_under_numba_s_bounds_checks(tmp_path: Path) -> None:
    checks = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    # The checks are on: they see what does overrun.
    assert run(OVERRUN, **checks).stdout.split() == ["caught", "caught"]
    done = run(EXERCISE, **checks)
    assert done.stdout.strip() == "done", done.stderr[-2000:]


@pytest.mark.slow
def test_a_change_in_an_inlined_function_is_not_hidden_by_the_cache(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "genesis_core", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import numpy as np; from genesis_core.corruptions.nonlinear import Curve, Point\n"
    code += "curve = Curve(first=Point(x=0.3, y=0.9), second=Point(x=0.6, y=0.95), decreasing=False)\n"
    code += "print(curve(np.array([0.5], np.float32))[0])"
    places = {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    before = run(code, **places)
    bezier = tmp_path / "genesis_core" / "corruptions" / "kernels" / "bezier.py"
    text = bezier.read_text()
    # A curve that stops at nine tenths.
    changed = text.replace("return t * (3.0 * first", "return 0.9 * t * (3.0 * first")
    assert changed != text
    bezier.write_text(changed)
    after = run(code, **places)
    assert before.returncode == after.returncode == 0, before.stderr + after.stderr
    assert before.stdout != after.stdout


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
    assert done.stderr.count("set NUMBA_CACHE_DIR") == 1
