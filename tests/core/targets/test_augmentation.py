"""What is drawn is what is done: turns in millimetres the way they say, sides that change names, values in [0, 1]."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genesis_core.sampling.warping import read_warped
from genesis_core.settings import validate
from genesis_core.targets.augmentation import Augmentation, AugmentationDraw, augment_images
from genesis_core.targets.augmentation_settings import AugmentationSettings
from genesis_core.targets.intensity_changes import IntensityChange, change_intensities
from genesis_core.volumes.sides import find_sides

SHAPE = (9, 11, 13)
NEVER = {
    f"{name}_probability": 0.0
    for name in ("rotation", "scaling", "flip", "noise", "blur", "brightness", "contrast", "gamma", "recipe")
}
SIDES = ("lung_right", "lung_left", "heart")


def augmentation(names: tuple[str, ...] = SIDES, codes: str = "LPS", **values: object) -> Augmentation:
    return Augmentation(AugmentationSettings.model_validate(values), names, codes)


def moved(angles: tuple[float, float, float] = (0, 0, 0), scale: float = 1, flipped: str = "") -> AugmentationDraw:
    return AugmentationDraw(angles, scale, tuple(flipped), (IntensityChange(),), None)


def warp(image: np.ndarray, draw: AugmentationDraw, spacing: tuple[float, float, float]) -> np.ndarray:
    """The whole image, turned about its middle; beyond it there is 0."""

    def read(start: tuple[int, int, int], size: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        pad = 60
        place = tuple(slice(first + pad, first + pad + n) for first, n in zip(start, size, strict=True))
        box = np.pad(image, pad)[place]
        return box[None], box[None].astype(np.int16)

    images, _ = read_warped(read, (0, 0, 0), image.shape, draw.matrix(spacing))  # type: ignore[arg-type]
    return images[0]


def blob(offset_mm: tuple[float, float, float], spacing: tuple[float, float, float], size: int = 41) -> np.ndarray:
    """A cube of voxels with a ball at an offset (x, y, z) in mm from its middle."""
    z, y, x = ((np.arange(size) - size // 2) * step for step in spacing[::-1])
    distance = (z[:, None, None] - offset_mm[2]) ** 2 + (y[:, None] - offset_mm[1]) ** 2 + (x - offset_mm[0]) ** 2
    return np.exp(-distance / 8).astype(np.float32)


def centre_mm(image: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The centre of mass (x, y, z) in mm from the middle."""
    grid = np.indices(image.shape) - (np.array(image.shape).reshape(3, 1, 1, 1) - 1) / 2
    return np.array([(grid[2 - axis] * image).sum() / image.sum() * spacing[axis] for axis in range(3)])


@pytest.mark.parametrize(
    ("angles", "before", "after"),
    [
        ((90, 0, 0), (9, 0, 0), (0, 9, 0)),
        ((0, 90, 0), (0, 0, 9), (9, 0, 0)),
        ((0, 0, 90), (0, 9, 0), (0, 0, 9)),
        ((30, 0, 0), (9, 0, 0), (9 * np.cos(np.pi / 6), 9 * np.sin(np.pi / 6), 0)),
    ],
)
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.1, 1.5)])
def test_a_positive_angle_turns_x_to_y_and_y_to_z_and_z_to_x_in_millimetres(
    angles: tuple[float, float, float],
    before: tuple[float, float, float],
    after: tuple[float, float, float],
    spacing: tuple[float, float, float],
) -> None:
    turned = warp(blob(before, spacing), moved(angles), spacing)
    assert centre_mm(turned, spacing) == pytest.approx(np.array(after), abs=0.15)


@settings(deadline=None, max_examples=25)
@given(
    st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(-60, 60)),
    st.floats(0.7, 1.4),
    st.tuples(st.floats(0.5, 3), st.floats(0.5, 3), st.floats(0.5, 3)),
    st.sets(st.sampled_from("zyx")),
)
def test_turning_scaling_and_mirroring_are_what_simpleitk_does(
    angles: tuple[float, float, float], scale: float, spacing: tuple[float, float, float], flipped: set[str]
) -> None:
    image = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    ours = warp(image, moved(angles, scale, "".join(sorted(flipped))), spacing)

    source = SimpleITK.GetImageFromArray(image)
    source.SetSpacing(spacing)
    source.SetOrigin([-(n - 1) / 2 * step for n, step in zip(image.shape[::-1], spacing, strict=True)])
    # Content moves about z first, then y, then x, then it is scaled and mirrored.
    content = SimpleITK.CompositeTransform(3)
    mirror = SimpleITK.AffineTransform(3)
    mirror.SetMatrix(
        [
            scale * (-1 if axis in flipped else 1) if row == "xyz".index(axis) else 0
            for axis in "xyz"
            for row in range(3)
        ]
    )
    content.AddTransform(mirror)
    for position, axis in ((2, (1, 0, 0)), (1, (0, 1, 0)), (0, (0, 0, 1))):
        turn = SimpleITK.VersorTransform()
        turn.SetRotation(axis, float(np.radians(angles[position])))
        content.AddTransform(turn)
    # A resampler asks where a voxel comes from, which is the inverse of where content goes.
    expected = SimpleITK.GetArrayFromImage(
        SimpleITK.Resample(source, source, content.GetInverse(), SimpleITK.sitkLinear, -1.0)
    )
    inside = expected >= 0
    # At the very border SimpleITK holds the outermost value for half a voxel, where ours goes toward the outside.
    inner = np.zeros(SHAPE, np.float32)
    inner[1:-1, 1:-1, 1:-1] = 1
    mask = SimpleITK.GetImageFromArray(inner)
    mask.CopyInformation(source)
    safe = SimpleITK.GetArrayFromImage(
        SimpleITK.Resample(mask, source, content.GetInverse(), SimpleITK.sitkLinear, 0.0)
    )
    inside &= safe > 0
    assert inside.any()
    assert np.abs(ours - expected)[inside].max() < 1e-4


def test_mirroring_alone_interpolates_nothing_and_nothing_at_all_reads_as_it_is() -> None:
    image = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    assert np.array_equal(warp(image, moved(flipped="zx"), (1, 2, 3)), image[::-1, :, ::-1])
    assert moved().matrix((1, 2, 3)) is None


def test_thick_slices_are_only_turned_in_their_plane() -> None:
    thick = augmentation(rotation_probability=1)
    for key in range(20):
        angles = thick.draw(key, SHAPE, (0.8, 0.8, 5.0)).angles
        assert angles[0] != 0
        assert angles[1:] == (0, 0)
        assert all(thick.draw(key, SHAPE, (0.8, 0.8, 1.5)).angles)


def test_angles_and_factors_stay_within_their_settings_and_reach_both_sides() -> None:
    some = augmentation(rotation_probability=1, rotation=(20, 5, 0), scaling_probability=1, scaling=(0.5, 2))
    draws = [some.draw(key, SHAPE, (1, 1, 1)) for key in range(300)]
    angles = np.array([draw.angles for draw in draws])
    assert np.abs(angles).max(axis=0) == pytest.approx([20, 5, 0], abs=0.5)
    assert np.abs(angles[:, :2].mean(axis=0)).max() < 2
    scales = np.array([draw.scale for draw in draws])
    assert 0.5 <= scales.min() < 0.55
    assert 1.9 < scales.max() <= 2
    assert np.log(scales).mean() == pytest.approx(0, abs=0.1)


def test_a_draw_is_a_pure_function_of_its_key() -> None:
    every = dict.fromkeys(NEVER, 1.0)
    one, two = augmentation(**every), augmentation(**every)
    images = np.random.default_rng(0).random((2, *SHAPE)).astype(np.float32)
    for key in (0, 1, 2**64 - 1):
        draw = one.draw(key, SHAPE, (1, 1, 2), channels=2)
        again = two.draw(key, SHAPE, (1, 1, 2), channels=2)
        assert again == draw
        assert np.array_equal(augment_images(images, again), augment_images(images, draw))
    assert one.draw(0, SHAPE, (1, 1, 2)) != one.draw(1, SHAPE, (1, 1, 2))


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.float32, (2, 4, 5, 6), elements=st.floats(0, 1, width=32)),
    st.integers(0, 2**64 - 1),
    st.tuples(st.floats(0.2, 5), st.floats(0.2, 5), st.floats(0.2, 5)),
)
def test_intensities_stay_in_the_unit_range_and_the_input_is_left_alone(
    images: np.ndarray, key: int, spacing: tuple[float, float, float]
) -> None:
    before = images.copy()
    every = augmentation(**dict.fromkeys(NEVER, 1.0), noise=1, brightness=(0.1, 9), contrast=(0.1, 9), gamma=(0.1, 9))
    out = augment_images(images, every.draw(key, images.shape[1:], spacing, channels=2))
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 1
    assert np.array_equal(images, before)


def test_each_change_does_what_it_says() -> None:
    image = np.random.default_rng(0).uniform(0.3, 0.6, (1, 24, 24, 24)).astype(np.float32)

    def changed(**values: object) -> np.ndarray:
        return change_intensities(image, [IntensityChange(**values)])  # type: ignore[arg-type]

    assert changed() is image
    assert np.allclose(changed(brightness=1.2), image * 1.2, atol=1e-6)
    contrast = changed(contrast=0.5)
    assert contrast.mean() == pytest.approx(image.mean(), abs=1e-6)
    assert contrast.std() == pytest.approx(image.std() / 2, rel=1e-4)
    assert np.allclose(changed(gamma=2.0), image**2, atol=1e-6)
    assert changed(blur=(1, 1, 1)).std() < image.std() / 2
    noise = (changed(noise=0.05, noise_key=9) - image).ravel()
    assert noise.mean() == pytest.approx(0, abs=0.002)
    assert noise.std() == pytest.approx(0.05, rel=0.03)
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.03
    assert not np.array_equal(changed(noise=0.05, noise_key=9), changed(noise=0.05, noise_key=10))


def test_noise_is_close_to_a_normal_distribution() -> None:
    from scipy.stats import kstest

    flat = np.full((1, 64, 64, 64), 0.5, np.float32)
    noise = change_intensities(flat, [IntensityChange(noise=0.1, noise_key=3)]) - 0.5
    assert kstest(noise.ravel() / 0.1, "norm").statistic < 0.01


def test_channels_vary_on_their_own_and_share_the_recipe() -> None:
    every = augmentation(**{**NEVER, "noise_probability": 1, "recipe_probability": 1})
    draw = every.draw(5, SHAPE, (1, 1, 1), channels=2)
    assert draw.intensities[0] != draw.intensities[1]
    assert draw.recipe is not None
    assert draw.recipe.applied == ("nonlinear",)


def test_the_recipe_is_the_non_linear_curve_half_of_the_time_unless_asked_otherwise_and_said() -> None:
    plain = augmentation()
    drawn = [plain.draw(key, SHAPE, (1, 1, 1)).recipe for key in range(400)]
    assert sum(recipe is not None for recipe in drawn) / 400 == pytest.approx(0.5, abs=0.08)
    assert any("nonlinear" in note and "50%" in note for note in plain.notes)
    genesis = augmentation(recipe="genesis", recipe_probability=1)
    assert any("local_shuffle" in genesis.draw(key, SHAPE, (1, 1, 1)).recipe.applied for key in range(20))  # type: ignore[union-attr]
    none = augmentation(recipe=None)
    assert all(none.draw(key, SHAPE, (1, 1, 1)).recipe is None for key in range(20))


def test_mirrored_from_side_to_side_left_and_right_change_names() -> None:
    layers = np.array([-1, 0, 1, 2, 3], np.int16).reshape(1, 1, 1, 5)
    sides = augmentation()
    swapped, annotated = sides.swap_sides(layers, (True, False, True), moved(flipped="x"))
    assert swapped.ravel().tolist() == [-1, 0, 2, 1, 3]
    assert swapped.dtype == np.int16
    assert annotated == (False, True, True)
    for axes in ("", "y", "z", "zy"):
        kept, annotated = sides.swap_sides(layers, (True, False, True), moved(flipped=axes))
        assert kept is layers
        assert annotated == (True, False, True)
    assert any("lung_right/lung_left" in note for note in sides.notes)


def test_the_axis_from_side_to_side_follows_from_the_axis_codes() -> None:
    layers = np.array([1], np.int16).reshape(1, 1, 1, 1)
    turned = augmentation(codes="SLP")
    assert turned.swap_sides(layers, (True,) * 3, moved(flipped="y"))[0].ravel().tolist() == [2]
    assert turned.swap_sides(layers, (True,) * 3, moved(flipped="x"))[0].ravel().tolist() == [1]


def test_a_side_without_its_partner_switches_that_mirroring_off_and_says_so() -> None:
    alone = augmentation(("kidney_left", "liver"), flip_probability=1)
    assert alone.draw(0, SHAPE, (1, 1, 1)).flipped == ("z", "y")
    assert any("kidney_left" in note and "not mirrored" in note for note in alone.notes)
    assert augmentation(("liver",), flip_probability=1).draw(0, SHAPE, (1, 1, 1)).flipped == ("z", "y", "x")


@pytest.mark.parametrize(
    ("names", "pairs", "alone"),
    [
        (("Lung_L", "Lung_R"), {0: 1, 1: 0}, ()),
        (("left kidney", "heart", "right kidney"), {0: 2, 2: 0}, ()),
        (("KidneyLeft", "KidneyRight"), {0: 1, 1: 0}, ()),
        (("Left-Hippocampus", "Right-Hippocampus", "Left-Amygdala"), {0: 1, 1: 0}, ("Left-Amygdala",)),
        (("vertebrae_L1", "vertebrae_L2", "Bright spot", "cleft"), {}, ()),
        (("rib_left_1", "rib_right_1", "rib_right_2"), {0: 1, 1: 0}, ("rib_right_2",)),
        (("ctx-lh-insula", "ctx-rh-insula"), {0: 1, 1: 0}, ()),
        (("l lung", "R lung", "r lung"), {0: 2, 2: 0}, ("R lung",)),
    ],
)
def test_sides_are_found_by_the_words_of_a_name(
    names: tuple[str, ...], pairs: dict[int, int], alone: tuple[str, ...]
) -> None:
    assert find_sides(names) == (pairs, alone)


def test_words_for_the_sides_can_be_set() -> None:
    assert find_sides(("links Niere", "rechts Niere"), ("links",), ("rechts",)) == ({0: 1, 1: 0}, ())


def test_switched_off_nothing_is_varied() -> None:
    draw = augmentation(enabled=False).draw(3, SHAPE, (1, 1, 1), channels=2)
    images = np.random.default_rng(0).random((2, *SHAPE)).astype(np.float32)
    assert draw.matrix((1, 1, 1)) is None
    assert augment_images(images, draw) is images


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"flips": "x,w"}, "at most once"),
        ({"rotation": (10, -3, 0)}, "0 to 180"),
        ({"gamma": (2, 1)}, "smaller one first"),
        ({"left_words": "l,left", "right_words": "r"}, "partner by partner"),
        ({"noise": 2}, "less than or equal to 1"),
        ({"recipe": "nothing_like_it"}, "no preset"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(values: dict[str, object], message: str) -> None:
    with pytest.raises(Exception, match=message):
        validate(AugmentationSettings, values)


def test_settings_survive_being_written_and_read() -> None:
    default = AugmentationSettings()
    assert AugmentationSettings.model_validate(default.model_dump(mode="json")) == default
