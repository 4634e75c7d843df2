"""Same weights, same outputs as timm and torchvision, at even, odd and unequal sizes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from foray.models import Network, build_model
from foray.models.key_map import timm_keys
from foray.models.torchvision_keys import torchvision_keys
from foray.specs import get_spec

SIZES = [(64, 64), (75, 58)]  # stride 32: SAME padding differs from symmetric at some layers of either, not at others

TORCHVISION = [
    *(f"efficientnet_b{i}" for i in range(8)),
    "mobilenet_v2",
    "mobilenet_v2_x0.35",
    "mobilenet_v2_x1.4",
    *(f"efficientnet_v2_{size}" for size in "sml"),
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    *(f"mnasnet{width}" for width in ("0_5", "0_75", "1_0", "1_3")),
    *(f"resnet{depth}" for depth in (18, 34, 50, 101)),
]
TIMM = [
    *(f"tf_efficientnet_b{i}" for i in range(8)),
    "efficientnet_v2_b0",
    "tf_efficientnet_v2_b0",
    "mobilenet_v1",
    "tf_mobilenet_v1",
    "tf_mobilenet_v1_x0.25",
    "mobilenet_v2",
    "tf_mobilenet_v2",
    "mobilenet_v2_x0.5",
    "tf_mobilenet_v2_x0.75",
    *(f"{tf}efficientnet_lite{i}" for i in range(5) for tf in ("", "tf_")),
    *(f"tf_efficientnet_v2_{size}" for size in ("b1", "b2", "b3", "s", "m", "l")),
    "efficientnet_v2_b3",
    *(f"tf_mobilenet_v3_{size}{kind}" for size in ("large", "small") for kind in ("", "_minimalistic")),
    "mobilenet_v3_small_minimalistic",
    "tf_mnasnet1_0",
    "mnasnet_a1",
    "tf_mnasnet_a1",
    "ghostnet_x0.5",
    "ghostnet",
    "ghostnet_x1.3",
    "resnet50",
    "xception",
]


@pytest.mark.parametrize("name", TORCHVISION)
def test_equals_torchvision(torchvision, name: str) -> None:
    network = lively(name)
    width = {"width_mult": network.spec.width_mult} if name.startswith("mobilenet") else {}
    peer = bare(lambda: getattr(torchvision.models, name.split("_x")[0])(num_classes=7, **width))
    assign(network, peer, torchvision_keys(network.spec))
    assert_equal_outputs(network, peer.eval())
    assert norm_constants(network) == norm_constants(peer)


@pytest.mark.parametrize("name", TIMM)
def test_equals_timm(timm, name: str) -> None:
    network = lively(name)
    peer = bare(lambda: timm_peer(name))
    assign(network, peer, timm_keys(network.spec))
    assert_equal_outputs(network, peer.eval())
    eps = {norm_eps for norm_eps, _ in norm_constants(network)}
    assert eps == {norm_eps for norm_eps, _ in norm_constants(peer)}


def test_same_and_symmetric_padding_are_different_functions() -> None:
    """What the comparisons above would miss if padding were ignored."""
    same, symmetric = lively("tf_mobilenet_v2_x0.5"), build_model(get_spec("mobilenet_v2_x0.5"), num_classes=7).eval()
    symmetric.load_state_dict(same.state_dict())
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert (same(images) - symmetric(images)).abs().max() > 0.01


def lively(name: str) -> Network:
    """The network with random batch-norm parameters, statistics of its own activations, and logits of order one."""
    network = build_model(get_spec(name), num_classes=7, dropout=0.0, stochastic_depth_prob=0.0, seed=1)
    generator = torch.Generator().manual_seed(2)
    momenta = {}
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0.0, 0.2, generator=generator)
            momenta[module], module.momentum = module.momentum, 1.0
    network.classifier.weight.data.normal_(0.0, 1 / math.sqrt(network.num_features), generator=generator)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 64, 64, generator=generator))
    for module, momentum in momenta.items():
        module.momentum = momentum
    return network.eval()


def assign(network: Network, peer: nn.Module, keys: dict[str, str]) -> None:
    """Our weights to the peer: `keys` names every tensor of both."""
    state, ours = peer.state_dict(), network.state_dict()
    assert sorted(keys.values()) == sorted(state)
    assert sorted(keys) == sorted(ours)
    for key, theirs in keys.items():
        state[theirs] = ours[key].view(state[theirs].shape)  # a dense layer is a 1 x 1 convolution to some
    peer.load_state_dict(state, assign=True)


def bare(make) -> nn.Module:
    """The peer without memory for its own weights: ours are assigned."""
    with torch.device("meta"):
        return make()


def timm_peer(name: str) -> nn.Module:
    from timm.models import create_model
    from timm.models.efficientnet import _gen_efficientnetv2_base, _gen_mobilenet_v1

    spec = get_spec(name)
    tensorflow = {"pad_type": "same", "bn_eps": 1e-3} if name.startswith("tf_") else {}
    if spec.family == "mobilenet_v1":  # timm registers width 1 only
        return _gen_mobilenet_v1("mobilenetv1_100", channel_multiplier=spec.width_mult, num_classes=7, **tensorflow)
    if spec.family == "mobilenet_v2":
        return create_model(f"mobilenetv2_{round(100 * spec.width_mult):03d}", num_classes=7, **tensorflow)
    if name.startswith("efficientnet_v2_b"):  # registered with SAME padding only
        mults = {"channel_multiplier": spec.width_mult, "depth_multiplier": spec.depth_mult}
        return _gen_efficientnetv2_base(f"tf_{name.replace('_v2_', 'v2_')}", bn_eps=1e-3, num_classes=7, **mults)
    if spec.family == "mobilenet_v3":  # the release's batch norm in the symmetric variant too
        size = name.removeprefix("tf_").removeprefix("mobilenet_v3_").replace("_minimalistic", "_minimal")
        return create_model(f"tf_mobilenetv3_{size}_100", num_classes=7, **{"pad_type": spec_padding(name)})
    if spec.family == "mnasnet":
        return create_model("semnasnet_100" if "a1" in name else "mnasnet_100", num_classes=7, **tensorflow)
    if spec.family == "ghostnet":
        return create_model(f"ghostnet_{round(100 * spec.width_mult):03d}", num_classes=7)
    if spec.family == "xception":
        return create_model("legacy_xception", num_classes=7)
    return create_model(name.replace("_v2_", "v2_"), num_classes=7)


def spec_padding(name: str) -> str:
    """timm's word for the padding of a variant."""
    return "same" if get_spec(name).padding == "same" else ""


def assert_equal_outputs(network: Network, peer: nn.Module) -> None:
    for height, width in SIZES:
        images = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(3))
        with torch.inference_mode():
            ours, theirs = network(images), peer(images)
        assert ours.abs().max() > 0.1
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def norm_constants(network: nn.Module) -> set[tuple[float, float]]:
    return {
        (module.eps, round(module.momentum, 9)) for module in network.modules() if isinstance(module, nn.BatchNorm2d)
    }
