"""The Fine-tune dock in its states, as pictures to look at, with real scans of the hippocampus (Decathlon, Task04)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dock_driving import picture, press
from finetune_driving import wait_for_plan
from training_runs import wait_for_state, wait_for_step

from napari_genesis.training.finetuning.finetune_dock import FinetuneDock
from napari_genesis.training.finetuning.finetune_draft import FinetuneDraft

pytestmark = [pytest.mark.gui, pytest.mark.slow]
_SHOWN = {
    "network.width": 8,
    "training.threads": 1,
    "training.validate_every": 10,
    "training.learning_rate": 3e-3,
    "training.ema": 0.9,
    "validation_samples": 8,
}


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_state_has_its_picture(
    viewer: Any, open_finetune: Callable[[], FinetuneDock], qtbot: Any, real_data: Path, tmp_path: Path, theme: str
) -> None:
    viewer.theme = theme
    folder = real_data / "labelled" / "hippocampus_mr"
    dock = open_finetune()
    picture(viewer, f"finetune_empty_{theme}")
    dock.setup.load(FinetuneDraft(labelled=folder, device="cpu"))
    wait_for_plan(qtbot, dock)
    qtbot.waitUntil(lambda: "Needs about" in dock.setup.estimate.text(), timeout=20_000)
    picture(viewer, f"finetune_before_{theme}")
    dock.setup.advanced.fold.click()
    qtbot.wait(100)
    picture(viewer, f"finetune_advanced_{theme}")
    dock.setup.advanced.fold.click()
    dock.setup.load(FinetuneDraft(labelled=folder, device="cpu", budget="steps", steps=80, changed=_SHOWN))
    wait_for_plan(qtbot, dock)
    press(qtbot, dock.controls.start_button)
    job = dock.job
    assert job is not None
    wait_for_step(qtbot, job, 5)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=60_000)
    picture(viewer, f"finetune_running_early_{theme}")
    qtbot.waitUntil(lambda: job.view.step >= 70, timeout=240_000)
    qtbot.wait(1500)
    picture(viewer, f"finetune_running_{theme}")
    qtbot.waitUntil(lambda: job.state == "finished", timeout=240_000)
    wait_for_state(qtbot, job, "finished")
    qtbot.wait(2500)
    picture(viewer, f"finetune_finished_{theme}")
    broken = tmp_path / "cohort"
    (broken / "images").mkdir(parents=True)
    dock.show_run(None)
    dock.setup.data.choose(broken)
    qtbot.waitUntil(lambda: dock.setup.data.check is not None and dock.setup.data.check.done, timeout=30_000)
    picture(viewer, f"finetune_refused_{theme}")
