"""Handing a trained model on: a folder of its own with all that is needed to apply it, or ONNX files.

What is written is read back and compared before it gets its name, so a folder that is there is a whole one. Nothing of
the run but its models is taken along: no checkpoints, no events, no names of cases.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from genesis_core.atomic import write_text
from genesis_core.errors import ModelError, OutputExistsError
from genesis_core.model.card import ModelCard, read_card
from genesis_core.model.ensemble import ENSEMBLE, ensemble_yaml, listed_models, load_ensemble
from genesis_core.model.folder import ATTEMPTS, CARD, WEIGHTS, find_model, load_model
from genesis_core.model.onnx_file import Parity, require_onnx, write_onnx
from genesis_core.model.weights import sha256

if TYPE_CHECKING:
    from genesis_core.model.folder import Model

README = "README.md"
# What is done with a model, by its task.
_COMMANDS = {
    "segmentation": "segment SCAN.nii.gz --model THIS_FOLDER --out RESULTS",
    "restoration": "restore SCAN.nii.gz --model THIS_FOLDER --out RESULTS",
    "pretraining": "finetune LABELLED --source THIS_FOLDER --out RUN",
}
Say = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Exported:
    """What was written. files: relative to folder. parity: of ONNX files, the comparisons with torch by file."""

    folder: Path
    files: tuple[str, ...]
    card: ModelCard
    models: int
    parity: dict[str, tuple[Parity, ...]]


def export_model(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    onnx: bool = False,
    say: Say = lambda _done, _total, _what: None,
) -> Exported:
    """Write the model of a run, or of a model folder, to a new folder; of a run in folds, all its models.

    out: must not exist. onnx: write ONNX files with their .json instead of what napari-genesis itself reads.
    say(done, total, what): told which of the models is being worked on, and what is done to it.
    Raises OutputExistsError if `out` exists, ModelError if the source holds no whole model, a copy differs from its
    source, ONNX cannot be written exactly, or the disk is full; nothing is left behind then.
    """
    source, out = Path(source), Path(out)
    if onnx:
        require_onnx()
    if out.exists():
        raise OutputExistsError(f"{out} exists already, and nothing is overwritten: choose another --out")
    listed = listed_models(source)
    folders = [source / PurePosixPath(name) for name in listed] or [find_model(source)]
    parity: dict[str, tuple[Parity, ...]] = {}
    with _new_folder(out) as folder:
        cards = []
        for number, place in enumerate(folders):
            say(number, len(folders), "reading the model")
            if onnx:
                model = load_model(place)
                name = f"{_file_name(model.card.name)}{f'_fold{number}' if listed else ''}.onnx"
                parity[name] = write_onnx(model, folder / name, partial(say, number, len(folders)))
                cards.append(model.card)
            else:
                cards.append(_copy(find_model(place), folder / PurePosixPath(listed[number]) if listed else folder))
        if listed and not onnx:
            write_text(folder / ENSEMBLE, ensemble_yaml(listed))
        write_text(folder / README, _readme(cards, onnx=onnx, parity=parity))
        if not onnx:
            say(len(folders) - 1, len(folders), "reading the copy back")
            _verify(folder, cards)
        files = tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))
    say(len(folders), len(folders), "done")
    return Exported(out, files, cards[0], len(cards), parity)


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """Yield a folder beside `out` that gets its name at the end, and is removed if anything goes wrong."""
    temporary = out.with_name(f".{uuid.uuid4().hex[:8]}.tmp.{out.name}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if out.exists():
            raise OutputExistsError(f"{out} exists already, and nothing is overwritten: choose another --out")
        os.replace(temporary, out)
    except OSError as problem:
        raise ModelError(f"{out}: the model cannot be written ({problem.strerror or problem})") from problem
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _copy(place: Path, folder: Path) -> ModelCard:
    """Copy card and weights as they are, byte for byte, and return the card."""
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(ATTEMPTS):
        card = read_card(place / CARD)
        text = (place / CARD).read_bytes()
        # While a model is replaced, the weights before it lie beside the new ones.
        for file in sorted(place.glob("weights*.safetensors")):
            data = file.read_bytes()
            if sha256(data) == card.weights_sha256 and text == (place / CARD).read_bytes():
                (folder / WEIGHTS).write_bytes(data)
                (folder / CARD).write_bytes(text)
                return card
    raise ModelError(
        f"{place}: {WEIGHTS} is not the file its card was written for (SHA-256 differs): damaged, or cut short"
    )


def _verify(folder: Path, cards: list[ModelCard]) -> None:
    """Read the copy as whoever gets it will; raise ModelError if anything differs from the source."""
    copies: tuple[Model, ...] = load_ensemble(folder)
    if [copy.card for copy in copies] != cards:
        raise ModelError(f"{folder}: the copy is not what was copied; is the disk in order?")


def _file_name(name: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).strip("._")
    return kept or "model"


def _readme(cards: list[ModelCard], *, onnx: bool, parity: dict[str, tuple[Parity, ...]]) -> str:
    card = cards[0]
    prepared = card.preprocessing.describe() if card.preprocessing else "not known."
    kind = f"A {card.network.dims}D network for {card.task} of medical images, exported by napari-genesis."
    lines = [
        f"# {card.name}",
        "",
        kind if len(cards) == 1 else f"{kind} {len(cards)} models of one training, whose answers are averaged.",
        "",
        f"- Licence: {card.licence or 'not stated'}",
        f"- Made from: {card.source or 'scratch'} (licence: {card.source_licence or 'not stated'})",
        f"- Preprocessing: {prepared}",
        f"- Patch: {' x '.join(map(str, card.patch_size))} voxels (z, y, x); activation: {card.activation}",
    ]
    if card.structures:
        lines.append(f"- Structures: {', '.join(f'{entry.value} {entry.name}' for entry in card.structures)}")
    lines += [f"- {name}: {value:g}" for name, value in card.metrics.items() if name.startswith("held_out")]
    lines += [f"- Note: {note}" for note in card.notes]
    lines.append("")
    if onnx:
        lines += ["An .onnx file returns logits; the .json beside it tells how to prepare input and read output.", ""]
        for name, found in parity.items():
            worst = max(one.max_abs_difference for one in found)
            lines.append(f"- {name}: at most {worst:.2g} from torch's logits on {len(found)} inputs")
    else:
        lines += [f"    napari-genesis {_COMMANDS[card.task]}", ""]
        lines += [f"- weights {number}: SHA-256 {one.weights_sha256}" for number, one in enumerate(cards)]
    return "\n".join(lines) + "\n"
