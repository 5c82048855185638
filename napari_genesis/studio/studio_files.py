"""What leaves the Studio: recipes as files, commands and Python on the clipboard, contact sheets, statistics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QApplication, QFileDialog

from genesis_core.corruptions.presets import PRESETS
from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import GenesisError
from napari_genesis.layers import like
from napari_genesis.studio.preview import Wanted
from napari_genesis.studio.scan import StudioScan
from napari_genesis.studio.scan_panel import SHEET_KEY

if TYPE_CHECKING:
    from genesis_core.inference.sheet_examples import Montage
    from napari_genesis.studio.studio import Studio

# Voxels between the scan and a contact sheet beside it.
_BESIDE = 8
_FILTER = "Recipe (*.yaml *.yml)"


class StudioFiles:
    """The actions of one Studio that end in a file, the clipboard or a window of their own."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def open_recipe(self) -> None:
        """Ask for a recipe file and load it; what is wrong with it is shown."""
        name, _ = QFileDialog.getOpenFileName(self._studio, "Open a recipe", "", _FILTER)
        if not name:
            return
        try:
            recipe = Recipe.read(Path(name))
        except GenesisError as problem:
            self._studio.parts.show_trouble(str(problem))
            return
        self._studio.session.load(recipe)

    def save_recipe(self) -> None:
        """Ask for a name and write the recipe; the dialogue asks before it replaces a file."""
        from napari_genesis.studio.sharing import window_words

        session = self._studio.session
        draft = session.draft
        suggested = f"my_{draft.name}.yaml" if draft.name in PRESETS else f"{draft.name}.yaml"
        name, _ = QFileDialog.getSaveFileName(self._studio, "Save the recipe", suggested, _FILTER)
        if not name:
            return
        path = Path(name) if Path(name).suffix in (".yaml", ".yml") else Path(f"{name}.yaml")
        if path != Path(name) and path.exists():
            # The dialogue asked about the name without the ending.
            self._studio.parts.show_trouble(f"{path} exists: save under another name, or choose this very file")
            return
        renamed = draft.renamed(path.stem)
        try:
            renamed.recipe().write(path)
        except OSError as problem:
            self._studio.parts.show_trouble(f"{path}: cannot be written ({problem.strerror or problem})")
            return
        session.edit(renamed, "name")
        window = "" if session.scan is None else window_words(session.scan)
        self._say(f"Saved: {path}\nnapari-genesis pretrain SCANS/ --recipe {path}{window}")

    def copy_command(self) -> None:
        """Put this sample as shell commands on the clipboard."""
        from napari_genesis.studio.sharing import as_command

        self._copy(as_command)

    def copy_python(self) -> None:
        """Put this sample as Python on the clipboard."""
        from napari_genesis.studio.sharing import as_python

        self._copy(as_python)

    def contact_sheet(self) -> None:
        """Open the contact sheet of this place; "Add as layer" puts its sub-volumes beside the scan."""
        from genesis_core.inference.contact_sheet import make_contact_sheet
        from genesis_core.volumes.preprocessing import Prepared
        from napari_genesis.studio.sheet_dialogue import SheetDialogue

        session = self._studio.session
        wanted, scan, layer = session.wanted(), session.scan, session.layer
        if wanted is None or scan is None:
            return
        model = self._studio.session.model
        prepared = Prepared(scan.volume, scan.map)
        z, y, x = (min(max(c, 0), n - 1) for c, n in zip(wanted.box.centre, scan.volume.shape, strict=True))

        def make(samples: int | None, should_stop: Callable[[], bool], progress: Callable[[int, int], None]) -> Any:
            return make_contact_sheet(
                prepared,
                wanted.recipe,
                seed=wanted.seed,
                patch_size=wanted.box.size,
                centre=(z, y, x),
                model=None if model is None else model.load(),
                samples=samples,
                should_stop=should_stop,
                progress=progress,
            )

        dialogue = SheetDialogue(make, parent=self._studio)
        dialogue.layer_wanted.connect(lambda montage: self._add_sheet(montage, wanted, scan, layer))
        dialogue.show()

    def _add_sheet(self, montage: Montage, wanted: Wanted, scan: StudioScan, layer: Any) -> None:
        """Show the sub-volumes side by side as a layer to the right of the scan, at its height and in its units."""
        start = (wanted.box.start[0], 0, scan.volume.shape[2] + _BESIDE)
        voxels = scan.map.from_unit(montage.array)
        name = f"contact sheet, {wanted.recipe.name}, seed {wanted.seed}"
        data, meta, kind = like(layer, voxels, name, start=start)
        names = {"names": montage.names, "positions": montage.positions}
        metadata = {**meta.get("metadata", {}), SHEET_KEY: names}
        self._studio.add_layer((data, {**meta, "metadata": metadata}, kind))
        self._say("The contact sheet lies to the right of the scan: zoom out, or press Home.")

    def _copy(self, write: Callable[[Wanted, StudioScan, Path | None], str]) -> None:
        session = self._studio.session
        wanted, scan = session.wanted(), session.scan
        clipboard = QApplication.clipboard()
        if wanted is None or scan is None or clipboard is None:
            return
        source = getattr(session.layer.source, "path", None)
        clipboard.setText(write(wanted, scan, Path(source) if source else None))
        self._say("Copied to the clipboard.")

    def _say(self, text: str) -> None:
        from napari.utils.notifications import show_info

        show_info(text)
