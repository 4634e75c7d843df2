"""The builder: what it makes of a spec, and what must never change it."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from foray.models import Network, build_model, fold_batch_norm
from foray.models.blocks import InvertedResidualBlock
from foray.models.layers import StochasticDepth
from foray.specs import (
    ArchSpec,
    BasicResidual,
    Bneck,
    BottleneckResidual,
    Conv,
    DepthwiseSeparable,
    FusedInvertedResidual,
    GhostBottleneck,
    InvertedResidual,
    PlainConv,
    SeparableConv,
    SeparableResidual,
    get_spec,
    spec_names,
)

EVERY_ROW = replace(
    get_spec("tf_efficientnet_v2_b0"),
    stages=(
        FusedInvertedResidual(1, 8, 2, 1),  # its second block has a skip connection around an activation
        FusedInvertedResidual(2, 8, 2, 2),
        DepthwiseSeparable(16, 1, 2),
        InvertedResidual(1, 16, 1, 1),
        InvertedResidual(2, 16, 2, 2, kernel=5, se_ratio=0.25),
        Bneck((24, 40), 16, 1, 5, squeeze=True, activation="hard_swish"),
        GhostBottleneck((24, 24), 16, 1, 3, (True, False)),
        BasicResidual(16, 2, 1),
        BottleneckResidual(32, 2, 1),
        SeparableResidual(32, 1, 2, widen_last=True),
        SeparableResidual(32, 1, 1, num_convs=3),
        SeparableConv(24),
        PlainConv(24),
    ),
    head=Conv(24, 1),
    hidden_features=32,
    published=None,
)
ONE_OF_EACH = [
    "tf_mobilenet_v1_x0.25", "mobilenet_v2_x0.35", "tf_efficientnet_b0", "tf_efficientnet_v2_b0", "efficientnet_lite0",
    "tf_mobilenet_v3_small", "mnasnet_a1", "ghostnet_x0.5", "resnet18", "resnet50", "tf_xception",
]  # fmt: skip


def images(n: int = 2, side: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", spec_names())
def test_parameters_are_as_many_as_published(name: str) -> None:
    spec = get_spec(name)
    with torch.device("meta"):
        network = build_model(spec)
    assert sum(parameter.numel() for parameter in network.parameters()) == spec.published.params
    assert network.classifier.weight.shape == (1000, network.num_features)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_meta_networks_have_shapes_and_no_memory(name: str) -> None:
    with torch.device("meta"):
        network = build_model(get_spec(name), num_classes=5).eval()
        assert all(tensor.is_meta for tensor in network.state_dict().values())
        assert network(torch.empty(3, 3, 97, 64)).shape == (3, 5)


@pytest.mark.parametrize(
    "spec",
    [
        *(get_spec(name) for name in [*ONE_OF_EACH, "mobilenet_v1_x0.25", "tf_mobilenet_v2"]),
        *(replace(EVERY_ROW, activation=activation) for activation in ("relu", "relu6", "silu", "hard_swish")),
    ],
    ids=lambda spec: f"{spec.name}-{spec.activation}",
)
def test_every_parameter_gets_a_gradient(spec: ArchSpec) -> None:
    network = build_model(spec, num_classes=3, stochastic_depth_prob=0.0, seed=0).train()
    loss = nn.functional.cross_entropy(network(images(4)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    without = [
        key for key, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    assert without == []


def test_equal_seeds_give_equal_weights_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first, second, other = (build_model(get_spec("mobilenet_v2_x0.35"), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.stem.conv.weight, other.stem.conv.weight)


def test_without_a_seed_weights_come_from_the_global_generator() -> None:
    spec = get_spec("mobilenet_v1_x0.25")
    torch.manual_seed(7)
    first, second = build_model(spec), build_model(spec)
    torch.manual_seed(7)
    again = build_model(spec)
    assert torch.equal(first.stem.conv.weight, again.stem.conv.weight)
    assert not torch.equal(first.stem.conv.weight, second.stem.conv.weight)


def test_logits_are_the_classifier_of_the_features() -> None:
    network = build_model(get_spec("mobilenet_v2_x0.5"), num_classes=4, seed=0).eval()
    features = network.forward_features(images())
    assert features.shape == (2, network.num_features) == (2, 1280)
    torch.testing.assert_close(network(images()), network.classifier(features))


@pytest.mark.parametrize("name", ["mobilenet_v2_x0.35", "tf_mobilenet_v2_x0.35"])
def test_the_stride_1_stem_keeps_small_images_twice_as_large(name: str) -> None:
    spec = get_spec(name)
    usual, small, upsampled = (
        build_model(spec, small_image=choice, seed=0).eval() for choice in ("none", "stride1_stem", "upsampled")
    )
    pixels = images(side=32)
    assert usual.stages(usual.stem(pixels)).shape[2:] == (1, 1)
    assert small.stages(small.stem(pixels)).shape[2:] == (2, 2)
    assert torch.equal(upsampled(pixels), usual(pixels))
    assert small.spec is spec
    assert {key: tensor.shape for key, tensor in small.state_dict().items()} == {
        key: tensor.shape for key, tensor in usual.state_dict().items()
    }


def test_batch_norm_constants_are_the_specs() -> None:
    for name in ("tf_mobilenet_v2_x0.35", "efficientnet_v2_b0", "efficientnet_b5"):
        spec = get_spec(name)
        with torch.device("meta"):
            network = build_model(spec)
        constants = {(m.eps, m.momentum) for m in network.modules() if isinstance(m, nn.BatchNorm2d)}
        assert constants == {(spec.bn_eps, spec.bn_momentum)}


def test_stochastic_depth_grows_linearly_over_the_blocks() -> None:
    """Block b of the 16 of B0 is skipped with probability 0.2 b / 16, where it has a residual branch."""
    network = build_model(get_spec("tf_efficientnet_b0"), seed=0)
    blocks = [block for stage in network.stages for block in stage]
    expected = [0.2 * b / 16 if block.is_residual else 0.0 for b, block in enumerate(blocks)]
    assert [block.stochastic_depth.probability for block in blocks] == pytest.approx(expected)
    assert sum(block.is_residual for block in blocks) == 9
    assert network.dropout.p == 0.2


def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer = StochasticDepth(0.25)
    ones = torch.ones(4000, 2, 3, 3)
    dropped = layer.train()(ones)
    per_sample = dropped.flatten(1)
    assert (per_sample == per_sample[:, :1]).all()
    assert sorted(set(per_sample[:, 0].tolist())) == pytest.approx([0.0, 4 / 3])
    assert per_sample[:, 0].mean() == pytest.approx(1.0, abs=5 * (1 / 3 / 4000) ** 0.5)  # five standard errors
    assert layer.eval()(ones) is ones


@pytest.mark.parametrize("probability", [-0.1, 1.0])
def test_impossible_probabilities_are_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        build_model(get_spec("mobilenet_v2"), stochastic_depth_prob=probability * 20)
    with pytest.raises(ValueError, match="probability"):
        StochasticDepth(probability)


def test_a_network_without_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one class"):
        build_model(get_spec("mobilenet_v2"), num_classes=0)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_channels_last_goes_through_unchanged(name: str) -> None:
    network = build_model(get_spec(name), num_classes=3, seed=0).eval()
    usual = network(images())
    last = network.to(memory_format=torch.channels_last)
    layouts = []
    for block in (block for stage in last.stages for block in stage):
        block.register_forward_hook(
            lambda _m, _i, out: layouts.append(out.is_contiguous(memory_format=torch.channels_last))
        )
    torch.testing.assert_close(last(images().to(memory_format=torch.channels_last)), usual, rtol=1e-4, atol=1e-6)
    assert layouts
    assert all(layouts)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_training_and_evaluation_leave_the_input_alone(name: str) -> None:
    """Activations and sums work in place inside; the images must not notice."""
    network = build_model(get_spec(name), num_classes=3, seed=0)
    pixels = images()
    for training in (True, False):
        network.train(training)(pixels)
        assert torch.equal(pixels, images())


@pytest.mark.parametrize("fold", [False, True])
def test_exported_and_traced_networks_compute_the_same(fold: bool) -> None:
    """TensorFlow padding included."""
    network = lively_statistics(build_model(EVERY_ROW, num_classes=3, seed=0))
    network = fold_batch_norm(network) if fold else network
    others = images(5, seed=1)
    expected = network(others)
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(network, (images(),), dynamic_shapes=({0: batch},)).module()
    torch.testing.assert_close(exported(others), expected)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".torch.jit.trace", category=DeprecationWarning)
        traced = torch.jit.trace(network, (images(),))
    torch.testing.assert_close(traced(others), expected)
    odd = images(1, side=75)  # a trace holds for sizes of the other parity too
    torch.testing.assert_close(traced(odd), network(odd))


def test_inverted_residuals_without_expansion_have_no_expansion_layer() -> None:
    network = build_model(get_spec("mobilenet_v2_x0.35"), seed=0)
    first, second = network.stages[0][0], network.stages[1][0]
    assert isinstance(first, InvertedResidualBlock)
    assert isinstance(first.expand, nn.Identity)
    assert second.expand.conv.out_channels == 6 * first.project.conv.out_channels


def lively_statistics(network: Network) -> Network:
    """Running statistics from noise, so that evaluation outputs are of order one."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(images(8, seed=5))
    return network.eval()
