"""What the user set under Preferences > Genesis, as the manifest (napari.yaml, `configurations`) declares it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

PLUGIN = "napari-genesis"


@dataclass(frozen=True)
class Preferences:
    """device: auto, cpu, cuda, mps. precision: of restorations in the window. live: update while sliders move.

    restore_while_dragging: restore on every move, not only at rest (for a GPU). workspace: folder of runs and models.
    """

    device: str = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    live: bool = True
    restore_while_dragging: bool = False
    workspace: Path = Path.home() / "napari-genesis"


def read_preferences() -> Preferences:
    """Return the preferences; the defaults where napari does not know the plugin (a bare widget)."""
    settings = _settings()
    if settings is None:
        return Preferences()
    folder = str(settings.files.workspace).strip()
    return Preferences(
        device=str(_value(settings.computing.device)),
        precision=cast(Literal["float32", "bfloat16"], str(_value(settings.computing.precision))),
        live=bool(settings.studio.live_updates),
        restore_while_dragging=str(_value(settings.studio.preview_quality)) == "full",
        workspace=Path(folder).expanduser() if folder else Preferences.workspace,
    )


def on_preferences(changed: Callable[[], None]) -> Callable[[], None]:
    """Call `changed` whenever a preference changes; return the function that ends it."""
    settings = _settings()
    groups = [] if settings is None else [settings.computing, settings.studio, settings.files]

    def call(event: Any = None) -> None:
        changed()

    for group in groups:
        group.events.connect(call)

    def end() -> None:
        for group in groups:
            group.events.disconnect(call)

    return end


def _settings() -> Any:
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:
        return None


def _value(choice: Any) -> Any:
    return getattr(choice, "value", choice)
