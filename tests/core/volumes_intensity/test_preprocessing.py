"""What is done to a scan before a network sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genesis_core.errors import SettingsError
from genesis_core.settings import dump_yaml, validate
from genesis_core.volumes.intensity import PercentileIntensity, WindowIntensity
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.volume import Geometry, Volume


def ramp(shape: tuple[int, int, int] = (6, 8, 10)) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 100


def test_intensity_follows_the_modality_unless_it_is_given() -> None:
    assert isinstance(Preprocessing(modality="ct").intensity, WindowIntensity)
    assert isinstance(Preprocessing(modality="mr").intensity, PercentileIntensity)
    own = Preprocessing(modality="mr", intensity=WindowIntensity(low=0, high=4000))
    assert own.intensity == WindowIntensity(low=0, high=4000)


def test_it_survives_being_written_as_yaml() -> None:
    import yaml

    settings = Preprocessing(modality="mr", axis_codes="ras", spacing=(1, 1, 2.5), intensity=PercentileIntensity(low=1))
    text = dump_yaml(settings.model_dump(mode="json"))
    assert Preprocessing.model_validate(yaml.safe_load(text)) == settings
    assert settings.axis_codes == "RAS"


@pytest.mark.parametrize("codes", ["LPX", "LLS", "LP", "LPSS", ""])
def test_impossible_orientations_are_refused(codes: str) -> None:
    with pytest.raises(SettingsError, match="axis_codes"):
        validate(Preprocessing, {"modality": "ct", "axis_codes": codes})


def test_a_scan_already_on_the_grid_keeps_its_voxels() -> None:
    scan = Volume.from_array(ramp())
    prepared = Preprocessing(modality="ct").prepare(scan)
    assert prepared.volume.array is scan.array
    assert (prepared.map.low, prepared.map.high) == (-1000, 1000)


def test_a_scan_is_turned_into_the_model_s_orientation() -> None:
    turned = Geometry((6, 8, 10), direction=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    prepared = Preprocessing(modality="ct").prepare(Volume(ramp(), turned))
    assert prepared.volume.axis_codes == "LPS"
    np.testing.assert_array_equal(prepared.volume.array, ramp()[:, ::-1, ::-1])


def test_a_resampled_ct_has_the_spacing_and_whole_hounsfield_units() -> None:
    scan = Volume.from_array(ramp(), spacing=(1, 1, 3))
    prepared = Preprocessing(modality="ct", spacing=(1, 1, 1)).prepare(scan)
    assert prepared.volume.spacing == pytest.approx((1, 1, 1))
    assert prepared.volume.shape == (18, 8, 10)
    np.testing.assert_array_equal(prepared.volume.array, np.rint(prepared.volume.array))
    assert scan.array.dtype == np.int16
    np.testing.assert_array_equal(scan.array, ramp())


def test_what_was_unusual_about_the_fit_is_in_the_notes() -> None:
    prepared = Preprocessing(modality="mr").prepare(Volume.from_array(np.zeros((3, 3, 3), np.int16)))
    assert any("every voxel is 0" in note for note in prepared.volume.notes)


def test_it_describes_itself() -> None:
    text = Preprocessing(modality="ct", spacing=(1, 1, 2.5)).describe()
    assert text == "CT, axes toward LPS, spacing 1 x 1 x 2.5 mm, window -1000 to 1000 HU mapped onto [0, 1]."


def test_normalised_volumes_use_the_same_mapping(real_data: Path) -> None:
    from genesis_core.volumes.reading import read_volume

    scan = read_volume(real_data / "ct" / "chest_lidc0314_2mm.nii.gz")
    prepared = Preprocessing(modality="ct").prepare(scan)
    np.testing.assert_array_equal(scan.normalised("ct").array, prepared.map.to_unit(scan.array))
