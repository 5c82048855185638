"""The plan of a fine-tuning: what the data and the machine decide, and that the user's word stands."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.model.card import ModelCard
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.training.finetune_plan import Given, Machine, make_plan, step_memory
from genesis_core.training.set_facts import SetFacts, StructureFacts
from genesis_core.volumes.preprocessing import Preprocessing

CPU = Machine("cpu", 20 * 10**9, 2)
LIVER = SetFacts(
    "ct",
    ((400, 512, 512),) * 30,
    ((0.8, 0.8, 1.0),) * 30,
    30,
    (StructureFacts("liver", 30, (220, 180, 200), 1500), StructureFacts("tumour", 20, (60, 60, 60), 20)),
)


def source(width: int = 8, spacing: tuple[float, float, float] | None = None) -> ModelCard:
    preprocessing = Preprocessing.model_validate({"modality": "ct", "spacing": spacing})
    return ModelCard(
        name="source", task="restoration", network=UNet3DSettings(width=width, norm="batch"), activation="sigmoid",
        preprocessing=preprocessing, patch_size=(32, 64, 64), schema=1,
    )  # fmt: skip


def test_small_scans_of_one_spacing_are_taken_whole_and_as_scanned() -> None:
    heads = SetFacts(
        "mr", ((35, 51, 35),) * 40, ((1.0, 1.0, 1.0),) * 40, 28, (StructureFacts("a", 40, (20, 20, 9), 2),)
    )
    plan = make_plan(heads, CPU, Given(), None)
    assert plan.spacing is None
    assert plan.patch == (40, 56, 40)
    assert plan.folds == 1


def test_a_large_organ_gets_coarser_voxels_until_a_patch_can_hold_most_of_it() -> None:
    plan = make_plan(LIVER, CPU, Given(), None)
    assert plan.spacing is not None
    assert min(plan.spacing) > 2
    assert "coarser than the scans" in plan.reasons["data.spacing"]
    covered = [n * s for n, s in zip(plan.patch[::-1], plan.spacing, strict=True)]
    assert min(covered) > 130


def test_voxels_never_grow_so_coarse_that_the_smallest_structure_is_lost() -> None:
    small = SetFacts(
        "ct", LIVER.shapes, LIVER.spacings, 30, (*LIVER.structures, StructureFacts("nodule", 9, (9, 9, 9), 0.3))
    )
    plan = make_plan(small, CPU, Given(), None)
    diameter = 2 * (3 * 300 / (4 * math.pi)) ** (1 / 3)
    assert max(plan.spacing or small.median_spacing) <= diameter / 6 + 0.01


def test_what_the_user_sets_is_obeyed_and_said() -> None:
    as_scanned = make_plan(LIVER, CPU, Given(spacing="as scanned"), None)
    assert (as_scanned.spacing, as_scanned.reasons["data.spacing"]) == (None, "as scanned: as you set it.")
    given_by_user = Given((2.0, 2.0, 2.0), (48, 48, 48), 12, "batch", 3, 77, None, 1)
    plan = make_plan(LIVER, CPU, given_by_user, None)
    assert (plan.spacing, plan.patch, plan.width, plan.norm, plan.batch_size, plan.steps, plan.folds) == (
        (2.0, 2.0, 2.0), (48, 48, 48), 12, "batch", 3, 77, 1,
    )  # fmt: skip
    assert sum("as you set it" in reason for reason in plan.reasons.values()) == 7


def test_the_source_decides_width_and_norm_and_only_warns_about_spacing_and_patch() -> None:
    plan = make_plan(LIVER, CPU, Given(), source(spacing=(1.0, 1.0, 1.0)))
    assert (plan.width, plan.norm) == (8, "batch")
    assert len(plan.warnings) == 2


def test_under_twenty_subjects_every_one_is_held_out_once_and_no_best_is_picked() -> None:
    few = SetFacts("ct", LIVER.shapes[:12], LIVER.spacings[:12], 12, LIVER.structures)
    plan = make_plan(few, CPU, Given(), None)
    assert (plan.folds, plan.keep) == (5, "last")
    assert make_plan(LIVER, CPU, Given(), None).keep == "best"


def test_a_patch_that_does_not_fit_into_memory_is_shrunk_and_said() -> None:
    plan = make_plan(LIVER, Machine("cpu", 900_000_000, 4), Given(width=32), None)
    assert plan.memory <= 900_000_000
    assert "largest that fits" in plan.reasons["sampling.patch_size"]


@given(
    shape=st.tuples(*[st.integers(1, 600)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 8)] * 3),
    share=st.floats(0.01, 1),
    subjects=st.integers(1, 200),
    kind=st.sampled_from(["cpu", "cuda", "mps"]),
)
@settings(deadline=None, max_examples=150)
def test_every_plan_has_a_patch_the_network_can_take_and_a_reason_for_each_choice(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], share: float, subjects: int, kind: str
) -> None:
    extent = tuple(n * s * share for n, s in zip(shape[::-1], spacing, strict=True))
    volume = math.prod(extent) / 2000
    facts = SetFacts("ct", (shape,), (spacing,), subjects, (StructureFacts("x", 1, extent, volume),))  # type: ignore[arg-type]
    plan = make_plan(facts, Machine(kind, 10**11, 4), Given(), None)
    assert all(n % 8 == 0 and n >= 8 for n in plan.patch)
    assert plan.batch_size >= 2
    assert plan.memory == step_memory(plan.patch, plan.batch_size, plan.width, 4)
    assert {"data.spacing", "sampling.patch_size", "network.width", "training.batch_size", "memory"} <= set(
        plan.reasons
    )
