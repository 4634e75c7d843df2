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
