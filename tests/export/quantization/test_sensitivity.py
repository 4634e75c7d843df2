"""The pre-check against closed forms and against damage done on purpose."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from foray.errors import ForayError
from foray.export.quantization import pre_check
from foray.export.quantization.advice import quantizable_variant
from foray.export.quantization.bias_correction import correct_biases
from foray.export.quantization.fake_quantization import (
    Range,
    activations_after,
    batches,
    fake_quantize_activation,
    fake_quantize_weight,
    in_int8,
    is_rectified,
    named_layers,
    observe_ranges,
)
from foray.export.quantization.layers import operators_by_layer, weighted_layers
from foray.export.quantization.sensitivity import as_table, layer_errors
from foray.models import fold_batch_norm
from foray.specs import get_spec
from tests.export.digits import PREPROCESSING, Digits
from tests.export.quantization.conftest import damaged


def test_weights_are_rounded_to_255_levels_a_channel() -> None:
    weight = (
        torch.randn(7, 5, 3, 3, generator=torch.Generator().manual_seed(0))
        * torch.logspace(-3, 3, 7)[:, None, None, None]
    )
    rounded = fake_quantize_weight(weight)
    scale = weight.abs().flatten(1).amax(1)[:, None, None, None] / 127
    levels = rounded / scale
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-3)
    assert levels.abs().max() <= 127.001
    assert ((rounded - weight).abs() <= scale * 0.501).all()
    lost = fake_quantize_weight(weight, "tensor")  # one scale for all leaves nothing of the quietest channels
    assert (lost[:3] == 0).all()
    assert fake_quantize_weight(torch.zeros(2, 3)).eq(0).all()


def test_activations_keep_zero_and_the_ends() -> None:
    values = Range(-1.3, 4.1)
    x = torch.linspace(-3, 6, 1001)
    rounded = fake_quantize_activation(x, values)
    scale = 5.4 / 255
    assert fake_quantize_activation(torch.zeros(1), values) == 0
    assert len(rounded.unique()) == 256
    assert rounded.min() == pytest.approx(-1.3, abs=scale)
    assert rounded.max() == pytest.approx(4.1, abs=scale)
    inside = (x > -1.3) & (x < 4.1)
    assert ((rounded - x).abs()[inside] <= scale * 1.001).all()


def test_rounding_passes_gradients_inside_the_range_only() -> None:
    x = torch.tensor([-2.0, 0.3, 9.0], requires_grad=True)
    fake_quantize_activation(x, Range(-1.0, 4.0)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


def test_network_is_left_as_it_was(digits: Digits) -> None:
    network = fold_batch_norm(digits.network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    ranges = observe_ranges(network, digits.pixels[:32], PREPROCESSING)
    with in_int8(network, ranges, list(ranges)):
        pass
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_damaged_layer_ranks_worst(digits: Digits) -> None:
    images = digits.pixels[:64]
    sound = fold_batch_norm(digits.network)
    errors = layer_errors(sound, observe_ranges(sound, images, PREPROCESSING), images, PREPROCESSING)
    assert min(layer.sqnr_db for layer in errors) > 15
    network, name = damaged(digits.network)
    ranking = layer_errors(network, observe_ranges(network, images, PREPROCESSING), images, PREPROCESSING)
    assert ranking[0].name == name
    assert ranking[0].activation_sqnr_db < errors[0].sqnr_db - 10


def test_one_scale_a_tensor_is_predicted_to_lose(digits: Digits) -> None:
    """One depthwise channel that reads a fiftieth and weighs 50 times as much: the same function, but with one scale
    for all channels the others keep hardly a weight that is not zero.
    """
    network = fold_batch_norm(digits.network)
    layers, channel = named_layers(network), 5
    expand, depthwise = layers["stages.1.0.expand.conv"], layers["stages.1.0.depthwise.conv"]
    network.get_submodule("stages.1.0.expand").activation = nn.ReLU()
    expand.weight[channel] /= 50
    expand.bias[channel] /= 50
    depthwise.weight[channel] *= 50
    images, name = digits.pixels[:64], "stages.1.0.depthwise.conv"
    by_channel, by_tensor = (
        pre_check(network, images, PREPROCESSING, granularity=granularity, worst=1)
        for granularity in ("channel", "tensor")
    )
    assert {layer.name: layer.weight_sqnr_db for layer in by_channel.layers}[name] > 30
    assert by_tensor.layers[0].name == name
    assert by_tensor.layers[0].weight_sqnr_db < 15
    assert by_channel.agreement > 0.9
    assert by_tensor.agreement < by_channel.agreement - 0.03
    assert "tiny will lose accuracy in int8" in by_tensor.advice


def test_pre_check_says_how_many_labels_stay(digits: Digits) -> None:
    check = pre_check(digits.network, digits.train.sample(100, 0), PREPROCESSING, worst=2)
    assert check.n == 100
    assert check.interval[0] < check.agreement <= check.interval[1]
    assert check.agreement >= 0.97
    assert "tiny should quantise well to int8" in check.advice
    assert "n = 100" in check.advice
    assert [layer.agreement is None for layer in check.layers[:3]] == [False, False, True]
    assert {layer.name for layer in check.layers} == set(named_layers(digits.network))
    assert as_table(check.layers).count("\n") == len(check.layers) + 1


def test_variants_named_exist() -> None:
    for name in ("efficientnet_b0", "tf_efficientnet_v2_b0", "mobilenet_v3_large", "tf_mobilenet_v3_small"):
        variant = quantizable_variant(get_spec(name))
        assert variant is not None
        assert get_spec(variant).activation in ("relu", "relu6")
    for name in ("mobilenet_v2", "efficientnet_lite0", "mobilenet_v3_large_minimalistic"):
        assert quantizable_variant(get_spec(name)) is None


def test_layers_are_listed_as_they_run(digits: Digits) -> None:
    layers = weighted_layers(digits.network)
    names = [layer.name for layer in layers]
    assert names[0] == "stem.conv"
    assert names[-2:] == ["head.conv", "classifier"]
    counts = [layer.weights for layer in layers]
    found = operators_by_layer(layers, [7, *counts], lambda count: count)
    assert list(found.values()) == counts
    with pytest.raises(ForayError, match="do not match"):
        operators_by_layer(layers, [*counts[:-1], 1], lambda count: count)
    assert np.unique(names).size == len(names)


def test_corrected_bias_makes_the_mean_right(digits: Digits) -> None:
    """Layer by layer, alone in int8, on the images it was measured on; the sound network is left alone.

    Exactly right where a rectifier follows. Elsewhere what is written is rounded as well, which no bias makes up for:
    by less than a third of the error over the pixels of a map, by about a step / sqrt(12 n) over the classifier's few.
    """
    images = digits.train.sample(48, 0)
    network = fold_batch_norm(digits.network)
    corrected = correct_biases(network, images, PREPROCESSING)
    ranges = observe_ranges(network, images, PREPROCESSING)
    activations = activations_after(network)
    for name, layer in named_layers(network).items():
        exact = mean_output(network, name, images)
        lone = copy.deepcopy(network)
        with in_int8(lone, ranges, [name]):
            before = float((mean_output(lone, name, images) - exact).abs().mean())
        named_layers(lone)[name].bias.copy_(named_layers(corrected)[name].bias)
        with in_int8(lone, ranges, [name]):
            after = float((mean_output(lone, name, images) - exact).abs().mean())
        step = (ranges[name].writes.high - ranges[name].writes.low) / 255
        if is_rectified(name, activations):
            assert after < before / 1000
        elif isinstance(layer, nn.Linear):
            assert after < min(before, 1.5 * step / math.sqrt(12 * len(images)))
        else:
            assert after < before / 3


def mean_output(network: nn.Module, name: str, images: np.ndarray) -> torch.Tensor:
    """Mean of what the layer `name` computes, a channel."""
    outputs = []
    hook = network.get_submodule(name).register_forward_hook(lambda _, __, output: outputs.append(output.clone()))
    for batch in batches(images, PREPROCESSING):
        network(batch)
    hook.remove()
    return torch.cat(outputs).transpose(0, 1).flatten(1).mean(1)
