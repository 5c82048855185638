"""`napari-genesis corrupt`: write a corrupted scan, draw the contact sheet of a recipe, or both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import click
from pydantic import BeforeValidator, Field

from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.corruptions.presets import PRESETS
from genesis_core.errors import OutputExistsError, SettingsError
from genesis_core.settings import Settings, Size3, setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genesis_core.corruptions.recipe import Recipe
    from genesis_core.model.folder import Model
    from genesis_core.volumes.preprocessing import Prepared, Preprocessing
    from genesis_core.volumes.volume import Volume


# What every network of ours can halve.
_HALVED = 32


def _three_places(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Place = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=3, max_length=3), BeforeValidator(_three_places)
]


class CorruptSettings(Settings):
    """What `napari-genesis corrupt` is told."""

    scan: Path = setting(..., "The scan: a file, or a DICOM folder.")
    recipe: str = setting("genesis", f"The recipe: a file, or a preset ({', '.join(PRESETS)}).")
    seed: int = setting(0, "Seed of the corruptions; the same seed gives the same voxels.")
    out: Path | None = setting(
        None, "Where to write the corrupted scan (.nii.gz, .nrrd, .mha), on the scan's own grid."
    )
    contact_sheet: Path | None = setting(
        None, "Where to draw the combinations of the recipe's steps, or --samples of them (.png)."
    )
    samples: int | None = setting(
        None,
        "Draw this many random samples on the contact sheet, number k from seed + k; empty: every combination.",
        ge=1,
        le=200,
    )
    patch_size: Size3 | None = setting(
        None, "Size of the sub-volumes, z, y, x; empty: the model's, else 32,64,64.", unit="voxels"
    )
    whole: bool = setting(False, "Corrupt the scan as one sub-volume, not in boxes of the patch size as training does.")
    at: Place | None = setting(
        None,
        "Centre of the contact sheet's sub-volume, z, y, x in voxels of the LPS scan; empty: a place with much to see.",
    )
    modality: Literal["auto", "ct", "mr"] = setting("auto", "What the scan is; auto: guessed, and said.")
    model: Path | None = setting(None, "A run or a model folder: the contact sheet also shows what it restores.")
    source: str = setting("", "Where the scan is from, for the sheet's last line: a citation, or 'synthetic'.")
    overwrite: bool = setting(False, "Replace files that are already there.")


def run(settings: CorruptSettings, output: Output) -> None:
    """Corrupt one scan as asked, and say in words what was drawn."""
    _check_outputs(settings)
    from genesis_core.corruptions.recipe import Recipe
    from genesis_core.volumes.reading import read_volume

    recipe = Recipe.read(settings.recipe)
    model = _load_model(settings)
    scan = read_volume(settings.scan)
    for note in scan.notes:
        output.say(note)
    preprocessing = _preprocessing(settings, model, scan, output)
    prepared = preprocessing.prepare(replace(scan, modality=preprocessing.modality))
    size = _patch_size(settings, model, prepared, output)
    if settings.contact_sheet:
        _draw_sheet(settings.contact_sheet, settings, prepared, recipe, size, model, output)
    if settings.out:
        _write_corrupted(settings.out, settings, scan, preprocessing, recipe, size, output)


def _check_outputs(settings: CorruptSettings) -> None:
    if settings.out is None and settings.contact_sheet is None:
        raise click.UsageError("nothing to do: give --out FILE, --contact-sheet FILE.png, or both")
    for option, value in (("--at", settings.at), ("--samples", settings.samples)):
        if value is not None and settings.contact_sheet is None:
            raise click.UsageError(f"{option} belongs to --contact-sheet, which was not given")
    if settings.contact_sheet is not None and settings.contact_sheet.suffix.lower() != ".png":
        raise click.UsageError(f"--contact-sheet {settings.contact_sheet}: the sheet is written as .png")
    for path in (settings.out, settings.contact_sheet):
        if path is None:
            continue
        # --overwrite is meant for an earlier result; of a DICOM folder every file may be a slice.
        if path.exists() and settings.scan.exists() and path.samefile(settings.scan):
            raise click.UsageError(f"{path}: is the scan itself; choose another name for the result")
        if path == settings.out and settings.scan.is_dir() and path.resolve().is_relative_to(settings.scan.resolve()):
            raise click.UsageError(f"--out {path}: lies in the scan's folder; choose another one for the result")
        if path.exists() and not settings.overwrite:
            raise OutputExistsError(f"{path} exists: choose another name, or give --overwrite")
        if not path.resolve().parent.is_dir():
            raise SettingsError(f"{path}: its folder does not exist; make it first")


def _load_model(settings: CorruptSettings) -> Model | None:
    if settings.model is None:
        return None
    from genesis_core.model.folder import load_model

    return load_model(settings.model)


def _preprocessing(settings: CorruptSettings, model: Model | None, scan: Volume, output: Output) -> Preprocessing:
    from genesis_core.volumes.modality import guess_modality
    from genesis_core.volumes.preprocessing import Preprocessing

    if model is not None and model.card.preprocessing is not None:
        output.say(f"Prepared as the model asks: {model.card.preprocessing.describe()}")
        return model.card.preprocessing
    modality = settings.modality
    if modality == "auto":
        guess = guess_modality(scan)
        modality = guess.modality
        output.say(f"Taken for {modality.upper()} (certainty {guess.certainty:.0%}): {guess.reason}")
    preprocessing: Preprocessing = Preprocessing.model_validate({"modality": modality})
    output.say(f"Prepared: {preprocessing.describe()}")
    return preprocessing


def _patch_size(
    settings: CorruptSettings, model: Model | None, prepared: Prepared, output: Output
) -> tuple[int, int, int]:
    """Return the size of the sub-volumes; one far beyond the scan is air, and cut down to the scan."""
    usual = model.card.patch_size if model else (32, 64, 64)
    asked = settings.patch_size or usual
    # Rounded up, so that a network can still halve it.
    room = [max(u, -(-whole // _HALVED) * _HALVED) for u, whole in zip(usual, prepared.volume.shape, strict=True)]
    z, y, x = (min(size, most) for size, most in zip(asked, room, strict=True))
    if (z, y, x) != tuple(asked):
        output.say(
            f"--patch-size {','.join(map(str, asked))} is larger than the scan, {prepared.volume.shape} voxels "
            f"(z, y, x): taken as {z},{y},{x}."
        )
    return z, y, x


def _draw_sheet(
    path: Path,
    settings: CorruptSettings,
    prepared: Prepared,
    recipe: Recipe,
    size: tuple[int, int, int],
    model: Model | None,
    output: Output,
) -> None:
    from genesis_core.inference.contact_sheet import make_contact_sheet
    from genesis_core.pictures.encoding import write_png

    centre = (settings.at[0], settings.at[1], settings.at[2]) if settings.at is not None else None
    made = make_contact_sheet(
        prepared,
        recipe,
        seed=settings.seed,
        patch_size=size,
        centre=centre,
        model=model,
        source=settings.source,
        samples=settings.samples,
    )
    write_png(made.image, path)
    place = f"Sub-volume of {size} voxels (z, y, x) from {made.start} on."
    record: dict[str, Any] = {"contact_sheet": str(path), "start": list(made.start)}
    drawn = [{"steps": list(one.kinds), "drawn": _one_line(one.words)} for one in made.examples]
    if settings.samples is None:
        fullest = max(made.examples, key=lambda example: (len(example.kinds), example.probability or 0.0))
        output.say(f"{place} Drawn with seed {settings.seed}: {_one_line(fullest.words)}")
        output.say(f"{len(made.examples)} combinations: {path}")
        record["combinations"] = drawn
    else:
        output.say(f"{place} Drawn with seed {settings.seed}: {_one_line(made.examples[0].words)}")
        output.say(f"{len(made.examples)} samples, each with a seed of its own from {settings.seed} on: {path}")
        record["samples"] = [{"seed": one.seed, **two} for one, two in zip(made.examples, drawn, strict=True)]
    output.record(record)


def _write_corrupted(
    path: Path,
    settings: CorruptSettings,
    scan: Volume,
    preprocessing: Preprocessing,
    recipe: Recipe,
    size: tuple[int, int, int],
    output: Output,
) -> None:
    import numpy as np

    from genesis_core.volumes.resampling import reorient
    from genesis_core.volumes.writing import write_volume

    # The scan keeps its own grid: it is turned into the model's axes for the corruption, but not resampled.
    turned = preprocessing.model_copy(update={"spacing": None}).prepare(scan)
    if preprocessing.spacing is not None:
        output.warn("the model's spacing is not applied to --out: the scan is corrupted on its own grid")
    unit = turned.map.to_unit(turned.volume.array)
    corrupted, words = _corrupt(unit, recipe, settings.seed, unit.shape if settings.whole else size, output)
    outside = int(np.count_nonzero((turned.volume.array < turned.map.low) | (turned.volume.array > turned.map.high)))
    values = _stored(turned.map.from_unit(corrupted), scan.array.dtype)
    result = reorient(turned.volume.with_array(values), scan.axis_codes)
    write_volume(result, path, overwrite=settings.overwrite)
    for line in words:
        output.say(line)
    if outside:
        output.say(
            f"{outside} voxels ({outside / unit.size:.1%}) lay outside the window {turned.map.low:g} to "
            f"{turned.map.high:g} and were clipped to it."
        )
    output.say(f"Corrupted scan: {path}")
    output.record({"out": str(path), "clipped": outside, "drawn": words})


def _corrupt(
    unit: NDArray[np.float32], recipe: Recipe, seed: int, size: tuple[int, ...], output: Output
) -> tuple[NDArray[np.float32], list[str]]:
    """Return the scan with every box of `size` corrupted by a draw of its own, and in words what was drawn."""
    from genesis_core.corruptions.tiling import corrupt_tiles, tile_seed, tile_starts

    box = (size[0], size[1], size[2])
    count = len(tile_starts((unit.shape[0], unit.shape[1], unit.shape[2]), box))
    with output.progress(range(count), "corrupting") as bar:

        def advance(done: int, total: int) -> None:
            next(bar, None)

        result = corrupt_tiles(unit, recipe, seed, box, progress=advance)
    extent = " x ".join(map(str, box))
    first = recipe.draw(box, tile_seed(seed, 0)).describe()
    words = [f"Box 1 of {count}, {extent} voxels (z, y, x): {_one_line(first)}"]
    if count > 1:
        words.append(f"Every one of the {count} boxes has a draw of its own; this is the first.")
    return result, words


def _one_line(words: str) -> str:
    return "; ".join(words.splitlines())


def _stored(values: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return scan units in the scan's own number type where that holds them, else as float32."""
    import numpy as np

    if not np.issubdtype(dtype, np.integer):
        return values
    limits = np.iinfo(dtype)
    if values.min() < limits.min or values.max() > limits.max:
        return values
    return np.rint(values).astype(dtype)


command = settings_command(
    "corrupt",
    CorruptSettings,
    run,
    text="Corrupt a scan with a recipe, or draw the recipe's contact sheet.",
    example="napari-genesis corrupt chest.nii.gz --recipe genesis --contact-sheet sheet.png",
    arguments={"SCAN": "scan"},
    options={
        "--recipe": "recipe",
        "--seed": "seed",
        "--out": "out",
        "--contact-sheet": "contact_sheet",
        "--samples": "samples",
        "--patch-size": "patch_size",
        "--whole": "whole",
        "--at": "at",
        "--modality": "modality",
        "--model": "model",
        "--source": "source",
        "--overwrite": "overwrite",
    },
)
