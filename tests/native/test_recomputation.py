"""What the backward pass computes again: the same bits, and no longer kept."""

from __future__ import annotations

import contextlib
import copy
import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from foray.models import build_model
from foray.models.layers import LayerStyle
from foray.native.kernels import compiled_kernels
from foray.native.norm_activation import can_be_recomputed, recomputed_for_backward
from foray.specs import SqueezeExcitationStyle, get_spec

needs_kernels = pytest.mark.skipif(compiled_kernels() is None, reason="no C++ compiler on this machine")


def images(n: int, side: int) -> Tensor:
    drawn = torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))
    return drawn.to(memory_format=torch.channels_last)


def gradients(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    torch.manual_seed(0)
    network(x).square().mean().backward()
    return {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}


@needs_kernels
@pytest.mark.parametrize(
    "name",
    ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "efficientnet_v2_b0", "ghostnet",
     "mnasnet_a1", "resnet18", "xception"],
)  # fmt: skip
def test_gradients_are_bit_for_bit_those_of_what_is_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_model(get_spec(name), num_classes=5, seed=0).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    other = copy.deepcopy(network)
    ours = gradients(network, images(2, 64))
    monkeypatch.setattr("foray.models.layers.recomputed_for_backward", lambda _: contextlib.nullcontext())
    kept = gradients(other, images(2, 64))
    assert ours.keys() == kept.keys()
    assert all(torch.equal(ours[name], kept[name]) for name in kept)


@needs_kernels
def test_an_activation_is_gone_after_the_forward_pass_and_its_convolutions_output_is_not() -> None:
    style = LayerStyle("relu6", "symmetric", 1e-5, 0.1, SqueezeExcitationStyle())
    first, second = style.conv(3, 8, 3).train(), style.depthwise(8, 3).train()
    hidden = first(images(2, 16))
    gone = weakref.ref(hidden)
    out = second(hidden)
    del hidden
    gc.collect()
    assert gone() is None
    out.sum().backward()
    assert all(weight.grad is not None for weight in (*first.parameters(), *second.parameters()))


def test_a_map_that_was_written_into_since_is_kept_as_it_is() -> None:
    weight = torch.tensor(3.0, requires_grad=True)
    y = torch.ones(4)
    can_be_recomputed(y, lambda: torch.ones(4))
    y.add_(1.0)
    with recomputed_for_backward(y):
        out = y * weight
    out.sum().backward()
    assert weight.grad == 8.0


def test_what_is_kept_beside_a_map_stays() -> None:
    x, weight = torch.ones(4, requires_grad=True), torch.full((4,), 3.0, requires_grad=True)
    y = x.clone()
    can_be_recomputed(y, lambda: torch.full((4,), 7.0))  # another number, to see that it is asked for
    with recomputed_for_backward(y):
        out = y * weight
    out.sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [7.0] * 4
    assert x.grad is not None
    assert x.grad.tolist() == [3.0] * 4
