"""A network stage by stage, as a paper's table shows it: output shapes, parameters, MACs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from foray.costs.layer_costs import layer_costs
from foray.costs.meta import Observer, execute, meta_image, meta_twin
from foray.models import Network


@dataclass(frozen=True)
class StageCost:
    """One stage for one image. `out_shape`: (C, H, W), or (F,) after pooling. `params` counts batch norms too."""

    name: str
    layers: int
    out_shape: tuple[int, ...]
    params: int
    macs: int


def stage_costs(network: Network, resolution: int) -> list[StageCost]:
    """Stem, pooling, every stage of the spec, head, dense layer and classifier of `network`, where it has them."""
    twin = cast(Network, meta_twin(network))
    parts: dict[str, nn.Module] = {"stem": twin.stem, "pool": twin.pool}
    parts |= {f"stages.{i}": stage for i, stage in enumerate(twin.stages)}
    parts |= {"head": twin.head, "hidden": twin.hidden, "classifier": twin.classifier}
    shapes: dict[str, tuple[int, ...]] = {}

    def observe(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            shapes[name] = tuple(output.shape[1:])

        return hook

    present = {name: part for name, part in parts.items() if not isinstance(part, nn.Identity)}
    hooks = [part.register_forward_hook(observe(name)) for name, part in present.items()]
    execute(twin, meta_image(resolution), Observer())
    for handle in hooks:
        handle.remove()
    costs = layer_costs(network, resolution)
    return [
        StageCost(
            name=name,
            layers=len(part) if isinstance(part, nn.Sequential) else 1,
            out_shape=shapes[name],
            params=sum(parameter.numel() for parameter in part.parameters()),
            macs=sum(cost.macs for cost in costs if cost.name == name or cost.name.startswith(f"{name}.")),
        )
        for name, part in present.items()
    ]
