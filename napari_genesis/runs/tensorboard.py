"""TensorBoard beside the window: a process for each set of runs that is shown; it ends with the application. No Qt.

It listens on this machine alone. The port is looked for here, since TensorBoard does not tell which one it took.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from genesis_core.errors import RunError
from napari_genesis.jobs.asking import no_console
from napari_genesis.jobs.last_words import last_lines
from napari_genesis.jobs.launching import kill_tree

HOST = "127.0.0.1"


class TensorBoard:
    """One TensorBoard. paths: the runs it shows."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        """Start it. Raises RunError if it is not installed, with what to do, or cannot be started."""
        if importlib.util.find_spec("tensorboard") is None:
            raise RunError("TensorBoard is not installed here: python -m pip install tensorboard")
        self.paths = paths
        self.port = _free_port()
        self._log: IO[bytes] = tempfile.NamedTemporaryFile(prefix="tensorboard-", suffix=".log", delete=False)  # noqa: SIM115 - lives as long as the process
        words = [sys.executable, "-m", "tensorboard.main", "--host", HOST, "--port", str(self.port)]
        words += _where(paths)
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                env={**os.environ, "PYTHONUTF8": "1"},
                **no_console(),
            )
        except OSError as problem:
            self._forget_log()
            raise RunError(f"TensorBoard cannot be started ({problem.strerror or problem})") from None
        atexit.register(self.close)

    @property
    def address(self) -> str:
        """What a browser is told."""
        return f"http://{HOST}:{self.port}/"

    @property
    def ended(self) -> str:
        """Why it has ended, in words; empty while it runs."""
        code = self._process.poll()
        if code is None:
            return ""
        said = last_lines(Path(self._log.name))
        return said[-1] if said else f"TensorBoard ended with exit code {code}"

    def answers(self) -> bool:
        """Whether it can be looked at by now."""
        with socket.socket() as one:
            one.settimeout(0.05)
            return one.connect_ex((HOST, self.port)) == 0

    def close(self) -> None:
        """End it."""
        atexit.unregister(self.close)
        if self._process.poll() is None:
            kill_tree(self._process.pid)
        self._process.wait()
        self._forget_log()

    def _forget_log(self) -> None:
        self._log.close()
        Path(self._log.name).unlink(missing_ok=True)


def has_records(run: Path) -> bool:
    """Whether TensorBoard has anything to show of a run: it was installed where the run was trained."""
    places = [run / "tensorboard", *(run / "folds").glob("*/tensorboard")]
    return any(any(place.iterdir()) for place in places if place.is_dir())


def _where(paths: tuple[Path, ...]) -> list[str]:
    """Return how TensorBoard is told what to show: one folder, or several by their names."""
    if len(paths) == 1:
        return ["--logdir", str(paths[0])]
    if any(sign in str(path) for path in paths for sign in ",:"):
        # Its own signs, also in "C:": everything there is is shown then, and chosen in the browser.
        return ["--logdir", os.path.commonpath(paths)]
    return ["--logdir_spec", ",".join(f"{path.name}:{path}" for path in paths)]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port
