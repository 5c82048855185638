"""Large libraries opened from a thread without holding Python's lock, so that importing them stalls no window.

`import torch` in a thread keeps the lock for 150 to 310 ms while the system maps and links 400 MB. Opened here first,
by a foreign call that gives the lock away, the import finds them there and keeps it for 40 ms (benchmarks/RESULTS.md).
SimpleITK (270 MB) and numba's LLVM (180 MB), which napari's Labels need, keep it for 100 ms at a time, and for 25 to
50 ms after this.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path

# Package -> its folder of libraries and their names, in the order of their needs. libtorch_python is left to the
# import: it may touch Python while it is opened.
_TORCH = {"torch": ("lib", ("libc10.so", "libtorch_cpu.so", "libc10.dylib", "libtorch_cpu.dylib"))}
_READING = {"SimpleITK": ("", ("_SimpleITK*.so",)), "llvmlite": ("binding", ("libllvmlite.so", "libllvmlite.dylib"))}


def open_torch_libraries() -> list[Path]:
    """Open what `import torch` would open at first; return the libraries that were opened.

    Opens nothing if torch is imported already or not installed, and on Windows, where the import does it as ever.
    """
    return _open(_TORCH)


def open_reading_libraries() -> list[Path]:
    """Open what reading scans and showing labels would open at first, SimpleITK and LLVM, as for torch."""
    return _open(_READING)


def _open(wanted: Mapping[str, tuple[str, tuple[str, ...]]]) -> list[Path]:
    opened: list[Path] = []
    for package, (folder, names) in wanted.items():
        if package in sys.modules or os.name != "posix":
            continue
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
        found = [path for name in names for path in sorted((Path(spec.origin).parent / folder).glob(name))]
        # One that cannot be opened here is opened, or refused in words, by the import.
        opened += [path for path in found if dlopen(os.fsencode(path), os.RTLD_NOW | os.RTLD_LOCAL)]
    return opened
