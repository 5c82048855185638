"""`napari-genesis runs export`: the model of a run as a folder to hand on, or as ONNX files that were compared."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from genesis_core.cli.interrupting import stopped_by_signals
from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.settings import Settings, setting


class ExportSettings(Settings):
    """What to export, and where to."""

    run: Path = setting(..., "A run, or a model folder.")
    out: Path = setting(..., "Folder to write; must not exist.")
    onnx: bool = setting(False, "Write ONNX files, each compared with torch, instead of what napari-genesis reads.")


def run(settings: ExportSettings, output: Output) -> None:
    """Export, say what is being done, and at the end what was written and how exact it is."""
    from genesis_core.model.export import export_model

    def say(done: int, total: int, what: str) -> None:
        output.record({"event": "progress", "done": done, "total": total, "what": what})

    with stopped_by_signals():
        made = export_model(settings.run, settings.out, onnx=settings.onnx, say=say)
    told = {name: [asdict(one) for one in found] for name, found in made.parity.items()}
    output.record({"event": "exported", "folder": str(made.folder), "files": list(made.files), "parity": told})
    if made.parity:
        rows = [
            (
                name,
                one.input,
                " x ".join(map(str, one.shape)),
                f"{one.max_abs_difference:.2g}",
                f"{one.largest_logit:.3g}",
            )
            for name, found in made.parity.items()
            for one in found
        ]
        output.table(("file", "compared on", "shape", "largest difference", "largest logit"), rows)
    models = "model" if made.models == 1 else f"{made.models} models"
    output.say(f"{models} of '{made.card.name}' written to {made.folder}")
    output.say(f"licence: {made.card.licence or 'not stated'}")


command = settings_command(
    "export",
    ExportSettings,
    run,
    text="Write the model of a run to a folder to hand on, or as ONNX.",
    example="napari-genesis runs export runs/liver --out liver_onnx --onnx",
    arguments={"RUN": "run"},
    options={"--out": "out", "--onnx": "onnx"},
)
