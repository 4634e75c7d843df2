"""The networks foray is compared with, torchvision's and timm's, on weights of ours.

They lie here, not in the tests, because `tools.parity_table` prints the same comparison that tests/peers asserts.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from foray.models import Network, build_model
from foray.specs import get_spec
from foray.weights.key_map import timm_keys
from foray.weights.torchvision_keys import torchvision_keys
from tools.stage_ends import Ends, timm_ends, torchvision_ends

NUM_CLASSES = 7  # of the networks whose outputs are compared

TORCHVISION = (
    *(f"efficientnet_b{i}" for i in range(8)),
    "mobilenet_v2",
    "mobilenet_v2_x0.35",
    "mobilenet_v2_x1.4",
    *(f"efficientnet_v2_{size}" for size in "sml"),
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    *(f"mnasnet{width}" for width in ("0_5", "0_75", "1_0", "1_3")),
    *(f"resnet{depth}" for depth in (18, 34, 50, 101)),
)
TIMM = (
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
)

_DECLARED: list[torch.library.Library] = []  # a declaration lasts as long as its Library object


def import_peer(name: str) -> ModuleType | None:
    """torchvision or timm, with the warnings of their import left out; None where it is not installed.

    torchvision's compiled operators are built for one torch each: where they do not load (a CPU-only torch), two of
    them are declared, never to be called, so that the Python side imports. timm imports torchvision.
    """
    found = importlib.util.find_spec("torchvision")
    if found is None or not found.submodule_search_locations or importlib.util.find_spec(name) is None:
        return None
    if not _DECLARED and not _operators_load(Path(found.submodule_search_locations[0])):
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        library.define("qnms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        _DECLARED.append(library)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def _operators_load(folder: Path) -> bool:
    libraries = list(folder.glob("_C*.so"))
    try:
        for library in libraries:
            torch.ops.load_library(library)
    except OSError:
        return False
    return bool(libraries)


def lively(name: str) -> Network:
    """Our network, in evaluation mode, with random batch-norm scales and shifts and logits of order one.

    Its batch-norm statistics are still those of no images: see `settle`.
    """
    network = build_model(get_spec(name), num_classes=NUM_CLASSES, dropout=0.0, stochastic_depth_prob=0.0, seed=1)
    generator = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0.0, 0.2, generator=generator)
        elif isinstance(module, nn.Linear):
            module.weight.data.normal_(0.0, 2 / math.sqrt(module.in_features), generator=generator)
    return network.eval()


def settle(network: Network, images: Tensor) -> None:
    """Gives every batch norm the mean and variance of its own input on `images`: random ones, and no others will do.

    With statistics of other images, or of another size, a deep random network multiplies its feature maps from block
    to block, up to millions, where a difference of 1e-4 means nothing.
    """

    def take_statistics(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
        norm.running_var.copy_(variance)
        norm.running_mean.copy_(mean)

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    handles = [norm.register_forward_pre_hook(take_statistics) for norm in norms]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()


def noise(batch: int, height: int, width: int) -> Tensor:
    """Images (N, 3, H, W) of normal noise, the same at every call."""
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(3))


@dataclass(frozen=True)
class Peer:
    """Another's network, in evaluation mode. `name`: whose, and what it is called there.

    `keys`: our tensors to its, every one of both; `ends`: where our parts end in it, see `tools.stage_ends`.
    """

    name: str
    network: nn.Module
    keys: dict[str, str]
    ends: Ends

    def take_weights(self, ours: Network) -> None:
        """The weights and batch-norm statistics of `ours`, which are shared with it, not copied."""
        state, tensors = self.network.state_dict(), ours.state_dict()
        assert sorted(self.keys.values()) == sorted(state)
        assert sorted(self.keys) == sorted(tensors)
        for key, theirs in self.keys.items():
            state[theirs] = tensors[key].view(state[theirs].shape)  # a dense layer is a 1 x 1 convolution to some
        self.network.load_state_dict(state, assign=True)


def torchvision_peer(name: str, num_classes: int = NUM_CLASSES) -> Peer:
    """torchvision's network on the meta device: it takes weights of ours."""
    import torchvision

    spec, theirs = get_spec(name), name.split("_x")[0]
    width = {"width_mult": spec.width_mult} if name.startswith("mobilenet") else {}
    network = _on_meta(lambda: getattr(torchvision.models, theirs)(num_classes=num_classes, **width))
    shown = f" (width_mult {spec.width_mult})" if "_x" in name else ""
    return Peer(f"torchvision {theirs}{shown}", network, torchvision_keys(spec), torchvision_ends(spec))


def timm_peer(name: str, num_classes: int = NUM_CLASSES) -> Peer:
    """timm's network, likewise. Some variants are not registered there and come from the function that makes them."""
    from timm.models import create_model

    theirs, options = _timm_arguments(name)
    make = partial(create_model, theirs) if isinstance(theirs, str) else theirs
    network = _on_meta(lambda: make(num_classes=num_classes, **options))
    return Peer(_timm_name(theirs, options), network, timm_keys(get_spec(name)), timm_ends(get_spec(name)))


def _timm_name(theirs: str | Callable[..., nn.Module], options: dict[str, Any]) -> str:
    """`timm mobilenetv1_100 (channel_multiplier 0.5)`: all that makes it another network than the registered one."""
    variant = theirs if isinstance(theirs, str) else options["variant"]
    changed = [f"{key} {value or 'symmetric'}" for key, value in options.items() if key != "variant" and value != 1.0]
    return f"timm {variant} ({', '.join(changed)})" if changed else f"timm {variant}"


def _timm_arguments(name: str) -> tuple[str | Callable[..., nn.Module], dict[str, Any]]:
    """(registered name or generator, its options)."""
    from timm.models.efficientnet import _gen_efficientnetv2_base, _gen_mnasnet_b1, _gen_mobilenet_v1, _gen_mobilenet_v2

    spec = get_spec(name)
    tensorflow = {"pad_type": "same", "bn_eps": 1e-3} if name.startswith("tf_") else {}
    wide = {"channel_multiplier": spec.width_mult}
    match spec.family:
        case "mobilenet_v1":  # registered at some widths only, as is V2
            return _gen_mobilenet_v1, {"variant": "mobilenetv1_100", **wide, **tensorflow}
        case "mobilenet_v2":
            return _gen_mobilenet_v2, {"variant": "mobilenetv2_100", **wide, **tensorflow}
        case "efficientnet_v2" if name.startswith("efficientnet_v2_b"):  # registered with SAME padding only
            options = {"depth_multiplier": spec.depth_mult, "pad_type": "", "bn_eps": 1e-3}
            return _gen_efficientnetv2_base, {"variant": f"tf_{name.replace('_v2_', 'v2_')}", **wide, **options}
        case "mobilenet_v3":  # the release's batch norm in the symmetric variant too
            size = name.removeprefix("tf_").removeprefix("mobilenet_v3_").replace("_minimalistic", "_minimal")
            return f"tf_mobilenetv3_{size}_100", {"pad_type": "same" if spec.padding == "same" else ""}
        case "mnasnet" if name.endswith("_a1"):
            return "semnasnet_100", tensorflow
        case "mnasnet":
            return _gen_mnasnet_b1, {"variant": "mnasnet_100", **wide, **tensorflow}
        case "ghostnet":
            return f"ghostnet_{round(100 * spec.width_mult):03d}", {}
        case "xception":
            return "legacy_xception", {}
        case _:
            return name.replace("_v2_", "v2_"), {}


def _on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return make().eval()
