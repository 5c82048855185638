"""Names, numbers and colours of structures come out of the files people keep them in, or the file is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genesis_core.errors import VolumeError
from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.structure_colours import default_colours
from genesis_core.volumes.structure_names import (
    left_out_of_dataset_json,
    read_structure_names,
    structures_from_dataset_json,
)

SNAP = (
    "################################################\n# ITK-SnAP Label Description File\n"
    '    0     0    0    0        0  0  0    "Clear Label"\n'
    '    1   255    0    0        1  1  1    "Left kidney, cortex"\n'
    '   21    10  200   30      0.5  0  1    "Spleen"\n'
)
LUT = "#No. Label Name:      R   G   B   A\n0  Unknown 0 0 0 0\n17  Left-Hippocampus  220 216 20 0\n"
CTBL = "# Color table file\n1 tissue 128 174 128 255\n2 bone 241 214 145 255\n"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", SNAP, (Structure("Left kidney, cortex", 1, (255, 0, 0)), Structure("Spleen", 21, (10, 200, 30)))),
        ("a.label", SNAP, (Structure("Left kidney, cortex", 1, (255, 0, 0)), Structure("Spleen", 21, (10, 200, 30)))),
        ("lut.txt", LUT, (Structure("Left-Hippocampus", 17, (220, 216, 20)),)),
        ("a.ctbl", CTBL, (Structure("tissue", 1, (128, 174, 128)), Structure("bone", 2, (241, 214, 145)))),
        ("a.csv", "value,name\n0,background\n2,lung\n1,heart\n", (Structure("lung", 2), Structure("heart", 1))),
        (
            "a.csv",
            "\ufeffName;Label;R;G;B\nlung;2;1;2;3\nheart;1;;;\n",
            (Structure("lung", 2, (1, 2, 3)), Structure("heart", 1)),
        ),
        ("a.csv", 'number,name\n1,"left lung, upper"\n', (Structure("left lung, upper", 1),)),
        ("a.csv", "value,label\n1,lung\n", (Structure("lung", 1),)),
        ("a.tsv", "index\tname\tred\tgreen\tblue\n4\tgroß\t0\t0\t255\n", (Structure("groß", 4, (0, 0, 255)),)),
        (
            "a.json",
            '{"structures": [{"name": "lung", "value": 3, "colour": [1, 2, 3]}]}',
            (Structure("lung", 3, (1, 2, 3)),),
        ),
        ("a.json", '{"structures": [{"name": "lung", "value": 3, "colour": null}]}', (Structure("lung", 3),)),
        ("dataset.json", '{"labels": {"background": 0, "liver": 1}}', (Structure("liver", 1),)),
    ],
)  # fmt: skip
def test_a_list_of_names_is_read(tmp_path: Path, name: str, text: str, expected: tuple[Structure, ...]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_structure_names(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "value,name\n1,a\n1,b\n", "number 1 is named twice: 'a' and 'b'"),
        ("a.csv", "value,name\n-1,a\n", "'-1' is no number"),
        ("a.csv", "value,name\n1\n", "empty name"),
        ("a.csv", "value,name,red,green,blue\n1,a,300,0,0\n", "no colour"),
        ("a.csv", "1,a\n2,b\n", "first line must name the columns"),
        ("a.csv", "", "first line must name the columns"),
        ("a.txt", "some notes\n", "'some notes' is no label description"),
        ("a.txt", "", "names no structure"),
        ("a.json", "{", "not valid JSON"),
        ("a.json", "[]", 'needs a list "structures"'),
        ("a.json", '{"structures": [{"value": 1}]}', 'needs a list "structures"'),
        ("a.json", '{"structures": [{"name": "a", "value": 1.5}]}', "1.5 is no number"),
        ("a.xyz", "", "known endings"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(VolumeError, match=words) as caught:
        read_structure_names(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="no such file"):
        read_structure_names(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0, "tumour": 2, "liver": 1},
        {"0": "background", "2": "tumour", "1": "liver"},
        {"background": "0", "tumour": "2", "liver": "1"},
    ],
)
def test_both_directions_of_dataset_json_mean_the_same(labels: dict[str, object]) -> None:
    assert structures_from_dataset_json({"labels": labels}) == (Structure("liver", 1), Structure("tumour", 2))
    assert left_out_of_dataset_json({"labels": labels}) == ()


def test_regions_are_left_out_and_said_and_places_to_ignore_keep_their_number() -> None:
    content = {"labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}}
    assert structures_from_dataset_json(content) == (Structure("core", 2), Structure("ignore", 3))
    (region,) = left_out_of_dataset_json(content)
    assert "'whole' joins the numbers 1, 2" in region


@pytest.mark.parametrize("content", [{}, {"labels": []}, {"labels": {"liver": 1.5}}, {"labels": {"a": 1, "b": 1}}])
def test_labels_that_make_no_sense_are_refused(content: dict[str, object]) -> None:
    with pytest.raises(VolumeError, match=r"labels|named twice"):
        structures_from_dataset_json(content)


def test_a_table_with_an_endless_cell_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text(f"value,name\n1,{'a' * 140_000}\n")
    with pytest.raises(VolumeError, match=r"names\.csv: not a table"):
        read_structure_names(path)


def test_the_real_list_of_several_maps_is_refused_rather_than_mixed(real_data: Path) -> None:
    with pytest.raises(VolumeError, match="named twice"):
        read_structure_names(real_data / "labelled/totalseg_multiorgan/label_names.csv")


def test_colours_are_stable_by_position_and_all_differ() -> None:
    many = default_colours(150)
    assert len(set(many)) == 150
    assert default_colours(5) == many[:5]
    assert default_colours(0) == ()
    assert len(default_colours(1000)) == 1000
    assert all(0 <= part <= 255 for colour in many for part in colour)
    # The first dozen must be far apart even for the eye.
    apart = np.linalg.norm(np.subtract(many[:12], np.array(many[:12])[:, None]), axis=-1)
    assert apart[~np.eye(12, dtype=bool)].min() > 50
