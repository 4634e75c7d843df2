"""The running average of weights against its closed formula, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from foray.training.average import WeightAverage


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2)).train()


def test_the_average_is_the_weighted_sum_of_all_weights_so_far() -> None:
    followed = network()
    weights = [torch.full((2, 2), float(value)) for value in (3, -1, 4, 1, -5, 9, 2, 6)]
    followed[0].weight.data.copy_(weights[0])
    average = WeightAverage(followed, decay=0.6)
    decays = [min(0.6, (1 + step) / (10 + step)) for step in range(len(weights) - 1)]
    assert decays[:2] == pytest.approx([1 / 10, 2 / 11])
    assert decays[-1] < 0.6  # the warm-up lasts until (1 + t) / (10 + t) = 0.6, t = 12.5
    for step, weight in enumerate(weights[1:]):
        followed[0].weight.data.copy_(weight)
        average.update(step)
    # Each weight's share: what it was taken in with, times all later decays; the first is there from the start.
    shares = [1.0, *(1 - decay for decay in decays)]
    for i in range(len(shares)):
        for decay in decays[i:]:
            shares[i] *= decay
    assert sum(shares) == pytest.approx(1.0)
    expected = sum(share * weight for share, weight in zip(shares, weights, strict=True))
    assert torch.allclose(average.network[0].weight, expected, atol=1e-5)


def test_a_long_average_uses_the_recipes_decay() -> None:
    followed = network()
    average = WeightAverage(followed, decay=0.9)
    before = average.network[0].weight.clone()
    followed[0].weight.data.add_(1.0)
    average.update(1000)
    assert torch.allclose(average.network[0].weight - before, torch.full((2, 2), 0.1), atol=1e-6)


def test_batch_norm_statistics_are_averaged_and_batches_counted() -> None:
    followed = network()
    average = WeightAverage(followed, decay=0.5)
    followed(torch.randn(8, 2) + 5)
    average.update(100)
    assert torch.allclose(average.network[1].running_mean, 0.5 * followed[1].running_mean)
    assert average.network[1].num_batches_tracked == 1


def test_what_is_frozen_keeps_even_the_sign_of_zero() -> None:
    followed = network()
    followed[0].weight.data.fill_(-0.0)
    followed[0].requires_grad_(False)
    followed[1].eval()  # as batch norms of frozen layers are
    followed[1].running_mean.fill_(-0.0)
    average = WeightAverage(followed, decay=0.9)
    average.update(0)
    assert bool(torch.signbit(average.network[0].weight).all())
    assert bool(torch.signbit(average.network[1].running_mean).all())
    followed[0].requires_grad_(True)
    followed[0].weight.data.fill_(1.0)
    average.choose()
    average.update(100)
    assert torch.allclose(average.network[0].weight, torch.full((2, 2), 0.1))


def test_the_average_takes_no_gradients_and_is_in_inference_mode() -> None:
    average = WeightAverage(network(), decay=0.9).network
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert not any(module.training for module in average.modules())
