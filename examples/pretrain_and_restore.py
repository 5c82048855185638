"""The whole path from Python: make two synthetic scans, pre-train for a few steps, restore a third one.

    python examples/pretrain_and_restore.py OUTPUT_FOLDER [STEPS]

With your own scans, leave out `write_phantoms` and name their folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import genesis_core as gc
from genesis_core.phantom.thorax import write_phantoms


def main(out: Path, steps: int) -> None:
    """Write scans, a run and a restored scan into `out`."""
    write_phantoms(out / "scans", count=3, shape=(64, 80, 80))

    # What the network will see: the recipe on one sub-volume, in [0, 1].
    scan = gc.read_volume(out / "scans" / "thorax_000.nii.gz")
    sub_volume = scan.normalised("ct").array[:32, :64, :64]
    recipe = gc.Recipe.genesis()
    draw = recipe.draw(sub_volume.shape, seed=7)
    corrupted = recipe.apply(sub_volume, draw)
    print(f"seed 7 drew: {draw.describe()}")
    print(f"mean squared error of the corrupted copy: {((corrupted - sub_volume) ** 2).mean():.4f}")

    run = gc.pretrain(out / "scans", out=out / "run", recipe=recipe, max_steps=steps, width=4, batch_size=2)

    model = gc.load_model(run.path)
    restoration = gc.restore(model, scan)
    gc.write_volume(restoration.restored, out / "restored.nii.gz")
    gc.write_volume(restoration.residual, out / "residual.nii.gz")
    print({name: round(value, 4) for name, value in restoration.metrics.items()})


if __name__ == "__main__":
    if (Path(sys.argv[1]) / "scans").exists():
        sys.exit(f"{sys.argv[1]}: holds the output of an earlier call; give another folder")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50)
