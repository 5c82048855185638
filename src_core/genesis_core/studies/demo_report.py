"""The demo's report: one HTML page without scripts or links, with pictures, curves, figures and what to do next."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.atomic import write_text
from genesis_core.durations import duration
from genesis_core.pictures.chart import Reference, Series, line_chart
from genesis_core.pictures.encoding import data_uri
from genesis_core.pictures.mosaic import Row, Tile, sheet
from genesis_core.pictures.slices import Pixels, grey, signed_difference
from genesis_core.studies.demo import DemoResult
from genesis_core.studies.demo_transfer_section import transfer_section
from genesis_core.studies.middle_slices import middle_slices
from genesis_core.studies.page import html_page
from genesis_core.training.events import last_of_each_step
from genesis_core.training.previews import read_preview

# Differences of restorations are shown in colour up to this share of the range [0, 1].
_LIMIT = 0.25


def write_report(result: DemoResult, contact_sheet: Path, path: Path) -> None:
    """Write the page to `path`; everything it shows is inside the file."""
    validations = last_of_each_step(result.run.events(), "validation")
    steps = last_of_each_step(result.run.events(), "step")
    parts = [
        _head(result, validations, steps),
        _curves(result, validations, steps),
        _triplets(result, held_out="loss" in validations[-1]),
        _scan(result),
        *([transfer_section(result.transfer)] if result.transfer is not None else []),
        _contact_sheet(contact_sheet),
        _figures_table(result, validations, steps),
        _next(result),
    ]
    write_text(path, html_page("napari-genesis: demo", "\n".join(parts)))


def _loss(event: dict[str, Any]) -> float:
    return float(event["loss"] if "loss" in event else event["train_loss"])


def _source(result: DemoResult) -> str:
    return "synthetic thorax CTs" if result.settings.data is None else "your scans"


def _head(result: DemoResult, validations: list[dict[str, Any]], steps: list[dict[str, Any]]) -> str:
    last = validations[-1]
    loss, mean, unchanged = _loss(last), last["return_mean"], last["return_input"]
    verdict = (
        f"It now restores {_times(unchanged / loss)} better than returning the corrupted input, and "
        f"{_times(mean / loss)} better than painting each sub-volume in its own mean."
        if loss < mean
        else "It is not yet better than painting each sub-volume in its own mean: it has not learnt to restore. "
        "Give it more time."
    )
    title = "A network that learnt to restore" if loss < mean else "A network that has not yet learnt to restore"
    held_out = "loss" in last
    tiles = [
        (f"{len(steps)}", "training steps"),
        (duration(result.seconds["pre-training"]), "for pre-training"),
        (f"{loss:.4f}", "restoration loss (MSE)" + ("" if held_out else ", on training scans")),
        (f"{mean:.4f}", "loss of returning the mean"),
        (f"{unchanged:.4f}", "loss of returning the input"),
        (f"{last['spread']:.2f}", "spread of predictions / targets"),
    ]
    figures = "".join(f"<li><b>{value}</b><span>{text}</span></li>" for value, text in tiles)
    warnings = "".join(f'<p class="note">{escape(text)}</p>' for text in result.warnings)
    return (
        f"<h1>{title}</h1>"
        f'<p class="lead">Pre-training without labels on {_source(result)}: sub-volumes are corrupted, and a 3D U-Net '
        f"learns to undo it. {verdict}</p><ul class='figures'>{figures}</ul>{warnings}"
    )


def _times(ratio: float) -> str:
    return f"{ratio:.0f} times" if ratio >= 3 else f"{ratio:.1f} times"


def _curves(result: DemoResult, validations: list[dict[str, Any]], steps: list[dict[str, Any]]) -> str:
    name = "held-out scans" if "loss" in validations[-1] else "check on training scans"
    chart = line_chart(
        [
            Series("training", [s["step"] for s in steps], [s["loss"] for s in steps], smooth=True),
            Series(name, [v["step"] for v in validations], [_loss(v) for v in validations], dots=True),
        ],
        x_label="step",
        y_label="mean squared error",
        references=[
            Reference("returning the input", validations[-1]["return_input"]),
            Reference("returning the mean", validations[-1]["return_mean"]),
        ],
        log_y=True,
    )
    return (
        f"<h2>Is it learning?</h2>{chart}<p>The two dashed lines are what a network reaches without learning "
        "anything: handing back the corrupted input, or painting each sub-volume in its own mean. Only below the "
        "lower line has it begun to restore.</p>"
    )


def _triplets(result: DemoResult, *, held_out: bool) -> str:
    first, last = read_preview(result.run, "first"), read_preview(result.run, "last")
    middle = last["original"].shape[1] // 2
    rows = []
    for sample in range(last["original"].shape[0]):
        original, corrupted, restored = (last[name][sample] for name in ("original", "corrupted", "restored"))
        before = first["restored"][sample]
        rows.append(
            Row(
                (
                    Tile(_grey(original[middle]), "original" if sample == 0 else ""),
                    Tile(_grey(corrupted[middle]), _title(sample, "corrupted"), _mse(corrupted, original)),
                    Tile(_grey(before[middle]), _title(sample, "untrained"), _mse(before, original)),
                    Tile(_grey(restored[middle]), _title(sample, "restored"), _mse(restored, original)),
                    Tile(
                        signed_difference(restored[middle] - original[middle], _LIMIT),
                        _title(sample, "restored - original"),
                        smooth=False,
                    ),
                )
            )
        )
    picture = sheet(
        rows, footer=_footer(result) + f" Difference: blue -{_LIMIT:g} to red +{_LIMIT:g} of the range.", tile_width=170
    )
    which = "the network never trained on" if held_out else "of the scans that were trained on (none is held out)"
    return (
        "<h2>Original, corrupted, restored</h2>"
        f'<img alt="sub-volumes: original, corrupted, untrained, restored, difference" src="{data_uri(picture)}">'
        f"<p>Sub-volumes {which}, their central slices. Only the second picture of each row was given to it.</p>"
    )


def _title(sample: int, text: str) -> str:
    return text if sample == 0 else ""


def _grey(plane: NDArray[np.float32]) -> Pixels:
    return grey(plane, 0, 1)


def _mse(array: NDArray[np.float32], original: NDArray[np.float32]) -> str:
    return f"MSE {float(np.mean((array - original) ** 2)):.4f}"


def _footer(result: DemoResult) -> str:
    return "Synthetic thorax CT, no person." if result.settings.data is None else "Your own scans."


def _scan(result: DemoResult) -> str:
    restoration, scan = result.restoration, result.shown
    low, high = restoration.window
    limit = _LIMIT * (high - low)
    original, restored, residual = (
        middle_slices(volume) for volume in (scan, restoration.restored, restoration.residual)
    )
    rows = [
        Row(
            (
                Tile(grey(original[name], low, high), f"scan, {name}"),
                Tile(grey(restored[name], low, high), "restored"),
                Tile(signed_difference(residual[name], limit), "residual: restored - scan", smooth=False),
            )
        )
        for name in original
    ]
    unit = "HU" if scan.modality == "ct" else "scan units"
    picture = sheet(
        rows, footer=f"{_footer(result)} Residual: blue -{limit:.0f} to red +{limit:.0f} {unit}.", tile_width=285
    )
    figures = restoration.metrics
    return (
        "<h2>The middle of a scan, restored window by window</h2>"
        f'<img alt="scan, restored scan and residual" src="{data_uri(picture)}">'
        f"<p>{escape(result.scan_name)}, {' x '.join(map(str, scan.shape))} voxels (z, y, x): MSE "
        f"{figures['mse']:.5f}, PSNR {figures['psnr']:.1f} dB, SSIM {figures['ssim']:.3f}. "
        f"<small>{escape(restoration.notes[-1])}</small></p>"
    )


def _contact_sheet(path: Path) -> str:
    import base64

    uri = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        "<h2>Every combination of corruptions, and what the network makes of it</h2>"
        f'<img alt="contact sheet of all combinations of corruptions" src="{uri}">'
    )


def _figures_table(result: DemoResult, validations: list[dict[str, Any]], steps: list[dict[str, Any]]) -> str:
    first, last = validations[0], validations[-1]
    rows = [(name, duration(spent)) for name, spent in result.seconds.items()]
    waited = sum(step["waited"] for step in steps)
    computed = sum(step["seconds"] for step in steps)
    rows += [
        ("time per step", f"{float(np.median([step['seconds'] for step in steps])):.2f} s"),
        ("waiting for data", f"{waited / (waited + computed):.1%} of the training steps' time"),
        ("loss before training", f"{_loss(first):.4f}"),
        ("loss at the end", f"{_loss(last):.4f}"),
        ("network", f"3D U-Net, width {result.settings.width}"),
        ("batch", f"{result.settings.batch_size} sub-volumes of 32 x 64 x 64 voxels"),
    ]
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<h2>Figures</h2><table>{cells}</table>"


def _next(result: DemoResult) -> str:
    run = f"{result.run.path.resolve().parent.name}/{result.run.name}"
    commands = f"""napari-genesis inspect YOUR_SCANS                     # what is readable, what is refused, and why
napari-genesis pretrain YOUR_SCANS --out runs/first --max-hours 8
napari-genesis runs show runs/first                   # losses beside the baselines
napari-genesis restore SCAN --model {run} --out restored
napari-genesis inspect YOUR_LABELLED_SCANS --labelled # what is drawn, what is wrong with it, and the fix
napari-genesis finetune YOUR_LABELLED_SCANS --source runs/first --out runs/organ --dry-run
napari-genesis corrupt SCAN --contact-sheet sheet.png --model {run}"""
    return (
        "<h2>What to do next</h2><p>A few minutes on a processor only show that the path works. A network worth "
        "fine-tuning wants hundreds of scans, width 32, and a GPU for a night. Start with your own folder:</p>"
        f"<pre>{escape(commands)}</pre>"
    )
