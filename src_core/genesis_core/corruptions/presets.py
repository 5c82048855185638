"""The recipes that have a name. The published code and the text of the paper differ, so they are two and never mixed.

`genesis`: the published code since 2020-02-20. `paper`: Zhou et al. 2021, sec. 2.2 and appendix C: 1,000 windows, up
to 10 boxes, constants for fills, and less than a quarter of the volume masked. The text leaves open the rates, window
and box sizes, and margins of the latter; here they are the code's, except that kept boxes are larger and touch the
faces, since less than a quarter could not be masked otherwise, and that a window's voxels are permuted jointly, not
by rows and columns.

The others are what the paper compares with. `denoising`, `inpainting` and `patch_shuffling`: appendix A, whose
in-painting takes the boxes of `paper` (and the loss inside of them alone: `loss_region`). One corruption each, applied
to every sub-volume (the rates are left open): the schemes of figure 3. `identity`: an autoencoder.
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "genesis": {
        "schema": 1,
        "name": "genesis",
        "steps": [
            {"kind": "local_shuffle", "probability": 0.5},
            {"kind": "nonlinear", "probability": 0.9},
            {
                "one_of": {
                    "probability": 0.9,
                    "of": [{"kind": "inner_cutout", "weight": 0.2}, {"kind": "outer_cutout", "weight": 0.8}],
                }
            },
        ],
    },
    "paper": {
        "schema": 1,
        "name": "paper",
        "steps": [
            {"kind": "local_shuffle", "probability": 0.5, "windows": 1000},
            {"kind": "nonlinear", "probability": 0.9},
            {
                "one_of": {
                    "probability": 0.9,
                    "of": [
                        {
                            "kind": "inner_cutout",
                            "weight": 0.2,
                            "max_boxes": 10,
                            "fill": "constant",
                            "max_masked": 0.25,
                        },
                        {
                            "kind": "outer_cutout",
                            "weight": 0.8,
                            "max_boxes": 10,
                            "min_cut": 1 / 7,
                            "max_cut": 2 / 7,
                            "margin": 0,
                            "fill": "constant",
                            "max_masked": 0.25,
                        },
                    ],
                }
            },
        ],
    },
    "denoising": {"schema": 1, "name": "denoising", "steps": [{"kind": "gaussian_noise"}]},
    "inpainting": {
        "schema": 1,
        "name": "inpainting",
        "steps": [{"kind": "inner_cutout", "max_boxes": 10, "fill": "constant", "max_masked": 0.25}],
    },
    "patch_shuffling": {"schema": 1, "name": "patch_shuffling", "steps": [{"kind": "patch_shuffle"}]},
    **{
        kind: {"schema": 1, "name": kind, "steps": [{"kind": kind}]}
        for kind in ("nonlinear", "local_shuffle", "inner_cutout", "outer_cutout")
    },
    "identity": {"schema": 1, "name": "identity", "steps": []},
}
