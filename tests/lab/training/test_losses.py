"""The losses, against the formulas that they are named after."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tests.lab.training.tiny import TINY
from voiceguard.lab.training.losses import AamSoftmax, Objective, contrast

DIM, CLASSES = 5, 4


def aam(**changes: float) -> AamSoftmax:
    torch.manual_seed(0)
    return AamSoftmax(DIM, CLASSES, replace(TINY, **changes))  # type: ignore[arg-type]


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, DIM, generator=generator), torch.tensor([0, 1, 2, 3, 0, 1])


def value_of(loss: torch.Tensor) -> float:
    return float(loss.detach())


def cosines(loss: AamSoftmax, embeddings: torch.Tensor) -> torch.Tensor:
    unit = torch.nn.functional.normalize
    return unit(embeddings) @ unit(loss.centers).T


def test_without_a_margin_it_is_the_scaled_softmax() -> None:
    loss, (embeddings, labels) = aam(), batch()

    expected = torch.nn.functional.cross_entropy(30 * cosines(loss, embeddings), labels)

    assert value_of(loss(embeddings, labels, 0.0)) == pytest.approx(value_of(expected), rel=1e-5)


def test_the_margin_is_added_to_the_angle_of_the_right_class() -> None:
    loss, (embeddings, labels) = aam(), batch()
    angles = torch.arccos(cosines(loss, embeddings))
    rows = torch.arange(len(labels))
    angles[rows, labels] += 0.2

    expected = torch.nn.functional.cross_entropy(30 * torch.cos(angles), labels)

    assert value_of(loss(embeddings, labels, 0.2)) == pytest.approx(value_of(expected), rel=1e-4)


def test_the_loss_rises_with_the_margin_even_where_the_angles_sum_wraps_around() -> None:
    loss = aam()
    opposite = -loss.centers.detach()[:1]
    values = [value_of(loss(opposite, torch.tensor([0]), margin)) for margin in (0.0, 0.2, 0.4)]

    assert values == sorted(values)
    assert values[0] < values[2]


def test_a_sub_center_near_by_is_enough() -> None:
    loss = aam(sub_centers=2)
    near = loss.centers.detach()[3:4]  # the second centre of class 1

    right, wrong = (value_of(loss(near, torch.tensor([number]), 0.0)) for number in (1, 0))

    assert right < wrong


def test_inter_top_k_makes_the_nearest_wrong_classes_harder() -> None:
    (embeddings, labels), plain = batch(), aam()
    harder = aam(inter_top_k=2, inter_top_k_margin=0.1)

    assert value_of(harder(embeddings, labels, 0.2)) > value_of(plain(embeddings, labels, 0.2))


def test_a_perfect_student_has_no_distillation_loss_and_a_constant_one_does() -> None:
    torch.manual_seed(0)
    targets = torch.nn.functional.normalize(torch.randn(8, DIM))
    objective = Objective(
        DIM, DIM, CLASSES, replace(TINY, aam_weight=0.0, contrast_weight=0.0, teacher="default")
    )
    assert objective.head is not None
    torch.nn.init.eye_(objective.head.weight)
    torch.nn.init.zeros_(objective.head.bias)
    labels = torch.zeros(8, dtype=torch.int64)

    perfect, parts = objective(3 * targets, targets, labels, 0.0)
    constant, _ = objective(torch.ones(8, DIM), targets, labels, 0.0)

    assert value_of(perfect) == pytest.approx(0, abs=1e-5)
    assert set(parts) == {"distillation", "similarity"}
    assert value_of(constant) > 1


def test_the_parts_are_weighted_as_the_recipe_says() -> None:
    torch.manual_seed(0)
    targets = torch.nn.functional.normalize(torch.randn(6, 7))
    embeddings, labels = batch()
    config = replace(
        TINY,
        distillation_weight=2.0,
        similarity_weight=3.0,
        contrast_weight=0.0,
        aam_weight=0.5,
        teacher="default",
    )
    loss, parts = Objective(DIM, 7, CLASSES, config)(embeddings, targets, labels, 0.1)

    weighted = 2 * parts["distillation"] + 3 * parts["similarity"] + 0.5 * parts["aam"]

    assert value_of(loss) == pytest.approx(value_of(weighted), rel=1e-5)
    assert math.isfinite(value_of(loss))


def test_contrast_is_nothing_for_the_teachers_own_answer_and_rises_with_the_confusion() -> None:
    unit = torch.nn.functional.normalize
    targets = unit(batch()[0])
    others = unit(torch.randn(20, DIM, generator=torch.Generator().manual_seed(2)))
    anchors = torch.cat([targets, others])

    same = value_of(contrast(targets, targets, anchors, 16.0))
    nearly = value_of(contrast(unit(targets + 0.2 * targets.roll(1, 0)), targets, anchors, 16.0))
    swapped = value_of(contrast(targets.roll(1, 0), targets, anchors, 16.0))

    assert same == pytest.approx(0, abs=1e-6)
    assert same < nearly < swapped


def test_contrast_is_part_of_the_loss_where_it_has_a_weight() -> None:
    embeddings, labels = batch()
    targets = torch.nn.functional.normalize(batch()[0])
    torch.manual_seed(0)
    objective = Objective(DIM, DIM, CLASSES, replace(TINY, contrast_weight=0.5))

    loss, parts = objective(embeddings, targets, labels, 0.0, targets[:2])

    without = {name: part for name, part in parts.items() if name != "contrast"}
    assert set(without) == {"distillation", "similarity", "aam"}
    expected = (
        objective.config.distillation_weight * parts["distillation"]
        + objective.config.similarity_weight * parts["similarity"]
        + objective.config.aam_weight * parts["aam"]
        + 0.5 * parts["contrast"]
    )
    assert value_of(loss) == pytest.approx(value_of(expected), rel=1e-5)
