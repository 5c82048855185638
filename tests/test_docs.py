"""The reference pages say what the declarations say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_reference_pages_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("write_reference", DOCS / "write_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == module.settings_page(), "run: make docs"
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == module.command_page(), "run: make docs"
