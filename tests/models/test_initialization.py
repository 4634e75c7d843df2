"""Fresh weights have the deviation each family's authors published."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from foray.models import build_model
from foray.specs import get_spec


def fan_out(conv: nn.Conv2d, *, of_one_group: bool) -> int:
    kernel = conv.kernel_size[0] * conv.kernel_size[1]
    return kernel * conv.out_channels // (conv.groups if of_one_group else 1)


@pytest.mark.parametrize(("name", "of_one_group"), [("efficientnet_v2_b0", True), ("mobilenet_v2", False)])
def test_convolutions_have_variance_2_over_fan_out(name: str, of_one_group: bool) -> None:
    network = build_model(get_spec(name), seed=0)
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d) and module.weight.numel() > 4000]
    assert any(conv.groups > 1 for conv in convs)
    for conv in convs:
        ratio = conv.weight.std().item() / math.sqrt(2 / fan_out(conv, of_one_group=of_one_group))
        assert ratio == pytest.approx(1, abs=5 / math.sqrt(2 * conv.weight.numel()))  # five standard errors
    for conv in (module for module in network.modules() if isinstance(module, nn.Conv2d) and module.bias is not None):
        assert not conv.bias.any()


def test_classifiers_follow_their_family() -> None:
    uniform = build_model(get_spec("efficientnet_v2_b0"), num_classes=400, seed=0).classifier
    assert uniform.weight.abs().max() <= 1 / math.sqrt(400)
    assert uniform.weight.std().item() == pytest.approx(1 / math.sqrt(3 * 400), rel=0.01)
    normal = build_model(get_spec("mobilenet_v2_x0.5"), num_classes=400, seed=0).classifier
    assert normal.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert not uniform.bias.any()
    assert not normal.bias.any()


def test_batch_norm_starts_as_the_identity() -> None:
    network = build_model(get_spec("mobilenet_v1_x0.25"), seed=0)
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        for tensor, value in ((norm.weight, 1), (norm.bias, 0), (norm.running_mean, 0), (norm.running_var, 1)):
            assert torch.equal(tensor, torch.full_like(tensor, value))
        assert norm.num_batches_tracked == 0
