"""mixup and cutmix: images and targets are mixed in exactly the same shares."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from foray.augmentation import Mix
from foray.recipes.recipe import Augmentation

CLASSES = 10


def constant_images(n: int, side: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Image i is full of i and of class i: (N, 3, side, side) channels-last, (N,)."""
    labels = torch.arange(n)
    images = labels.float().view(-1, 1, 1, 1).repeat(1, 3, side, side)
    return images.contiguous(memory_format=torch.channels_last), labels


def test_off_gives_the_same_objects_back() -> None:
    images, labels = constant_images(4)
    before = images.clone()
    for options in ({}, {"mixup_alpha": 0.2, "cutmix_alpha": 1.0, "mix_probability": 0.0}):
        mixed, targets = Mix(Augmentation(**options), CLASSES, seed=0)(images, labels, 1, 2)
        assert mixed is images
        assert targets is labels
        assert torch.equal(images, before)


@given(
    n=st.integers(1, CLASSES),
    alpha=st.floats(0.05, 5),
    kind=st.sampled_from(["mixup", "cutmix"]),
    side=st.integers(1, 15),
    step=st.integers(0, 10_000),
)
@settings(max_examples=100)
def test_targets_are_the_shares_of_the_pixels_and_add_to_one(
    n: int, alpha: float, kind: str, side: int, step: int
) -> None:
    images, labels = constant_images(n, side)
    mixed, targets = Mix(Augmentation(**{f"{kind}_alpha": alpha}), CLASSES, seed=0)(images, labels, 0, step)
    assert targets.dtype == torch.float32
    assert targets.shape == (n, CLASSES)
    assert torch.equal(targets.sum(dim=1), torch.ones(n))
    values = torch.arange(CLASSES).float()
    # every pixel of a constant image is that class's number: the mean over pixels is the mean over targets
    torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), targets @ values, rtol=0, atol=1e-5)
    own = targets[torch.arange(n), labels]
    torch.testing.assert_close(targets.sum(dim=0), torch.ones(CLASSES).where(values < n, 0))  # partners: a permutation
    if kind == "cutmix":
        assert set(mixed.unique().tolist()) <= set(range(n))
        left = (mixed[:, 0] == values[:n].view(-1, 1, 1)).sum(dim=(1, 2))
        assert torch.equal(own, (left / side**2).float())


def test_cutmix_moves_one_box_to_the_same_place() -> None:
    side = 20
    images = torch.randn(6, 3, side, side)
    before, labels = images.clone(), torch.arange(6)
    boxes = set()
    for step in range(30):
        mixed, targets = Mix(Augmentation(cutmix_alpha=1.0), CLASSES, seed=0)(before.clone(), labels, 0, step)
        changed = (mixed != before).all(dim=1)
        if not changed.any():
            continue
        rows, columns = changed.any(dim=2), changed.any(dim=1)
        for i in torch.nonzero(changed.flatten(1).any(dim=1)).flatten().tolist():
            assert torch.equal(changed[i], rows[i][:, None] & columns[i][None, :])  # one rectangle
            partner = int(torch.nonzero(targets[i] * (torch.arange(CLASSES) != i)).item())
            assert torch.equal(mixed[i], torch.where(changed[i], before[partner], before[i]))
            boxes.add((int(rows[i].int().argmax()), int(columns[i].int().argmax()), int(rows[i].sum())))
    assert len(boxes) > 15


def test_mixup_shares_follow_the_beta_distribution() -> None:
    alpha, shares = 0.4, []
    mix = Mix(Augmentation(mixup_alpha=alpha), CLASSES, seed=0)
    for step in range(600):
        images, labels = constant_images(4, 1)
        _, targets = mix(images, labels, 0, step)
        moved = targets[torch.arange(4), labels] < 1
        shares += targets[torch.arange(4), labels][moved][:1].tolist()
    deviation = 1 / math.sqrt(4 * (2 * alpha + 1))  # of Beta(alpha, alpha)
    assert abs(np.mean(shares) - 0.5) < 5 * deviation / math.sqrt(len(shares))
    assert abs(np.std(shares) - deviation) < 0.05


def test_with_both_each_batch_draws_one_and_as_many_are_mixed_as_asked() -> None:
    mix = Mix(Augmentation(mixup_alpha=1.0, cutmix_alpha=1.0, mix_probability=0.7), CLASSES, seed=0)
    kinds = {"none": 0, "mixup": 0, "cutmix": 0}
    for step in range(500):
        images, labels = constant_images(8)
        mixed, targets = mix(images, labels, 0, step)
        if targets is labels:
            kinds["none"] += 1
        else:
            kinds["cutmix" if torch.equal(mixed, mixed.round()) else "mixup"] += 1
    for kind, expected in (("none", 0.3), ("mixup", 0.35), ("cutmix", 0.35)):
        assert abs(kinds[kind] / 500 - expected) < 5 * math.sqrt(expected * (1 - expected) / 500)


def test_the_same_seed_epoch_and_step_mix_the_same_and_others_do_not() -> None:
    def run(seed: int, epoch: int, step: int) -> torch.Tensor:
        images, labels = constant_images(8)
        return Mix(Augmentation(mixup_alpha=1.0), CLASSES, seed=seed)(images, labels, epoch, step)[0]

    base = run(1, 2, 3)
    torch.manual_seed(99)
    assert torch.equal(run(1, 2, 3), base)
    for other in [(2, 2, 3), (1, 3, 3), (1, 2, 4), (3, 2, 1)]:
        assert not torch.equal(run(*other), base)


def test_the_loss_of_mixed_targets_is_the_mixed_loss() -> None:
    """Zhang et al. 2018, section 2: the loss is linear in the target."""
    images, labels = constant_images(6)
    logits = torch.randn(6, CLASSES)
    _, targets = Mix(Augmentation(mixup_alpha=1.0), CLASSES, seed=0)(images, labels, 0, 0)
    by_class = torch.stack(
        [functional.cross_entropy(logits, torch.full((6,), c), reduction="none") for c in range(CLASSES)], dim=1
    )
    torch.testing.assert_close(functional.cross_entropy(logits, targets), (targets * by_class).sum(dim=1).mean())
