"""Open scans under Open Sample: what is fetched is what was published; a clear word where nothing can be fetched."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genesis_core.errors import VolumeError
from napari_genesis import sample_data
from napari_genesis.sample_sources import SAMPLES, Sample, SourceFile

SOURCES = [source for one in SAMPLES.values() for source in (one.image, one.labels) if source]


@pytest.fixture(autouse=True)
def _nothing_fetched_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def copies(real_data: Path) -> dict[str, Path]:
    """SHA-256 -> a byte-identical copy of the published file."""
    table = real_data / "manifest.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["processing"] == "byte-identical copy"]
    return {row["sha256"]: real_data / row["file"] for row in rows}


@pytest.fixture
def served(copies: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Serve the published bytes instead of the network; returns the addresses asked for."""
    import pooch

    asked: list[str] = []

    def download(self: Any, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        asked.append(url)
        [source] = [one for one in SOURCES if one.url == url]
        shutil.copyfile(copies[source.sha256], output_file)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", download)
    return asked


@pytest.mark.parametrize("key", list(SAMPLES))
def test_a_sample_is_fetched_once_and_opens_in_millimetres(key: str, served: list[str]) -> None:
    sample = SAMPLES[key]
    for _ in range(2):
        image, *labels = getattr(sample_data, key)()
        assert image[2] == "image"
        assert image[1]["name"] == sample.name
        assert image[1]["units"] == ("mm", "mm", "mm")
        assert len(labels) == (1 if sample.labels else 0)
    assert len(served) == (2 if sample.labels else 1)
    for data, meta, _ in labels:
        assert meta["features"]["structure"] == [name for _, name in sample.structures]
        assert set(np.unique(data)) <= {0, *(value for value, _ in sample.structures)}
        assert np.allclose(meta["scale"], image[1]["scale"])


def test_every_source_names_a_fixed_version_and_its_terms() -> None:
    for sample in SAMPLES.values():
        assert sample.licence
        assert sample.attribution
    for source in SOURCES:
        assert source.url.startswith("https://")
        assert len(source.commit) == 40
        assert len(source.sha256) == 64


def test_sources_are_those_of_the_copies(copies: dict[str, Path]) -> None:
    assert {source.sha256 for source in SOURCES} <= set(copies)


def test_without_a_network_there_is_a_clear_word(monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch
    from requests.exceptions import ConnectionError as NoConnection

    def fail(*_: Any, **__: Any) -> None:
        raise NoConnection("Failed to resolve")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", fail)
    with pytest.raises(VolumeError, match=r"could not be fetched.*connected to the network"):
        sample_data.head_mr()


def test_other_bytes_than_the_published_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch

    def answer(self: Any, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        Path(output_file).write_text("<html>Please log in to the guest network</html>")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", answer)
    with pytest.raises(VolumeError, match="not the published file"):
        sample_data.stroke_mr()


def test_the_lung_mass_can_be_seen_on_the_slice_its_name_says() -> None:
    from genesis_core.phantom.labels import LABELS

    (array, image, _), (numbers, labels, _) = sample_data.thorax_lesion()
    number = int(image["name"].split("slice ")[1].split()[0])
    mass = numbers[number] == LABELS["nodule"]
    assert mass.sum() * image["scale"][1] * image["scale"][2] > 500
    assert array[number][mass].mean() > -200
    assert "nodule" in labels["features"]["structure"]
    assert "synthetic" in image["name"]


def test_a_sample_without_labels_has_none() -> None:
    assert Sample("x", SourceFile("a/b", "c", "d", "e"), "MIT", "nobody").structures == ()
