"""What the person should know of the model a fine-tuning starts from, before its figures are believed.

Read from the source's card and from the check of the labelled folder alone; nothing is opened here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genesis_core.training.labelled_data import LabelledSet
    from genesis_core.training.starting_point import Start


def source_remarks(found: LabelledSet, start: Start) -> list[str]:
    """Say if the source learnt on another modality, or never learnt to restore better than a sub-volume's mean."""
    if start.source is None:
        return []
    card, said = start.source.card, []
    own = found.facts.modality
    if card.preprocessing is not None:
        # Some have learnt on both, which what they expect of one scan cannot tell.
        theirs = str(card.data.get("modality", card.preprocessing.modality))
        if own not in theirs:
            said.append(
                f"the source was trained on {theirs.upper()}, these cases are {own.upper()}: it may help little."
            )
    loss, mean = card.metrics.get("loss", card.metrics.get("train_loss")), card.metrics.get("return_mean")
    if loss is not None and mean is not None and loss >= mean:
        said.append(
            f"the source restores no better than returning each sub-volume's mean (loss {loss:.5f}, the mean's "
            f"{mean:.5f}): it may help little. Train it longer, or start from scratch."
        )
    return said


def seen_before(found: LabelledSet, start: Start, held_out: Collection[str]) -> list[str]:
    """Say aloud if the source was trained on scans that are held out here: their figures would flatter it.

    held_out: pseudonyms of the cases; those of the test part count as well.
    """
    seen = start.seen
    met = [
        record.id
        for record in found.check.usable
        if (record.id in held_out or record.part == "test")
        and any(channel.fingerprint in seen for channel in record.channels)
    ]
    if not met:
        return []
    some = ", ".join(met[:3]) + (f" and {len(met) - 3} more" if len(met) > 3 else "")
    return [
        f"the source was pre-trained on {len(met)} of the scans that are held out or tested here ({some}): their "
        "figures flatter it. Pre-train without them for a fair comparison"
    ]
