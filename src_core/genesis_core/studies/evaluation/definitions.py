"""What every figure of an evaluation means, once, for tables, files and the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One column of the scores. key: the field of `StructureScore`. unit: "" for none. better: which way is better."""

    key: str
    title: str
    unit: str
    better: Literal["higher", "lower", "nearer 0"]
    meaning: str

    @property
    def heading(self) -> str:
        """The title with its unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric(
            "dice",
            "Dice",
            "",
            "higher",
            "2 |P and R| / (|P| + |R|), in voxels of prediction P and reference R. 0 if only one of them draws the "
            "structure; not defined, and left out, if neither does.",
        ),
        Metric(
            "iou",
            "IoU",
            "",
            "higher",
            "|P and R| / |P or R| of the structure alone. Not the two-class mean IoU of the published Models Genesis "
            "code, which counts the background too and is far higher.",
        ),
        Metric(
            "nsd",
            "NSD",
            "",
            "higher",
            "Normalised surface Dice: share of both surfaces, by area, that is within the tolerance of the other "
            "(Nikolov et al. 2021). 0 if only one side draws the structure.",
        ),
        Metric(
            "hd95_mm",
            "HD95",
            "mm",
            "lower",
            "The larger of the two directed 95th percentiles of surface distance, by area; never pooled. Not defined, "
            "and left out, if a side is empty: a missed structure does not make it worse, so read it with Dice.",
        ),
        Metric(
            "mean_distance_mm",
            "mean distance",
            "mm",
            "lower",
            "Mean distance of both surfaces together, by area (average symmetric surface distance). Left out if a side "
            "is empty.",
        ),
        Metric(
            "volume_error_ml",
            "volume error",
            "ml",
            "nearer 0",
            "Volume of the prediction less that of the reference, signed.",
        ),
        Metric(
            "relative_volume_error",
            "relative volume error",
            "",
            "nearer 0",
            "Volume error divided by the volume of the reference; not defined if that is empty.",
        ),
    )
}
