"""Libraries opened ahead of their imports: they are there, the packages are not, and the imports work as ever."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CODE = """
import sys
from napari_genesis.opening_libraries import open_torch_libraries
opened = open_torch_libraries()
assert "torch" not in sys.modules
print(*[path.name for path in opened])
import torch
assert torch.ones(3).sum() == 3
assert open_torch_libraries() == []
"""


@pytest.mark.skipif(sys.platform != "linux", reason="names the libraries as Linux has them")
def test_torch_is_imported_from_libraries_that_were_opened_before() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["libc10.so", "libtorch_cpu.so"]


_READING = """
import sys
from napari_genesis.opening_libraries import open_reading_libraries
opened = open_reading_libraries()
assert "SimpleITK" not in sys.modules
print(*[path.name.partition(".")[0] for path in opened])
import llvmlite.binding, SimpleITK
assert SimpleITK.Image(2, 2, SimpleITK.sitkUInt8).GetSize() == (2, 2)
assert open_reading_libraries() == []
"""


@pytest.mark.skipif(sys.platform != "linux", reason="names the libraries as Linux has them")
def test_simpleitk_and_llvm_are_imported_from_libraries_that_were_opened_before() -> None:
    done = subprocess.run([sys.executable, "-c", _READING], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["_SimpleITK", "libllvmlite"]
