"""The same sample outside the window: as a command line, and as Python that gives the very same voxels."""

from __future__ import annotations

import pprint
import shlex
from pathlib import Path

from genesis_core.volumes.intensity import default_intensity
from napari_genesis.studio.preview import Wanted
from napari_genesis.studio.recipe_draft import preset_of
from napari_genesis.studio.scan import Box, StudioScan

_NO_FILE = "SCAN.nii.gz"


def as_command(wanted: Wanted, scan: StudioScan, path: Path | None) -> str:
    """Return shell lines: the recipe as a file (unless it is a preset), its contact sheet of this place, the training.

    path: of the scan; None where the layer came from no file. A window of the user's own goes to the training; that
    `corrupt` takes none is said in a line.
    """
    lines: list[str] = []
    own, window = _own_window(scan), window_words(scan)
    recipe = preset_of(wanted.recipe)
    if recipe is None:
        recipe = f"{wanted.recipe.name}.yaml"
        lines.append(f"cat > {shlex.quote(recipe)} <<'END'\n{wanted.recipe.to_yaml()}END")
    size = ",".join(map(str, wanted.box.size))
    at = ",".join(str(min(max(c, 0), n - 1)) for c, n in zip(wanted.box.centre, scan.volume.shape, strict=True))
    shared = f"--recipe {shlex.quote(recipe)} --patch-size {size}"
    where = shlex.quote(str(path or _NO_FILE))
    lines.append(
        f"napari-genesis corrupt {where} {shared} --seed {wanted.seed} --modality {scan.modality} "
        f"--at {at} --contact-sheet sheet.png"
    )
    if own:
        lines.insert(-1, f"# The sheet is drawn in the usual window: corrupt takes no other ({own} in the Studio).")
        if not window:
            lines.append("# Trained in percentiles of each scan: a window holds for one MR alone.")
    lines.append(f"napari-genesis pretrain SCANS/ {shared}{window} --out runs/{shlex.quote(wanted.recipe.name)}")
    return "\n".join(lines) + "\n"


def window_words(scan: StudioScan) -> str:
    """Return the options that let `pretrain` learn in the user's own window of a CT; empty for the usual one."""
    if not _own_window(scan) or scan.modality != "ct":
        return ""
    intensity = {"kind": "window", "low": f"{scan.map.low:.9g}", "high": f"{scan.map.high:.9g}"}
    words = ["data.modality=ct", *(f"data.intensity.{key}={value}" for key, value in intensity.items())]
    return "".join(f" --set {word}" for word in words)


def _own_window(scan: StudioScan) -> str:
    """Return the window of the user's own, in words; empty for the usual mapping."""
    usual = scan.intensity == default_intensity(scan.modality)
    return "" if usual else f"{scan.map.low:g} to {scan.map.high:g}"


def as_python(wanted: Wanted, scan: StudioScan, path: Path | None) -> str:
    """Return Python whose `corrupted` holds the voxels that the Studio shows."""
    name = preset_of(wanted.recipe)
    steps = pprint.pformat(wanted.recipe.to_dict(), sort_dicts=False, width=100)
    recipe = f"gc.Recipe.{name}()" if name else f"gc.Recipe.from_dict(\n{_indented(steps)}\n)"
    intensity = scan.intensity.model_dump()
    return f"""import genesis_core as gc
from genesis_core.volumes.preprocessing import Preprocessing

scan = gc.read_volume({str(path or _NO_FILE)!r})
prepared = Preprocessing(modality={scan.modality!r}, intensity={intensity!r}).prepare(scan)
unit = prepared.map.to_unit(prepared.volume.array)  # (z, y, x), in [0, 1]
{_cut(wanted.box, scan)}
recipe = {recipe}
corrupted = recipe(sub_volume, seed={wanted.seed})
print(recipe.draw(sub_volume.shape, {wanted.seed}).describe())
"""


def _cut(box: Box, scan: StudioScan) -> str:
    ends = [first + n for first, n in zip(box.start, box.size, strict=True)]
    inside = ", ".join(
        f"{max(first, 0)}:{min(end, whole)}"
        for first, end, whole in zip(box.start, ends, scan.volume.shape, strict=True)
    )
    pads = [
        (max(-first, 0), max(end - whole, 0))
        for first, end, whole in zip(box.start, ends, scan.volume.shape, strict=True)
    ]
    if not any(map(any, pads)):
        return f"sub_volume = unit[{inside}]"
    padded = f"sub_volume = np.pad(unit[{inside}], {tuple(pads)})"
    return f"import numpy as np\n\n# The scan is smaller than the box: air lies around it.\n{padded}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
