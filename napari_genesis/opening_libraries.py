"""torch's large libraries opened from a thread without holding Python's lock, so that importing it stalls no window.

`import torch` in a thread keeps the lock for 150 to 310 ms while the system maps and links 400 MB. Opened here first,
by a foreign call that gives the lock away, the import finds them there and keeps it for 40 ms (benchmarks/RESULTS.md).
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

# In the order of their needs. libtorch_python is left to the import: it may touch Python while it is opened.
_LIBRARIES = ("libc10.so", "libtorch_cpu.so", "libc10.dylib", "libtorch_cpu.dylib")


def open_torch_libraries() -> list[Path]:
    """Open what `import torch` would open at first; return the libraries that were opened.

    Opens nothing if torch is imported already or not installed, and on Windows, where the import does it as ever.
    """
    if "torch" in sys.modules or os.name != "posix":
        return []
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return []
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    folder = Path(spec.origin).parent / "lib"
    found = [path for name in _LIBRARIES if (path := folder / name).is_file()]
    # One that cannot be opened here is opened, or refused in words, by the import.
    return [path for path in found if dlopen(os.fsencode(path), os.RTLD_NOW | os.RTLD_LOCAL)]
