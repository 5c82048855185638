"""Which part may import which, and what must stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
CORE = REPOSITORY / "src_core" / "genesis_core"
PLUGIN = REPOSITORY / "napari_genesis"

# Low to high; parts of one level may not import each other, but for the pairs below.
LEVELS = [
    {"errors"},
    {"settings", "atomic", "parallel", "remembered", "randomness", "task", "durations"},
    {"volumes"},
    {"phantom"},
    {"pictures", "corruptions", "networks", "metrics"},
    {"model"},
    {"sampling"},
    {"proxy", "targets"},
    {"inference"},
    {"training"},
    {"studies"},
    {"cli"},
]
ALLOWED_PAIRS = {("settings", "atomic")}
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names}
# What the command line's --help and napari's start must never load.
HEAVY = ("torch", "numba", "SimpleITK", "monai", "scipy", "blosc2", "napari", "qtpy", "PyQt6", "PySide6")


def _part(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def _imports(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.append(node.module)
    return found


CORE_FILES = [path for path in sorted(CORE.rglob("*.py")) if path.parent != CORE or path.stem in LEVEL_OF]


@pytest.mark.parametrize("path", CORE_FILES, ids=lambda path: path.relative_to(CORE).as_posix())
def test_the_core_imports_only_downward(path: Path) -> None:
    own = _part(path)
    for module in _imports(path):
        assert not module.startswith(("napari", "qtpy", "magicgui")), f"{path} imports {module}"
        if not module.startswith("genesis_core."):
            continue
        other = module.split(".")[1]
        if other != own and (own, other) not in ALLOWED_PAIRS:
            assert LEVEL_OF[other] < LEVEL_OF[own], f"{path} ({own}) imports {module}"


def test_every_part_of_the_core_has_a_level() -> None:
    parts = {_part(path) for path in CORE.rglob("*.py")} - {"__init__", "__main__"}
    assert parts == set(LEVEL_OF)


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")) + sorted(PLUGIN.rglob("*.py")), ids=lambda path: path.name)
def test_a_file_holds_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def _loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sorted(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import genesis_core",
        "import napari_genesis",
        "import napari_genesis.readers, napari_genesis.writers, napari_genesis.layers, napari_genesis.sample_data",
        "import genesis_core.corruptions.recipe",
        "import genesis_core.training.pretrain_settings",
        "from genesis_core.cli.main import run; run(['--help'])",
    ],
)
def test_light_things_load_nothing_heavy(code: str) -> None:
    assert _loaded_after(code) == set()


def test_every_public_name_can_be_imported() -> None:
    import genesis_core

    for name in genesis_core.__all__:
        assert getattr(genesis_core, name) is not None


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["inspect", "--help"], ["pretrain", "--help"], ["restore", "--help"], ["doctor", "--help"]],
)
def test_commands_work_where_napari_and_qt_are_not_installed(arguments: list[str]) -> None:
    blocker = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('napari', 'qtpy', 'PyQt6', 'PySide6', 'magicgui', 'superqt'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        f"from genesis_core.cli.main import run\nsys.exit(run({arguments!r}))"
    )
    done = subprocess.run([sys.executable, "-c", blocker], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
