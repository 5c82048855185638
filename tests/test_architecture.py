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
# What only the window may need.
GUI = {"napari", "napari_genesis", "qtpy", "magicgui", "superqt", "pyqtgraph", "vispy", "npe2"}
GUI |= {"PyQt5", "PyQt6", "PySide2", "PySide6"}
# What the command line's --help and napari's start must never load.
HEAVY = ("torch", "numba", "SimpleITK", "monai", "scipy", "blosc2", "napari", "qtpy", "PyQt6", "PySide6")


def _part(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def _imports(tree: ast.AST) -> list[str]:
    """Return what is imported, by full name; what is imported from a package counts as lying in it."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names]
    return found


def _forbidden(own: str, module: str) -> str | None:
    """Return why the part `own` of the core may not import a module; None if it may."""
    top, _, rest = module.partition(".")
    if top == "":
        return "relative"
    if top in GUI:
        return "of the window"
    if top != CORE.name:
        return None
    other = rest.split(".")[0]
    if other not in LEVEL_OF:
        return "not a part of the core: a public name is to be had where it lives"
    if other == own or (own, other) in ALLOWED_PAIRS or LEVEL_OF[other] < LEVEL_OF[own]:
        return None
    return "not below it"


def test_the_core_imports_only_downward() -> None:
    wrong = [
        f"{path.relative_to(CORE)} imports {module}, which is {why}"
        for path in sorted(CORE.rglob("*.py"))
        if path.parent != CORE or path.stem in LEVEL_OF
        for module in _imports(ast.parse(path.read_text(encoding="utf-8")))
        if (why := _forbidden(_part(path), module))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("own", "line", "allowed"),
    [
        ("training", "from genesis_core.sampling.cache import sweep", True),
        ("training", "from genesis_core import sampling", True),
        ("training", "import genesis_core.training.loop", True),
        ("sampling", "from genesis_core.training.loop import Training", False),
        ("sampling", "from genesis_core import training", False),
        ("sampling", "from genesis_core import pretrain", False),
        ("sampling", "import genesis_core", False),
        ("sampling", "from ..training import loop", False),
        ("cli", "from PyQt6.QtCore import QObject", False),
        ("cli", "from napari_genesis import studio", False),
        ("cli", "import superqt", False),
    ],
)
def test_an_import_that_points_upward_is_seen(own: str, line: str, allowed: bool) -> None:
    assert [_forbidden(own, module) is None for module in _imports(ast.parse(line))] == [allowed]


# Under which of its attributes a node of a syntax tree has a name.
_NAMES = ("id", "attr", "name")


def _spawns(tree: ast.AST) -> bool:
    """Whether Python's own processes are used, each of which would open another napari window."""
    modules = [module for module in _imports(tree) if "multiprocessing" in module.split(".")]
    pools = [node for node in ast.walk(tree) if "ProcessPoolExecutor" in (getattr(node, key, "") for key in _NAMES)]
    return bool(modules or pools)


def test_the_plugin_never_uses_multiprocessing() -> None:
    assert not [path.name for path in PLUGIN.rglob("*.py") if _spawns(ast.parse(path.read_text(encoding="utf-8")))]
    for line in ("import torch.multiprocessing as mp", "from concurrent.futures import ProcessPoolExecutor"):
        assert _spawns(ast.parse(line)), line


def test_every_part_of_the_core_has_a_level() -> None:
    parts = {_part(path) for path in CORE.rglob("*.py")} - {"__init__", "__main__"}
    assert parts == set(LEVEL_OF)


def test_a_file_holds_one_idea() -> None:
    lengths = {
        path: path.read_text(encoding="utf-8").count("\n") for path in [*CORE.rglob("*.py"), *PLUGIN.rglob("*.py")]
    }
    assert not [f"{path.name}: {lines} lines" for path, lines in lengths.items() if lines > 400]


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
