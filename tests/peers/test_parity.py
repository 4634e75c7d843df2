"""Same weights, same outputs as timm and torchvision, stage by stage, at even, odd and unequal sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from foray.models import Network, build_model
from foray.specs import get_spec, spec_names
from tools.peers import NUM_CLASSES, TIMM, TORCHVISION, Peer, lively, noise, settle, timm_peer, torchvision_peer
from tools.stage_ends import outputs_at

TOLERANCE = 1e-4  # of logits; of feature maps relative to their largest value, where that exceeds 1
SIZES = [(64, 64), (75, 58)]  # stride 32: SAME padding differs from symmetric at some layers of either, not at others
# The cheapest network of each family, and of each padding where the peer has both: at their native resolution too.
AT_NATIVE_RESOLUTION = [
    "efficientnet_b0",
    "tf_efficientnet_b0",
    "efficientnet_lite0",
    "tf_efficientnet_lite0",
    "tf_efficientnet_v2_b0",
    "mobilenet_v1",
    "tf_mobilenet_v1_x0.25",
    "mobilenet_v2",
    "tf_mobilenet_v2_x0.75",
    "mobilenet_v3_small",
    "tf_mobilenet_v3_small",
    "mnasnet0_5",
    "mnasnet_a1",
    "ghostnet_x0.5",
    "resnet18",
    "xception",
]


@pytest.mark.parametrize("name", TORCHVISION)
def test_equals_torchvision(torchvision, name: str) -> None:
    network, peer = lively(name), torchvision_peer(name)
    assert_equal_outputs(network, peer, SIZES)
    assert norm_constants(network) == norm_constants(peer.network)


@pytest.mark.parametrize("name", TIMM)
def test_equals_timm(timm, name: str) -> None:
    network, peer = lively(name), timm_peer(name)
    assert_equal_outputs(network, peer, SIZES)
    eps = {norm_eps for norm_eps, _ in norm_constants(network)}
    assert eps == {norm_eps for norm_eps, _ in norm_constants(peer.network)}


@pytest.mark.parametrize("name", AT_NATIVE_RESOLUTION)
def test_equals_the_peer_at_its_native_resolution_and_one_pixel_more(torchvision, timm, name: str) -> None:
    """One of the two sizes is odd."""
    network = lively(name)
    peer = torchvision_peer(name) if name in TORCHVISION else timm_peer(name)
    native = network.spec.resolution
    assert_equal_outputs(network, peer, [(native, native), (native + 1, native + 1)], batch=1)


def test_every_family_is_compared_at_its_native_resolution() -> None:
    families = {get_spec(name).family for name in spec_names()}
    assert {get_spec(name).family for name in AT_NATIVE_RESOLUTION} == families


def test_same_and_symmetric_padding_are_different_functions() -> None:
    """What the comparisons above would miss if padding were ignored."""
    same = lively("tf_mobilenet_v2_x0.5")
    images = noise(2, 64, 64)
    settle(same, images)
    symmetric = build_model(get_spec("mobilenet_v2_x0.5"), num_classes=NUM_CLASSES).eval()
    symmetric.load_state_dict(same.state_dict())
    with torch.inference_mode():
        assert (same(images) - symmetric(images)).abs().max() > 0.01


def assert_equal_outputs(network: Network, peer: Peer, sizes: list[tuple[int, int]], batch: int = 2) -> None:
    """Every part of the network and the logits, on weights and batch-norm statistics of ours."""
    assert peer.ends.keys() == parts_of(network)
    for height, width in sizes:
        images = noise(batch, height, width)
        settle(network, images)
        peer.take_weights(network)
        logits, ours = outputs_at(network, images, peer.ends.keys())
        their_logits, theirs = outputs_at(peer.network, images, peer.ends.values())
        for part, end in peer.ends.items():
            expected = theirs[end].view(ours[part].shape)  # a dense layer is a 1 x 1 convolution to some
            largest = float(expected.abs().max())
            assert 0.1 < largest < 100
            difference = float((ours[part] - expected).abs().max())
            assert difference <= TOLERANCE * max(1.0, largest), f"{part}, {height} x {width}"
        assert 0.1 < logits.abs().max() < 10
        torch.testing.assert_close(logits, their_logits, rtol=0, atol=TOLERANCE)


def parts_of(network: Network) -> set[str]:
    """What the network is made of, before the classifier: stem, stages, and what else its spec has."""
    optional = [name for name in ("pool", "head", "hidden") if not isinstance(getattr(network, name), nn.Identity)]
    return {"stem", *optional, *(f"stages.{i}" for i in range(len(network.spec.stages)))}


def norm_constants(network: nn.Module) -> set[tuple[float, float]]:
    return {
        (module.eps, round(module.momentum, 9)) for module in network.modules() if isinstance(module, nn.BatchNorm2d)
    }
