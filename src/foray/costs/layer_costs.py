"""Costs layer by layer and stage by stage, and the arithmetic of depthwise separable convolutions on real networks.

A standard k x k convolution costs h * w * d_in * d_out * k^2 multiply-accumulates, the depthwise separable one that
takes its place h * w * d_in * (k^2 + d_out) (arXiv:1704.04861, section 3.1; arXiv:1801.04381, section 3.1). The ratio
is k^2 * d_out / (k^2 + d_out): for k = 3 it is 9 d_out / (9 + d_out), which reaches 8 from 72 output channels on, and
never 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import nn

from foray.costs.meta import Observer, execute, meta_image, meta_twin
from foray.models import Network

Kind = Literal["standard", "grouped", "depthwise", "pointwise", "dense"]


@dataclass(frozen=True)
class LayerCost:
    """One convolution or dense layer of a network, for one image.

    `name`: its path in the network. `out_shape`: (C, H, W), or (F,) of a dense layer. `params`: weights and bias,
    without the batch norm that may follow. `in_channels` and `out_channels` are features of a dense layer.
    """

    name: str
    kind: Kind
    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    out_shape: tuple[int, ...]
    params: int
    macs: int


@dataclass(frozen=True)
class SeparableCost:
    """A depthwise convolution with the pointwise one that follows it, against the standard one both replace.

    `depthwise`, `pointwise`, `standard`: multiply-accumulates; the standard convolution has the same kernel, stride and
    channels. `expansion`: of the 1 x 1 convolution that widens the block's input first (inverted residuals); 0 without.
    """

    name: str
    kernel: int
    in_channels: int
    out_channels: int
    depthwise: int
    pointwise: int
    standard: int
    expansion: int

    @property
    def ratio(self) -> float:
        """How many times cheaper than the standard convolution, as the formula has it: the expansion left out."""
        return self.standard / (self.depthwise + self.pointwise)

    @property
    def ratio_with_expansion(self) -> float:
        """How many times cheaper the whole block is, expansion counted."""
        return self.standard / (self.expansion + self.depthwise + self.pointwise)


@dataclass(frozen=True)
class StageCost:
    """One stage for one image. `out_shape`: (C, H, W), or (F,) after pooling. `params` counts batch norms too."""

    name: str
    layers: int
    out_shape: tuple[int, ...]
    params: int
    macs: int


def layer_costs(network: nn.Module, resolution: int) -> list[LayerCost]:
    """Every convolution and dense layer of `network` in the order it runs, for `resolution` x `resolution` pixels.

    Their MACs add up to `count_macs`. The network is run on the meta device and not changed.
    """
    twin = meta_twin(network)
    layers = {name: module for name, module in twin.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    return [_cost(name, layers[name], output) for name, output in _outputs(twin, layers, resolution)]


def stage_costs(network: Network, resolution: int) -> list[StageCost]:
    """Stem, pooling, every stage of the spec, head, dense layer and classifier of `network`, where it has them."""
    twin = cast(Network, meta_twin(network))
    parts: dict[str, nn.Module] = {"stem": twin.stem, "pool": twin.pool}
    parts |= {f"stages.{i}": stage for i, stage in enumerate(twin.stages)}
    parts |= {"head": twin.head, "hidden": twin.hidden, "classifier": twin.classifier}
    present = {name: part for name, part in parts.items() if not isinstance(part, nn.Identity)}
    shapes = {name: tuple(output.shape[1:]) for name, output in _outputs(twin, present, resolution)}
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


def separable_costs(layers: Sequence[LayerCost]) -> list[SeparableCost]:
    """The depthwise separable convolutions among `layers`, as `layer_costs` returns them.

    Squeeze-excitation between the two is passed over, as in the formula. A depthwise convolution belongs with the next
    pointwise one of its block that has as many input channels as it has outputs.
    """
    pairs = []
    for at, layer in enumerate(layers):
        if layer.kind != "depthwise":
            continue
        block = _block_of(layer.name)
        pointwise = next((after for after in layers[at + 1 :] if _follows(after, layer, block)), None)
        if pointwise is None:  # GhostNet's cheap operations: nothing mixes their channels
            continue
        before = layers[at - 1] if at else None
        widens = (
            before is not None
            and _block_of(before.name) == block
            and before.kind == "pointwise"
            and before.out_channels == layer.in_channels > before.in_channels
        )
        positions = layer.out_shape[1] * layer.out_shape[2]
        pairs.append(
            SeparableCost(
                name=block,
                kernel=layer.kernel,
                in_channels=layer.in_channels,
                out_channels=pointwise.out_channels,
                depthwise=layer.macs,
                pointwise=pointwise.macs,
                standard=positions * layer.in_channels * pointwise.out_channels * layer.kernel**2,
                expansion=before.macs if widens and before else 0,
            )
        )
    return pairs


def total_ratios(pairs: Iterable[SeparableCost]) -> tuple[float, float]:
    """(ratio, ratio with expansion) of all separable convolutions together, weighted by what they cost."""
    known = list(pairs)
    standard = sum(pair.standard for pair in known)
    separable = sum(pair.depthwise + pair.pointwise for pair in known)
    return standard / separable, standard / (separable + sum(pair.expansion for pair in known))


def _outputs(twin: nn.Module, wanted: Mapping[str, nn.Module], resolution: int) -> list[tuple[str, torch.Tensor]]:
    """(name, output) of each call of the `wanted` modules of a `meta_twin`, in the order they run."""
    found: list[tuple[str, torch.Tensor]] = []

    def hook(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], None]:
        return lambda module, inputs, output: found.append((name, output))

    hooks = [module.register_forward_hook(hook(name)) for name, module in wanted.items()]
    execute(twin, meta_image(resolution), Observer())
    for handle in hooks:
        handle.remove()
    return found


def _cost(name: str, module: nn.Module, output: torch.Tensor) -> LayerCost:
    params = sum(parameter.numel() for parameter in module.parameters())
    shape = tuple(output.shape[1:])
    if isinstance(module, nn.Conv2d):
        per_output = module.weight.numel() // module.out_channels
        return LayerCost(
            name=name,
            kind=_kind(module),
            in_channels=module.in_channels,
            out_channels=module.out_channels,
            kernel=module.kernel_size[0],
            stride=module.stride[0],
            out_shape=shape,
            params=params,
            macs=output[0].numel() * per_output,
        )
    assert isinstance(module, nn.Linear)
    return LayerCost(
        name=name,
        kind="dense",
        in_channels=module.in_features,
        out_channels=module.out_features,
        kernel=1,
        stride=1,
        out_shape=shape,
        params=params,
        macs=module.in_features * module.out_features,
    )


def _kind(conv: nn.Conv2d) -> Kind:
    if conv.groups == conv.in_channels > 1:
        return "depthwise"
    if conv.groups > 1:
        return "grouped"
    return "pointwise" if conv.kernel_size == (1, 1) else "standard"


def _block_of(name: str) -> str:
    """`stages.1.0.depthwise.conv` is of the block `stages.1.0`; Xception's convolutions are blocks of their own."""
    parts = name.removesuffix(".conv").split(".")
    return ".".join(parts[:-1]) if parts[0] == "stages" else parts[0]


def _follows(after: LayerCost, depthwise: LayerCost, block: str) -> bool:
    return (
        after.kind == "pointwise"
        and _block_of(after.name) == block
        and after.in_channels == depthwise.out_channels
        and after.out_shape[1:] == depthwise.out_shape[1:]
    )
