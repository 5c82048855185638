"""The segmentation task: pure samples, honest figures, and a network that learns with it in the common loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
import torch
from torch import Tensor, nn

from genesis_core.errors import SettingsError
from genesis_core.networks.unet3d import UNet3D
from genesis_core.phantom.labels import GROUPS, LABELS
from genesis_core.phantom.thorax import make_phantom
from genesis_core.sampling.labelled_cache import CachedCase, open_cached_case
from genesis_core.sampling.labelled_sampler import LabelledSampler
from genesis_core.sampling.labelled_settings import LabelledSamplingSettings
from genesis_core.targets.augmentation_settings import AugmentationSettings
from genesis_core.targets.preview_region import MOST_VOXELS, region_around
from genesis_core.targets.segmentation import SegmentationTask
from genesis_core.targets.segmentation_target import UNKNOWN, Target
from genesis_core.training.loop import Training
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.stopping import StopRequest
from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.labelled.case import Case, LabelSource, Source
from genesis_core.volumes.preprocessing import Preprocessing

LUNGS = (Structure("lung_right", 1), Structure("lung_left", 2), Structure("heart", 3))
OFF = AugmentationSettings(enabled=False)


def write_phantom(folder: Path, seed: int, shape: tuple[int, int, int] = (48, 64, 64)) -> Case:
    """A thorax with both lungs, all that lies in them included, and the heart."""
    phantom = make_phantom(seed, shape)
    labels = np.zeros(shape, np.uint8)
    inside = np.isin(phantom.labels.array, GROUPS["lungs"])
    x = np.arange(shape[2])
    # LPS: x grows to the left.
    labels[inside & (x < shape[2] // 2)] = 1
    labels[inside & (x >= shape[2] // 2)] = 2
    labels[phantom.labels.array == LABELS["heart"]] = 3
    paths = []
    for name, array in (("image", phantom.volume.array), ("label", labels)):
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing(phantom.volume.spacing)
        image.SetOrigin(phantom.volume.origin)
        paths.append(Source(folder / f"{seed}_{name}.nii.gz"))
        SimpleITK.WriteImage(image, str(paths[-1].path))
    return Case(f"{seed}", f"case_{seed}", (paths[0],), LabelSource("map", (("", paths[1]),)), None, f"subject_{seed}")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> list[CachedCase]:
    folder = tmp_path_factory.mktemp("phantoms")
    return [
        open_cached_case(write_phantom(folder, seed), LUNGS, Preprocessing(modality="ct"), folder / "cache")
        for seed in range(2)
    ]


def sampler(cases: Sequence[CachedCase], patch: tuple[int, int, int] = (16, 24, 24)) -> LabelledSampler:
    return LabelledSampler(cases, LabelledSamplingSettings(patch_size=patch), 0)


def task(cases: Sequence[CachedCase], activation: Any = "softmax", **more: Any) -> SegmentationTask:
    values = {"seed": 0, "validation_samples": 7, "batch_size": 3, **more}
    augmentation = values.pop("augmentation", AugmentationSettings())
    return SegmentationTask(Target(LUNGS, activation), sampler(cases[:1]), sampler(cases[1:]), augmentation, **values)


class Answer(nn.Module):
    """Says of every voxel what the reference says, or whatever `constant` is."""

    def __init__(self, own: SegmentationTask, constant: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.own = own
        self.constant = constant

    def forward(self, inputs: Tensor) -> Tensor:
        classes = torch.zeros(inputs.shape, dtype=torch.long)
        if self.constant is None:
            # The phantoms' lungs are dark, which is enough to tell lung from the rest.
            classes = (inputs < 0.3).long()
        else:
            classes[...] = self.constant
        channels = self.own.target.out_channels
        hot = nn.functional.one_hot(classes[:, 0].clamp(0, channels - 1), channels).movedim(-1, 1)
        return 20.0 * hot + self.weight


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_batch_is_a_pure_function_of_seed_step_and_indices(phantoms: list[CachedCase], activation: str) -> None:
    one, two = task(phantoms, activation), task(phantoms, activation)
    whole = one.sample(3, 5, range(4))
    apart = [two.sample(3, 5, [index]) for index in (3, 2, 1, 0)][::-1]
    assert torch.equal(whole.inputs, torch.cat([part.inputs for part in apart]))
    assert torch.equal(whole.targets, torch.cat([part.targets for part in apart]))
    assert whole.origins == tuple(part.origins[0] for part in apart)
    assert not torch.equal(whole.inputs, one.sample(4, 5, range(4)).inputs)
    assert whole.inputs.dtype == torch.float32
    assert whole.targets.dtype == torch.uint8
    assert whole.inputs.shape == (4, 1, 16, 24, 24)
    assert whole.targets.shape == (4, 1 if activation == "softmax" else 3, 16, 24, 24)
    assert 0 <= float(whole.inputs.min()) <= float(whole.inputs.max()) <= 1


def test_mirrored_lungs_keep_their_sides(phantoms: list[CachedCase]) -> None:
    """Where only mirroring from side to side happens, right is still where x is small in the patient."""
    never = {
        f"{name}_probability": 0.0
        for name in ("rotation", "scaling", "noise", "blur", "brightness", "contrast", "gamma", "recipe")
    }
    mirrored = AugmentationSettings(flips=("x",), flip_probability=1, **never)
    whole = (48, 64, 64)
    target = Target(LUNGS, "softmax")
    varied = SegmentationTask(
        target, sampler(phantoms[:1], whole), None, mirrored, seed=0, validation_samples=1, batch_size=1
    )
    plain = SegmentationTask(
        target, sampler(phantoms[:1], whole), None, OFF, seed=0, validation_samples=1, batch_size=1
    )
    turned, straight = (one.sample(0, 0, [0]) for one in (varied, plain))
    assert torch.equal(turned.inputs, straight.inputs.flip(-1))
    right, left = (torch.nonzero(turned.targets[0, 0] == number)[:, 2].float().mean() for number in (1, 2))
    assert right < left
    assert torch.equal(turned.targets[0, 0] == 3, (straight.targets[0, 0] == 3).flip(-1))


def test_validation_reports_dice_by_name_and_leaves_absent_structures_out(phantoms: list[CachedCase]) -> None:
    own = task(phantoms)
    figures = own.validate(Answer(own))
    assert next(iter(figures)) == "loss"
    assert set(figures) == {"loss", "dice_lung_right", "dice_lung_left", "dice_heart", "mean_dice", "predicted"}
    assert all(np.isfinite(value) for value in figures.values())
    assert figures["dice_lung_right"] > 0.4
    assert figures["dice_lung_left"] == 0
    only_heart = SegmentationTask(
        Target(LUNGS, "softmax"), sampler(phantoms, (1, 1, 1)), None, OFF, seed=0, validation_samples=1, batch_size=1
    )
    figures = only_heart.validate(Answer(only_heart))
    assert next(iter(figures)) == "train_loss"
    assert sum(name.startswith("dice_") for name in figures) <= 1


def test_pooled_dice_is_that_of_all_voxels_together(phantoms: list[CachedCase]) -> None:
    own = task(phantoms, "sigmoid")

    class Bright(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, inputs: Tensor) -> Tensor:
            return torch.cat([0.3 - inputs, inputs - 0.5, inputs - 0.51], dim=1) + self.weight

    network = Bright()
    hits, sizes = np.zeros(3), np.zeros(3)
    places = sampler(phantoms[1:]).fixed_places(7)
    for place in places:
        found = sampler(phantoms[1:]).read(place)
        said = network(torch.from_numpy(found.images)[None])[0].detach().numpy() > 0
        for k in range(3):
            drawn, known = found.layers[0] == k + 1, found.layers[0] >= 0
            hits[k] += 2 * (said[k] & drawn).sum()
            sizes[k] += (said[k] & known).sum() + drawn.sum()
    figures = own.validate(network)
    assert [figures[f"dice_{structure.name}"] for structure in LUNGS] == pytest.approx(hits / sizes)
    assert figures["mean_dice"] == pytest.approx((hits / sizes).mean())


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_previews_are_small_maps_a_viewer_can_show(phantoms: list[CachedCase], activation: str) -> None:
    own = task(phantoms, activation)
    arrays = own.preview(Answer(own))
    samples = [arrays[name] for name in ("image", "reference", "prediction")]
    assert all(array.shape == (4, 16, 24, 24) for array in samples)
    assert arrays["image"].dtype == np.float16
    assert arrays["reference"].dtype == arrays["prediction"].dtype == np.uint8
    assert set(np.unique(arrays["reference"])) <= {0, 1, 2, 3}


def test_a_preview_shows_the_structures_of_a_held_out_case_with_names_and_colours(phantoms: list[CachedCase]) -> None:
    own = task(phantoms)
    arrays = own.preview(Answer(own))
    case = phantoms[1]
    # Two windows along each axis hold the lungs of this small scan.
    assert arrays["case_image"].shape[0] == 1
    size = arrays["case_image"].shape[1:]
    assert size == arrays["case_reference"].shape[1:] == arrays["case_prediction"].shape[1:]
    assert all(one <= most for one, most in zip(size, (32, 48, 48), strict=True))
    assert str(arrays["case"]) == case.id
    assert arrays["case_spacing"].tolist() == list(case.geometry.spacing)
    assert arrays["structures"].tolist() == ["lung_right", "lung_left", "heart"]
    assert arrays["colours"].shape == (3, 3)
    # What the windows were put together to is what the scan holds there: the answer is a function of the image.
    assert np.array_equal(arrays["case_prediction"] == 1, arrays["case_image"].astype(np.float32) < 0.3)
    images, layers = case.read((0, 0, 0), case.shape)
    found = [
        (z, y, x)
        for z in range(case.shape[0] - size[0] + 1)
        for y in range(case.shape[1] - size[1] + 1)
        for x in range(case.shape[2] - size[2] + 1)
        if np.array_equal(
            images[0, z : z + size[0], y : y + size[1], x : x + size[2]].astype(np.float16), arrays["case_image"][0]
        )
    ]
    assert len(found) == 1
    z, y, x = found[0]
    assert np.array_equal(layers[0, z : z + size[0], y : y + size[1], x : x + size[2]], arrays["case_reference"][0])
    assert set(np.unique(arrays["case_reference"])) == {0, 1, 2, 3}
    again = own.preview(Answer(own))
    assert np.array_equal(arrays["case_image"], again["case_image"])


def test_a_scan_smaller_than_the_window_is_shown_whole(phantoms: list[CachedCase]) -> None:
    own = SegmentationTask(
        Target(LUNGS, "softmax"),
        sampler(phantoms[:1], (64, 64, 80)),
        sampler(phantoms[1:], (64, 64, 80)),
        OFF,
        seed=0,
        validation_samples=1,
        batch_size=1,
    )
    arrays = own.preview(Answer(own))
    images, layers = phantoms[1].read((0, 0, 0), phantoms[1].shape)
    assert np.array_equal(arrays["case_image"][0], images[0].astype(np.float16))
    assert np.array_equal(arrays["case_reference"][0], layers[0])


@pytest.mark.parametrize(
    ("low", "high", "scan", "window"),
    [
        ((0, 0, 0), (10, 10, 10), (100, 100, 100), (16, 16, 16)),
        ((90, 0, 40), (100, 100, 60), (100, 100, 100), (16, 16, 16)),
        ((0, 0, 0), (500, 500, 500), (500, 512, 512), (128, 160, 160)),
        ((3, 3, 3), (5, 5, 5), (8, 40, 40), (16, 16, 16)),
    ],
)
def test_the_region_lies_in_the_scan_and_is_bounded(low: Any, high: Any, scan: Any, window: Any) -> None:
    corners = np.array([low, np.subtract(high, 1)])
    start, size = region_around([corners], scan, window)
    for axis in range(3):
        assert start[axis] >= 0
        assert start[axis] + size[axis] <= scan[axis]
        assert min(window[axis], scan[axis]) <= size[axis] <= 2 * window[axis]
        if size[axis] >= high[axis] - low[axis]:
            assert start[axis] <= low[axis]
            assert high[axis] <= start[axis] + size[axis]
    assert np.prod(size) <= max(MOST_VOXELS, np.prod(window))


def test_a_network_that_finds_nothing_is_named_after_a_while_and_forgiven_when_it_recovers(
    phantoms: list[CachedCase],
) -> None:
    own = task(phantoms)
    nothing = own.validate(Answer(own, constant=0))
    assert nothing["mean_dice"] == 0
    assert [own.advise(nothing) is None for _ in range(3)] == [True, True, False]
    assert "background only" in (own.advise(nothing) or "")
    assert own.advise(own.validate(Answer(own))) is None
    assert own.advise(nothing) is None


def test_what_is_said_to_the_user(phantoms: list[CachedCase]) -> None:
    notes = task(phantoms).notes
    assert any("lung_right/lung_left" in note for note in notes)
    assert any("nonlinear" in note for note in notes)


def test_other_structures_than_the_cases_have_are_refused(phantoms: list[CachedCase]) -> None:
    with pytest.raises(SettingsError, match="prepare the cases"):
        SegmentationTask(Target(LUNGS[:2], "softmax"), sampler(phantoms), None, OFF, seed=0)


def test_padding_teaches_nothing(phantoms: list[CachedCase]) -> None:
    own = SegmentationTask(
        Target(LUNGS, "softmax"), sampler(phantoms, (56, 64, 64)), None, OFF, seed=0, validation_samples=1
    )
    targets = own.sample(0, 0, [0]).targets
    assert (targets[:, :, :4] == UNKNOWN).all()
    assert (targets[:, :, 4:52] != UNKNOWN).all()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_small_network_learns_a_phantoms_lungs_in_thirty_steps(
    phantoms: list[CachedCase], tmp_path: Path, activation: Any
) -> None:
    torch.manual_seed(0)
    structure = (Structure("lungs", 1),)
    folder = tmp_path
    phantom = make_phantom(0, (32, 32, 32))
    labels = np.isin(phantom.labels.array, GROUPS["lungs"]).astype(np.uint8)
    sources = []
    for name, array in (("image", phantom.volume.array), ("label", labels)):
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing(phantom.volume.spacing)
        sources.append(Source(folder / f"{name}.nii.gz"))
        SimpleITK.WriteImage(image, str(sources[-1].path))
    lungs = open_cached_case(
        Case("p", "case_p", (sources[0],), LabelSource("map", (("", sources[1]),)), None, "s"),
        structure,
        Preprocessing(modality="ct"),
        tmp_path / "cache",
    )
    target = Target(structure, activation)
    own = SegmentationTask(target, sampler([lungs], (32, 32, 32)), None, OFF, seed=0, validation_samples=2)
    network = UNet3D(in_channels=1, out_channels=target.out_channels, width=4, norm="instance")
    run = RunFolder.create(tmp_path / "run")
    settings = TrainingSettings(
        batch_size=2, learning_rate=0.01, max_steps=30, validate_every=30, checkpoint_every=30, precision="float32"
    )
    training = Training(own, network, settings, run, seed=0, device="cpu", save_model=lambda *_: None)
    with StopRequest(run.stop_file, None) as request:
        outcome = training.train(30, request, resume=False)
    assert outcome.state == "finished"
    assert own.validate(network)["dice_lungs"] > 0.8
