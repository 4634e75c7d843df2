"""Every family at sizes no stage divides evenly: inference, training, channels-last, bfloat16, export, compilation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from foray.models import Network, build_model
from foray.specs import ArchSpec, SqueezeExcitationStyle, get_spec
from tests import rounding
from tests.full import FULL
from tests.rounding import BFLOAT16

from .test_build import EVERY_ROW, ONE_OF_EACH, images, lively_statistics

# Every kind of row, once with TensorFlow's padding and pooling, once symmetric with the other gate and activation.
# Export and compilation take seconds a block, the same for all blocks of a kind.
TENSORFLOW = replace(EVERY_ROW, stem_pool=True)
SYMMETRIC = replace(
    EVERY_ROW,
    padding="symmetric",
    activation="hard_swish",
    squeeze_excitation=SqueezeExcitationStyle(of="hidden", divisor=8, gate="hard_sigmoid"),
)


def channels_last(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.to(memory_format=torch.channels_last)


def without_chance(name: str) -> Network:
    return build_model(get_spec(name), num_classes=3, dropout=0.0, stochastic_depth_prob=0.0, seed=0)


def distance(ours: torch.Tensor, exact: torch.Tensor) -> float:
    """Of the difference's length to that of `exact`."""
    return float((ours.float() - exact).norm() / exact.norm())


@pytest.mark.parametrize("name", ONE_OF_EACH)
@torch.inference_mode()
def test_a_single_image_of_any_size_in_either_memory_format(name: str) -> None:
    network = lively_statistics(without_chance(name))
    pixels = {side: images(1, side, seed=1) for side in (65, 97, 225)}
    usual = {side: network(image) for side, image in pixels.items()}
    last = network.to(memory_format=torch.channels_last)
    for side, image in pixels.items():
        assert usual[side].shape == (1, 3)
        assert usual[side].isfinite().all()
        assert distance(last(channels_last(image)), usual[side]) < 1e-3


@pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_training_steps_down_to_one_image(name: str, bfloat16: bool) -> None:
    """65 pixels leave 3 x 3 positions after the last stage: batch norm has nine values a channel even of one image.

    From 32 pixels down it would have one, and torch refuses to take a variance of that.
    """
    network = without_chance(name).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    for n in (2, 1):
        before = network.stem.conv.weight.detach().clone()
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = nn.functional.cross_entropy(network(channels_last(images(n, 65))), torch.arange(n))
        loss.backward()
        optimiser.step()
        assert loss.isfinite()
        gradients = {key: parameter.grad for key, parameter in network.named_parameters()}
        assert [key for key, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()] == []
        assert not torch.equal(network.stem.conv.weight, before)


class Features(nn.Module):
    """What precedes the classifier."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network.forward_features(x)


@pytest.mark.parametrize("name", ONE_OF_EACH if FULL else ONE_OF_EACH[:-2])
@torch.no_grad()
def test_bfloat16_computes_the_same_features(name: str) -> None:
    """Networks of random weights amplify the rounding to 8 bits, each by its own factor, to 0.02 (ResNet-18) to 0.25
    (ResNet-50) of the features' length. Features of other images are farther away than that is allowed to be.
    """
    pixels = images(4, side=97)
    network = without_chance(name)
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.momentum = 1.0
    network.train()(pixels)
    exact = network.eval().forward_features(pixels)
    tolerance = rounding.tolerance(Features(network), pixels, BFLOAT16, distance=distance, draws=4, margin=1.5)
    assert distance(network.forward_features(images(4, side=97, seed=1)), exact) > tolerance
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network.forward_features(pixels)
        assert network.classifier(mixed).isfinite().all()
    network.to(torch.bfloat16)
    low = network.forward_features(pixels.bfloat16())
    logits = network.classifier(low)
    assert low.dtype == logits.dtype == torch.bfloat16
    assert logits.isfinite().all()
    assert distance(mixed, exact) < tolerance
    assert distance(low, exact) < tolerance


@pytest.mark.parametrize("spec", [TENSORFLOW, SYMMETRIC], ids=["tensorflow", "symmetric"])
@torch.no_grad()
def test_export_at_an_odd_size_holds_for_any_batch(spec: ArchSpec) -> None:
    network = lively_statistics(build_model(spec, num_classes=3, seed=0))
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(network, (images(2, 65),), dynamic_shapes=({0: batch},)).module()
    for n in (1, 5):
        torch.testing.assert_close(exported(images(n, 65, seed=1)), network(images(n, 65, seed=1)))


def test_compilation_keeps_the_whole_graph_and_the_gradients() -> None:
    network = lively_statistics(build_model(TENSORFLOW, num_classes=3, stochastic_depth_prob=0.0, dropout=0.0, seed=0))
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    pixels = images(2, 65, seed=1)
    with torch.no_grad():
        torch.testing.assert_close(compiled(pixels), network(pixels))
    network.train()
    compiled(pixels).square().sum().backward()
    compiled_gradients = {key: parameter.grad.clone() for key, parameter in network.named_parameters()}
    network.zero_grad()
    network(pixels).square().sum().backward()
    for key, parameter in network.named_parameters():
        torch.testing.assert_close(compiled_gradients[key], parameter.grad, rtol=1e-3, atol=1e-4, msg=key)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_batch_of_one_image_trains_where_the_last_map_is_one_pixel(name: str) -> None:
    """One value per channel has no variance: the running statistics normalise it, and stay what they were."""
    network = without_chance(name).train()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    single: list[nn.BatchNorm2d] = []
    for norm in norms:
        norm.register_forward_pre_hook(
            lambda norm, args: single.append(norm) if args[0].numel() == len(norm.bias) else None
        )
    before = {norm: norm.running_var.clone() for norm in norms}
    network(images(1, 32, seed=2)).sum().backward()
    assert single
    for norm in norms:
        assert norm.running_var.isfinite().all()
        assert torch.equal(norm.running_var, before[norm]) == (norm in single)
        assert norm.weight.grad is not None
        assert norm.weight.grad.isfinite().all()
