"""The target task of most users: segment structures, learnt from labelled cases.

The loss is soft Dice plus cross-entropy over what is annotated. Validation looks at a fixed set of sub-volumes of
held-out cases, spread over cases and structures; its Dice pools their voxels, so it tells whether a run learns, and is
no substitute for the Dice of whole scans, case by case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import SettingsError
from genesis_core.randomness import stream
from genesis_core.sampling.labelled_sampler import LabelledSampler, LabelledSubVolume, Place
from genesis_core.targets.augmentation import Augmentation, augment_images
from genesis_core.targets.augmentation_settings import AugmentationSettings
from genesis_core.targets.losses import segmentation_loss
from genesis_core.targets.preview_region import choose_region
from genesis_core.targets.segmentation_target import UNKNOWN, Target
from genesis_core.task import Batch
from genesis_core.volumes.structure_colours import default_colours

if TYPE_CHECKING:
    from torch import Tensor, nn

# A mean Dice below this is none: a network that predicts background everywhere has 0.
COLLAPSED = 0.01
# Validations in a row without any Dice before it is said; at the start every network predicts background for a while.
_PATIENCE = 3
_PREVIEW_SAMPLES = 4


class SegmentationTask:
    """Draw sub-volumes of labelled cases, vary them, and score how well a network segments them.

    target: what is segmented, in the structures of the samplers. training, validation: samplers over disjoint subjects;
    without `validation` the fixed set is drawn from the training cases and `held_out` is False. validation_samples:
    size of the fixed set. batch_size: samples per forward in validation. batch_dice: as `segmentation_loss` has it.
    notes: what samplers and augmentation have to say to the user.
    Raises SettingsError if target and samplers do not name the same structures.
    """

    transfers: Literal["encoder", "encoder+decoder"] = "encoder+decoder"

    def __init__(
        self,
        target: Target,
        training: LabelledSampler,
        validation: LabelledSampler | None,
        augmentation: AugmentationSettings,
        *,
        seed: int,
        validation_samples: int = 32,
        batch_size: int = 2,
        batch_dice: bool = False,
    ) -> None:
        names = tuple(structure.name for structure in target.structures)
        for sampler in filter(None, [training, validation]):
            if sampler.structures != names:
                raise SettingsError(
                    f"the target names the structures {', '.join(names)}, the prepared cases "
                    f"{', '.join(sampler.structures)}: prepare the cases for this target"
                )
        if validation_samples < 1:
            raise SettingsError(f"validation_samples {validation_samples}: at least 1 is needed")
        self.target = target
        self.held_out = validation is not None
        self._sampler = training
        self._checked = validation or training
        self._augmentation = Augmentation(augmentation, names, training.cases[0].geometry.axis_codes)
        self._batch_size = batch_size
        self._batch_dice = batch_dice
        # Only places are kept: the voxels are read again at each validation, and cost no memory in between.
        self._fixed = self._checked.fixed_places(validation_samples)
        self._region = choose_region(self._checked.cases, self._checked.size, first=self._fixed[0].case)
        self._seed = seed
        self._collapsed = 0
        self.notes = tuple(
            dict.fromkeys(
                [
                    *training.notes,
                    *(validation.notes if validation else ()),
                    *self._augmentation.notes,
                    *self._clashes(),
                ]
            )
        )

    def sample(self, seed: int, step: int, indices: Sequence[int]) -> Batch:
        """Return varied images (batch, channel, z, y, x) in [0, 1] and uint8 targets as `Target.encode` makes them."""
        drawn = [self._draw(seed, step, index) for index in indices]
        return _batch(drawn)

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Return soft Dice plus cross-entropy over what is annotated."""
        logits = network(batch.inputs)
        return segmentation_loss(logits, batch.targets, self.target.activation, batch_dice=self._batch_dice), {}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Return loss, Dice and predicted volume on the fixed set, without augmentation.

        `dice_<name>`: of the voxels of all sub-volumes together, for every structure that is drawn in them; `mean_dice`
        over those. `predicted`: voxels predicted to be of any structure, over those that are.
        """
        total = 0.0
        hits, predicted, drawn = (np.zeros(len(self.target.outputs), np.int64) for _ in range(3))
        for batch, logits in self._predicted(network, self._fixed):
            targets = batch.targets.to(logits.device)
            loss = segmentation_loss(logits, targets, self.target.activation, batch_dice=self._batch_dice)
            total += float(loss) * len(batch.origins)
            counts = _overlaps(self._decided(logits), targets, self.target)
            hits, predicted, drawn = hits + counts[0], predicted + counts[1], drawn + counts[2]
        figures = {"loss" if self.held_out else "train_loss": total / len(self._fixed)}
        shown = np.flatnonzero(drawn)
        dice = {int(k): float(2 * hits[k] / (predicted[k] + drawn[k])) for k in shown}
        figures |= {f"dice_{self.target.outputs[k].name}": value for k, value in dice.items()}
        if dice:
            figures["mean_dice"] = float(np.mean(list(dice.values())))
            figures["predicted"] = float(predicted[shown].sum() / drawn[shown].sum())
        return figures

    def preview(self, network: nn.Module) -> dict[str, NDArray[Any]]:
        """Return the first sub-volumes of the fixed set, (sample, z, y, x), and one case with its structures.

        image: the first channel, float16. reference, prediction: uint8, 0 for background or not annotated, k + 1 for
        output k; where outputs overlap, the later one is shown. case_image, case_reference, case_prediction: the same
        of a box around the structures of one case (1, z, y, x), which stays the same one. case: its pseudonym.
        case_spacing: mm (x, y, z). structures, colours: name and uint8 (red, green, blue) of each output.
        """
        maps = [
            answer
            for batch, logits in self._predicted(network, self._fixed[:_PREVIEW_SAMPLES])
            for answer in self._maps(batch, logits)
        ]
        images, references, predictions = zip(*maps, strict=True)
        return {
            "image": np.stack(images),
            "reference": np.stack(references),
            "prediction": np.stack(predictions),
            **self._preview_case(network),
        }

    def _maps(self, batch: Batch, logits: Tensor) -> list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        """Return image, reference and prediction (z, y, x) of each sample, as a preview has them."""
        images = batch.inputs[:, 0].cpu().numpy().astype(np.float16)
        references = _shown(batch.targets.cpu().numpy(), self.target)
        return list(zip(images, references, _shown(self._decided(logits).cpu().numpy(), self.target), strict=True))

    def _preview_case(self, network: nn.Module) -> dict[str, NDArray[Any]]:
        region = self._region
        case = self._checked.cases[region.case]
        image = np.zeros((1, *region.size), np.float16)
        reference, prediction = (np.zeros((1, *region.size), np.uint8) for _ in range(2))
        places = [Place(region.case, window.start, None) for window in region.windows]
        answers = (answer for batch, logits in self._predicted(network, places) for answer in self._maps(batch, logits))
        for window, answer in zip(region.windows, answers, strict=True):
            into = _box(window.low, window.high, region.start)
            out_of = _box(window.low, window.high, window.start)
            shown: tuple[NDArray[Any], ...] = (image, reference, prediction)
            for whole, part in zip(shown, answer, strict=True):
                whole[0][into] = part[out_of]
        outputs = self.target.outputs
        colours = [one.colour or colour for one, colour in zip(outputs, default_colours(len(outputs)), strict=True)]
        return {
            "case_image": image,
            "case_reference": reference,
            "case_prediction": prediction,
            "case": np.array(case.id),
            "case_spacing": np.array(case.geometry.spacing, np.float64),
            "structures": np.array([one.name for one in outputs]),
            "colours": np.array(colours, np.uint8),
        }

    def advise(self, figures: dict[str, float]) -> str | None:
        """Warn when the predictions have been background, or nothing right, for three validations in a row."""
        if figures.get("mean_dice", 1.0) >= COLLAPSED:
            self._collapsed = 0
            return None
        self._collapsed += 1
        if self._collapsed < _PATIENCE:
            return None
        what = "predicts background only" if figures["predicted"] < COLLAPSED else "finds none of the structures"
        return (
            f"the network {what} (mean Dice {figures['mean_dice']:.3f}, {self._collapsed} validations in a row). What "
            "helps: a look at the previews, whether labels lie on the structures; an intensity window in which they "
            "can be seen; sampling.foreground=0.67 and a larger batch for small structures; a learning rate of 3e-4; "
            "and time, if the loss still falls"
        )

    def _draw(self, seed: int, step: int, index: int) -> tuple[NDArray[np.float32], NDArray[np.uint8], str]:
        place = self._sampler.place("train", step, index)
        spacing = self._sampler.cases[place.case].geometry.spacing
        key = stream(seed, "augment", step, index)
        draw = self._augmentation.draw(key, self._sampler.size, spacing, self._sampler.channels)
        sub_volume = self._sampler.read(place, draw.matrix)
        layers, annotated = self._augmentation.swap_sides(sub_volume.layers, sub_volume.annotated, draw)
        moved = draw.describe()
        origin = f"{sub_volume.origin}, {moved}" if moved else sub_volume.origin
        return augment_images(sub_volume.images, draw), self.target.encode(layers, annotated), origin

    def _plain(self, place: Place) -> tuple[NDArray[np.float32], NDArray[np.uint8], str]:
        found: LabelledSubVolume = self._checked.read(place)
        return found.images, self.target.encode(found.layers, found.annotated), found.origin

    def _predicted(self, network: nn.Module, places: Sequence[Place]) -> Iterator[tuple[Batch, Tensor]]:
        import torch

        device = next(network.parameters()).device
        for first in range(0, len(places), self._batch_size):
            batch = _batch([self._plain(place) for place in places[first : first + self._batch_size]])
            with torch.no_grad():
                logits = network(batch.inputs.to(device)).float()
            yield batch, logits

    def _decided(self, logits: Tensor) -> Tensor:
        """Return the prediction in the form of a target, uint8."""
        import torch

        if self.target.activation == "softmax":
            return logits.argmax(1, keepdim=True).to(torch.uint8)
        return (logits > 0).to(torch.uint8)

    def _clashes(self) -> list[str]:
        if self.target.activation == "sigmoid":
            return []
        layered = [case.id for case in (*self._sampler.cases, *self._checked.cases) if case.layers > 1]
        if not layered:
            return []
        return [
            f"Structures overlap in {len(set(layered))} cases ({', '.join(sorted(set(layered))[:5])}), but one class "
            "per voxel is learnt: voxels that two claim teach nothing. Activation sigmoid would use them."
        ]


def _batch(drawn: Sequence[tuple[NDArray[np.float32], NDArray[np.uint8], str]]) -> Batch:
    import torch

    images, targets, origins = zip(*drawn, strict=True)
    inputs = torch.from_numpy(np.stack(images))
    return Batch(inputs, torch.from_numpy(np.stack(targets)), tuple(origins), drawn=len(drawn))


def _overlaps(decided: Tensor, targets: Tensor, target: Target) -> tuple[NDArray[np.int64], ...]:
    """Return, for each output, voxels predicted rightly, predicted, and drawn; where it is annotated."""
    known = targets != UNKNOWN
    counts = []
    for output in range(len(target.outputs)):
        if target.activation == "softmax":
            one, two, where = decided == output + 1, targets == output + 1, known
        else:
            one, two, where = decided[:, output] == 1, targets[:, output] == 1, known[:, output]
        one, two = one & where, two & where
        counts.append([int((one & two).sum()), int(one.sum()), int(two.sum())])
    return tuple(np.array(counts, np.int64).T)


def _box(low: Sequence[int], high: Sequence[int], origin: Sequence[int]) -> tuple[slice, ...]:
    """Return the voxels from `low` to `high` of an array that begins at `origin`."""
    return tuple(slice(first - zero, last - zero) for first, last, zero in zip(low, high, origin, strict=True))


def _shown(masks: NDArray[np.uint8], target: Target) -> NDArray[np.uint8]:
    if target.activation == "softmax":
        classes = masks[:, 0]
        return np.where(classes == UNKNOWN, np.uint8(0), classes)
    shown = np.zeros((len(masks), *masks.shape[2:]), np.uint8)
    for output in range(masks.shape[1]):
        shown[masks[:, output] == 1] = output + 1
    return shown
