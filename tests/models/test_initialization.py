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


@pytest.mark.parametrize(
    ("classes", "large", "of"), [(3, False, 1000), (400, False, 1000), (1000, False, 1000), (1500, False, 1500),
                                 (400, True, 400), (1500, True, 1500)],
)  # fmt: skip
def test_efficientnets_classifier_is_never_wider_than_for_1000_classes(classes: int, large: bool, of: int) -> None:
    spec = get_spec("efficientnet_v2_b0")
    drawn = build_model(spec, num_classes=classes, seed=0, large_classifier=large).classifier
    assert drawn.weight.abs().max() <= 1 / math.sqrt(of)
    errors = 4 / math.sqrt(2 * drawn.weight.numel())
    assert drawn.weight.detach().std().item() == pytest.approx(1 / math.sqrt(3 * of), rel=errors)
    assert not drawn.bias.any()


def test_the_large_form_changes_the_classifier_alone() -> None:
    """A run of an earlier version is begun with the same weights as then."""
    small, large = (
        build_model(get_spec("efficientnet_b0"), num_classes=10, seed=3, large_classifier=form).state_dict()
        for form in (False, True)
    )
    assert [key for key in small if not torch.equal(small[key], large[key])] == ["classifier.weight"]
    torch.testing.assert_close(large["classifier.weight"], small["classifier.weight"] * 10)  # sqrt(1000 / 10)


def test_mobilenets_classifier_has_a_deviation_of_its_own() -> None:
    normal = build_model(get_spec("mobilenet_v2_x0.5"), num_classes=400, seed=0).classifier
    assert normal.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert not normal.bias.any()


def test_batch_norm_starts_as_the_identity() -> None:
    network = build_model(get_spec("mobilenet_v1_x0.25"), seed=0)
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        for tensor, value in ((norm.weight, 1), (norm.bias, 0), (norm.running_mean, 0), (norm.running_var, 1)):
            assert torch.equal(tensor, torch.full_like(tensor, value))
        assert norm.num_batches_tracked == 0
