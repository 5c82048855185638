"""Settings given as keywords of a function, laid over those given as a nested mapping."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any


def with_shortcuts(settings: Mapping[str, Any], shortcuts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `settings` with each shortcut (dotted key) that is not None put in its place; shortcuts win."""
    values = copy.deepcopy(dict(settings))
    for key, value in shortcuts.items():
        if value is not None:
            group, _, name = key.rpartition(".")
            target = values.setdefault(group, {}) if group else values
            target[name] = value
    return values
