"""Versions of the software that made a model, for its card."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("napari-genesis", "torch", "numpy", "safetensors")


def software_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide what a network computes."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return versions
