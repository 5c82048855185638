"""How long `import torch` in a thread keeps Python's lock from the window's thread, its libraries opened before or not.

python benchmarks/bench_importing.py
"""

from __future__ import annotations

import subprocess
import sys

ROUNDS = 5
_CODE = """
import sys, threading, time
import numpy
from napari_genesis.opening_libraries import open_torch_libraries

def load():
    if {opened}:
        open_torch_libraries()
    import torch

thread = threading.Thread(target=load)
thread.start()
last, worst = time.perf_counter(), 0.0
while thread.is_alive():
    time.sleep(0.001)
    now = time.perf_counter()
    last, worst = now, max(worst, now - last)
print(1e3 * worst)
"""


def main() -> None:
    print(f"longest wait for Python's lock while torch is imported, {ROUNDS} new processes each: least and largest, ms")
    for opened, how in ((False, "imported plainly"), (True, "libraries opened before")):
        found = [
            float(subprocess.check_output([sys.executable, "-c", _CODE.format(opened=opened)])) for _ in range(ROUNDS)
        ]
        print(f"{how:28}{min(found):8.0f}{max(found):8.0f}")


if __name__ == "__main__":
    main()
