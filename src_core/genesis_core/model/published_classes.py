"""The 32 classes of SuPreM's models, under both numberings in use, which must never be confused.

"SuPreM template": place in the models' output, from 1; the label values of its combined masks. "AbdomenAtlas 1.1" and
"1.0": the label values of those data sets, whose order is another. Source: Li et al. 2024 and the data sets' own lists.
"""

from __future__ import annotations

from genesis_core.model.card import LabelEntry

TEMPLATE, ATLAS, ATLAS_9 = "SuPreM template", "AbdomenAtlas 1.1", "AbdomenAtlas 1.0"

# In the order of the models' output.
# fmt: off
_NAMES = (
    "spleen", "kidney_right", "kidney_left", "gall_bladder", "esophagus", "liver", "stomach", "aorta", "postcava",
    "portal_vein_and_splenic_vein", "pancreas", "adrenal_gland_right", "adrenal_gland_left", "duodenum",
    "hepatic_vessel", "lung_right", "lung_left", "colon", "intestine", "rectum", "bladder", "prostate", "femur_left",
    "femur_right", "celiac_trunk", "kidney_tumor", "liver_tumor", "pancreas_tumor", "hepatic_vessel_tumor",
    "lung_tumor", "colon_tumor", "kidney_cyst",
)
# In the order of AbdomenAtlas 1.1; the first nine are all of 1.0.
_ATLAS = (
    "aorta", "gall_bladder", "kidney_left", "kidney_right", "liver", "pancreas", "postcava", "spleen", "stomach",
    "adrenal_gland_left", "adrenal_gland_right", "bladder", "celiac_trunk", "colon", "duodenum", "esophagus",
    "femur_left", "femur_right", "hepatic_vessel", "intestine", "lung_left", "lung_right",
    "portal_vein_and_splenic_vein", "prostate", "rectum",
)
# fmt: on
_IN_1_0 = 9


def _numberings(value: int, name: str) -> dict[str, int]:
    numbers = {TEMPLATE: value}
    if name in _ATLAS:
        place = _ATLAS.index(name) + 1
        numbers[ATLAS] = place
        if place <= _IN_1_0:
            numbers[ATLAS_9] = place
    return numbers


SUPREM_STRUCTURES = tuple(
    LabelEntry(name=name, value=value, numberings=_numberings(value, name)) for value, name in enumerate(_NAMES, 1)
)
