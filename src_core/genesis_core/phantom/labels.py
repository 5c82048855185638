"""The structures of the thorax phantom: numbers, names, colours, and how they nest.

Every voxel carries the number of the innermost structure it belongs to (a vessel inside the lung is `lung_vessels`, not
`lung_right`). `GROUPS` says which numbers make up a larger structure: the whole body, both lungs with everything in
them, the bones, the chest without its wall.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

# Name -> number in the label volume; 0 is air, clothes and table outside the body.
LABELS = MappingProxyType(
    {
        "outside": 0,
        "subcutaneous_fat": 1,
        "muscle": 2,
        "mediastinum": 3,
        "lung_right": 4,
        "lung_left": 5,
        "lung_vessels": 6,
        "airways": 7,
        "ribs": 8,
        "spine": 9,
        "sternum": 10,
        "shoulder_girdle": 11,
        "heart": 12,
        "aorta": 13,
        "great_vessels": 14,
        "oesophagus": 15,
        "liver": 16,
        "spleen": 17,
        "stomach": 18,
        "abdomen": 19,
        "diaphragm": 20,
        "nodule": 21,
        "pleural_effusion": 22,
    }
)

# Number -> red, green, blue in 0..255; bones light, blood red, lungs blue, airways cyan.
COLOURS = MappingProxyType(
    {
        0: (0, 0, 0),
        1: (240, 216, 150),
        2: (176, 100, 90),
        3: (222, 190, 130),
        4: (86, 140, 200),
        5: (52, 104, 170),
        6: (204, 70, 90),
        7: (120, 220, 230),
        8: (236, 230, 206),
        9: (214, 204, 170),
        10: (246, 240, 222),
        11: (200, 190, 160),
        12: (180, 40, 50),
        13: (226, 60, 50),
        14: (150, 60, 130),
        15: (190, 140, 90),
        16: (140, 80, 50),
        17: (130, 60, 110),
        18: (210, 150, 80),
        19: (230, 200, 120),
        20: (150, 90, 80),
        21: (250, 210, 0),
        22: (90, 190, 150),
    }
)

# Larger structures -> the numbers they are made of.
GROUPS = MappingProxyType(
    {
        "body": tuple(range(1, 23)),
        "lungs": (4, 5, 6, 7, 21),
        "bones": (8, 9, 10, 11),
        "chest_wall": (1, 2, 8, 10, 11),
        "blood": (6, 12, 13, 14),
        "mediastinal_organs": (3, 12, 13, 14, 15),
        "abdominal_organs": (16, 17, 18, 19),
    }
)


@dataclass(frozen=True)
class Structure:
    """One labelled structure: its number, its name, and its colour (red, green, blue in 0..255)."""

    number: int
    name: str
    colour: tuple[int, int, int]


STRUCTURES = tuple(Structure(number, name, COLOURS[number]) for name, number in LABELS.items())
