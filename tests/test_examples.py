"""The examples run as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def test_the_whole_path_from_python(tmp_path: Path) -> None:
    script = REPOSITORY / "examples" / "pretrain_and_restore.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "2"], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert "psnr" in done.stdout
    assert (tmp_path / "residual.nii.gz").exists()
