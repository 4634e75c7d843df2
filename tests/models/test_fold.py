"""Folding batch norm changes speed, not outputs."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from foray.models import build_model, fold_batch_norm
from foray.specs import get_spec


def trained_looking(name: str):
    network = build_model(get_spec(name), num_classes=5, seed=0)
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0.0, 0.2, generator=generator)
            module.momentum = 1.0
    network.classifier.weight.data.normal_(0.0, 0.05, generator=generator)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 64, 64, generator=generator))
    return network


@pytest.mark.parametrize(
    "name", ["tf_mobilenet_v1_x0.5", "mobilenet_v2_x0.5", "tf_efficientnet_b0", "efficientnet_v2_b0"]
)
def test_folded_outputs_are_equal_and_the_network_is_left_as_it_was(name: str) -> None:
    network = trained_looking(name)
    before = copy.deepcopy(network.state_dict())
    folded = fold_batch_norm(network)
    assert network.training
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    images = torch.randn(3, 3, 75, 64, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected, features = network.eval()(images), network.forward_features(images)
        for ours, theirs in ((folded(images), expected), (folded.forward_features(images), features)):
            assert theirs.abs().max() > 0.1
            assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()
