"""Write docs/settings.md and docs/cli.md from the declarations themselves, so that they cannot drift apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from genesis_core.cli.main import COMMANDS, group
from genesis_core.cli.settings_command import describe
from genesis_core.corruptions.registry import CORRUPTIONS
from genesis_core.networks.registry import BACKBONES
from genesis_core.settings import Settings
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.pretrain_settings import PretrainSettings

FOLDER = Path(__file__).resolve().parent
NOTE = "<!-- Written by docs/write_reference.py from the declarations; change those. -->\n\n"


def settings_rows(model: type[Settings], prefix: str = "") -> list[str]:
    """Return one table row per setting, groups flattened into dotted keys."""
    rows = []
    for name, field in model.model_fields.items():
        default: Any = field.get_default(call_default_factory=True)
        if isinstance(default, Settings) and name != "recipe":
            rows += settings_rows(type(default), f"{prefix}{name}.")
        else:
            rows.append(f"| `{prefix}{field.alias or name}` | {describe(field).replace('|', '/')} |")
    return rows


def settings_page() -> str:
    """Return the page of all settings of a pre-training, a fine-tuning, every corruption and every backbone."""
    text = [
        NOTE,
        "# Every setting\n\nAny of them can be given to a command as `--set key=value`, or stand in the YAML file of "
        "`--config`; a run's `run.yaml` holds them all.\n",
    ]
    for title, model in (("A pre-training", PretrainSettings), ("A fine-tuning", FinetuneSettings)):
        text.append(f"\n## {title}\n\n| key | meaning |\n|---|---|\n")
        text += [row + "\n" for row in settings_rows(model)]
    text.append("\n## Corruptions of a recipe\n")
    for kind, corruption in CORRUPTIONS.items():
        text.append(f"\n### {kind}\n\n{(corruption.__doc__ or '').strip()}\n\n| key | meaning |\n|---|---|\n")
        text += [row + "\n" for row in settings_rows(corruption)]
    text.append("\n## Backbones\n\nChosen by `network.kind`; each has settings of its own.\n")
    for kind, backbone in BACKBONES.items():
        text.append(f"\n### {kind}\n\n{(backbone.settings.__doc__ or '').strip()}\n\n| key | meaning |\n|---|---|\n")
        text += [row + "\n" for row in settings_rows(backbone.settings, "network.")]
    return "".join(text)


def command_page() -> str:
    """Return the help of every command."""
    text = [NOTE, "# Every command\n"]
    context = click.Context(group, info_name="napari-genesis", help_option_names=["-h", "--help"])
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        commands = {name: command}
        if isinstance(command, click.Group):
            commands = {f"{name} {sub}": command.commands[sub] for sub in command.commands}
        for title, shown in commands.items():
            inner = click.Context(shown, parent=context, info_name=title, terminal_width=100)
            text.append(f"\n## {title}\n\n```text\n{shown.get_help(inner)}\n```\n")
    return "".join(text)


def main() -> None:
    """Write both pages."""
    (FOLDER / "settings.md").write_text(settings_page(), encoding="utf-8")
    (FOLDER / "cli.md").write_text(command_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
