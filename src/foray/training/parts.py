"""The parts of a network, from its images to its classes: what rates differ by and what is unfrozen one by one."""

from __future__ import annotations

from torch import nn

from foray.models import Network


def network_parts(network: Network) -> dict[str, nn.Module]:
    """`stem`, `stages.0` and on, `head`, `hidden`, `classifier`, in the order they run; those without weights left out.

    Every parameter of the network is in exactly one part.
    """
    parts: dict[str, nn.Module] = {"stem": network.stem}
    parts |= {f"stages.{i}": stage for i, stage in enumerate(network.stages)}
    parts |= {"head": network.head, "hidden": network.hidden, "classifier": network.classifier}
    return {name: part for name, part in parts.items() if any(True for _ in part.parameters())}


_EARLY_STRIDE = 4


def early_parts(network: Network) -> int:
    """How many parts, from the stem on, give maps of a quarter of the image's side or more."""
    stem_stride = 1 if network.small_image == "stride1_stem" else network.spec.stem.stride
    stride = stem_stride * (2 if network.spec.stem_pool else 1)
    count = 1 if stride <= _EARLY_STRIDE else 0
    for row in network.spec.stages:
        stride *= row.stride
        count += 1 if stride <= _EARLY_STRIDE else 0
    return count
