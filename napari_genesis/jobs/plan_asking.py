"""What a fine-tuning would decide, asked of `finetune --dry-run` in a process of its own, after a rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qtpy.QtCore import QObject, QTimer, Signal

from genesis_core.errors import GenesisError
from genesis_core.settings import validate
from genesis_core.training.finetune_settings import FinetuneSettings
from napari_genesis.jobs.json_lines import Answer, JsonLines

# Settings that are still being changed are not worth planning for, in milliseconds.
_REST = 500


@dataclass(frozen=True)
class FoundPlan:
    """What would be done. words: the command that was asked about. settings: with everything decided.

    reasons: one sentence each, by the dotted key of the setting. problem: why there is no plan; settings is then None.
    """

    words: tuple[str, ...]
    settings: FinetuneSettings | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    problem: str = ""


class PlanAsking(QObject):
    """found(plan): what was asked for last is known."""

    found = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lines = JsonLines("genesis-plan", self)
        self._lines.answered.connect(self._take)
        self._words: tuple[str, ...] = ()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST)
        self._timer.timeout.connect(self._start)

    @property
    def busy(self) -> bool:
        """Whether an answer is to come."""
        return self._timer.isActive() or self._lines.busy

    def ask(self, words: Sequence[str]) -> None:
        """Ask about a command, as the words behind `napari-genesis`, soon; what was asked before is forgotten."""
        self._lines.stop()
        self._words = tuple(words)
        self._timer.start()

    def stop(self) -> None:
        """Ask no more; nothing comes of what was asked."""
        self._timer.stop()
        self._lines.stop()

    def _start(self) -> None:
        self._lines.start([*self._words, "--dry-run", "--json"])

    def _take(self, answer: Answer) -> None:
        if answer.done:
            self.found.emit(_plan(self._words, answer))


def _plan(words: tuple[str, ...], answer: Answer) -> FoundPlan:
    record = next((one for one in answer.records if "settings" in one), None)
    if record is None:
        return FoundPlan(words, warnings=answer.warnings, problem=answer.problem or "the plan could not be made")
    try:
        settings = validate(FinetuneSettings, record["settings"], where="the plan")
    except GenesisError as problem:
        return FoundPlan(words, warnings=answer.warnings, problem=str(problem))
    reasons = {str(key): str(reason) for key, reason in (record.get("reasons") or {}).items()}
    return FoundPlan(words, settings, reasons, answer.warnings)
