"""A split kept as a file beside a run: a record for people and other programs of who trained and who was held out.

It holds pseudonyms only. No run is read from it: what a run trains on stands in its run.yaml or round.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from genesis_core.atomic import write_text
from genesis_core.volumes.labelled.splitting import Split

_SCHEMA = 1


def write_split(splits: Sequence[Split], path: str | os.PathLike[str]) -> None:
    """Write what `split_cases` made, one split or one per fold, as JSON, atomically; an older file is replaced."""
    first = splits[0]
    folds = [{"training": split.training, "validation": split.validation, "notes": split.notes} for split in splits]
    values = {"schema": _SCHEMA, "seed": first.seed, "rule": first.rule, "test": first.test, "folds": folds}
    write_text(path, json.dumps(values, indent=1) + "\n")
