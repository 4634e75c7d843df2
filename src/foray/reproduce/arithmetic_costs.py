"""The study's claims about costs, computed from the graphs of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from foray.costs import SeparableCost, count_macs, count_params, layer_costs, separable_costs, total_ratios
from foray.models import build_model
from foray.records.quantities import format_bytes, format_count
from foray.reproduce.arithmetic_scaling import CLASSES
from foray.reproduce.claim import Sum
from foray.reproduce.experiments import RESOLUTIONS
from foray.scaling import scaled_cost
from foray.specs import ArchSpec, get_spec

MOBILENET = "mobilenet_v2"
_EFFICIENTNETS = tuple(name for name in RESOLUTIONS if name != MOBILENET)
_STEM_CHANNELS = get_spec(MOBILENET).stem.out_channels


class Counted(NamedTuple):
    """What foray counts in a network for 1000 classes at its own resolution."""

    params: int
    macs: int


@cache
def counted(name: str) -> Counted:
    """Parameters and multiply-accumulates of a listed network, from its graph."""
    spec = get_spec(name)
    with torch.device("meta"):  # shapes alone
        network = build_model(spec)
    return Counted(count_params(network), count_macs(network, spec.resolution))


@cache
def separable_layers() -> tuple[SeparableCost, ...]:
    """The depthwise separable layers of MobileNetV2 at 224 pixels, in order."""
    return tuple(separable_costs(layer_costs(build_model(get_spec(MOBILENET)), RESOLUTIONS[MOBILENET])))


def separable_formula() -> Sum:
    """The cost formula of a separable layer, against what the executed network computes."""
    pairs = separable_layers()
    exact = sum(pair.depthwise + pair.pointwise == _by_formula(pair) for pair in pairs)
    last = pairs[-1]
    return Sum(
        "reproduced" if exact == len(pairs) else "not reproduced",
        f"It is exact for {exact} of the {len(pairs)} separable layers of MobileNetV2.",
        (
            f"the last one: {_positions(last)} positions x {last.in_channels} x (3^2 + {last.out_channels}) = "
            f"{_by_formula(last):,}; counted in the network: {last.depthwise + last.pointwise:,}",
            f"a standard layer in its place: {_positions(last)} x {last.in_channels} x {last.out_channels} x 3^2 = "
            f"{last.standard:,}",
        ),
    )


def eight_to_nine() -> Sum:
    """How many times cheaper MobileNetV2's layers are than standard ones, with and without the expansion."""
    pairs = separable_layers()
    ratios = [(pair.ratio, pair.out_channels) for pair in pairs]
    least, most = min(ratios), max(ratios)
    outside = sum(not 8 <= ratio < 9 for ratio, _ in ratios)
    total, with_expansion = total_ratios(pairs)
    narrow = narrow_ratio(pairs)
    holds = outside == 0 and 8 <= with_expansion < 9
    return Sum(
        "reproduced" if holds else "not reproduced",
        f"All together the inverted residual layers cost {with_expansion:.2f} times less than standard ones. "
        f"Without their expansions it is {total:.2f} times, and {outside} of {len(pairs)} layers lie outside 8 to 9.",
        (
            "standard h w d_in d_out k^2 over separable h w d_in (k^2 + d_out) is k^2 d_out / (k^2 + d_out); for k = 3 "
            "9 d_out / (9 + d_out), which is 8 at d_out = 72 and never reaches 9",
            f"depthwise and 1 x 1 convolution against a standard one of the same channels, MobileNetV2 at 224 px: "
            f"{least[0]:.2f} times (d_out = {least[1]}) to {most[0]:.2f} times (d_out = {most[1]}); "
            f"{len(pairs) - outside} of {len(pairs)} layers lie between 8 and 9; all together {total:.2f} times",
            f"the same with the 1 x 1 convolution that widens the block first, which belongs to an inverted residual "
            f"layer: {with_expansion:.2f} times all together",
            f"against standard 3 x 3 convolutions between the narrow ends of each block: {narrow:.2f} times, that is, "
            f"{'no saving' if narrow < 1 else 'a saving'}",
        ),
        f"an inverted residual layer costs {with_expansion:.2f} times less than a standard one, not 8 to 9",
    )


def blocks() -> Sum:
    """What MobileNetV2's blocks are made of, read from the network."""
    pairs = separable_layers()
    ends = zip(pairs, _inputs(pairs), strict=True)
    inverted = sum(pair.in_channels > max(pair.out_channels, narrow) for pair, narrow in ends)
    modules = dict(build_model(get_spec(MOBILENET)).named_modules())
    last = [module for name, module in modules.items() if name.endswith(".project.activation")]
    linear = sum(isinstance(module, nn.Identity) for module in last)
    holds = linear == len(last) == len(pairs) and inverted >= len(pairs) - 1
    return Sum(
        "reproduced" if holds else "not reproduced",
        f"{inverted} of {len(pairs)} blocks are wider inside than at both ends; {linear} end without an activation.",
        (
            f"inverted: {inverted} of {len(pairs)} blocks (the first has no expansion)",
            f"linear bottleneck: {linear} of {len(last)} last convolutions are followed by no activation",
        ),
    )


def narrow_ratio(pairs: Sequence[SeparableCost]) -> float:
    """Cost of standard convolutions between the narrow ends of each block over that of the blocks."""
    standard = sum(
        pair.standard // pair.in_channels * narrow for pair, narrow in zip(pairs, _inputs(pairs), strict=True)
    )
    return standard / sum(pair.expansion + pair.depthwise + pair.pointwise for pair in pairs)


@cache
def similar_parameters() -> Sum:
    """Parameters of the networks compared, for 1000 classes, against what is drastic: from B0 to ResNet-50."""
    base = scaled_cost(get_spec(MOBILENET), CLASSES).params
    others = {name: scaled_cost(get_spec(name), CLASSES).params for name in _EFFICIENTNETS}
    resnet = counted("resnet50").params
    drastic = resnet / others["efficientnet_b0"]
    most = max(others.values()) / base
    return Sum(
        "reproduced" if most < drastic else "not reproduced",
        f"The EfficientNets have {min(others.values()) / base:.1f} to {most:.1f} times the parameters of MobileNetV2: "
        "more, and not drastically more.",
        (
            f"{MOBILENET}: {base:,} parameters with 1000 classes",
            *(f"{name}: {params:,} / {base:,} = {params / base:.2f}" for name, params in others.items()),
            f"drastic here: {drastic:.1f} times or more, as ResNet-50 ({resnet:,}) has against efficientnet_b0; it has "
            f"{resnet / base:.1f} times as many as {MOBILENET}",
        ),
    )


@cache
def cheaper_to_deploy() -> Sum:
    """Multiply-accumulates, parameters and memory at each network's own resolution."""
    costs = {name: scaled_cost(_at_own(name), CLASSES) for name in RESOLUTIONS}
    mobile, b0 = costs[MOBILENET], costs["efficientnet_b0"]
    cheaper = all(
        mobile.macs < cost.macs
        and mobile.params < cost.params
        and (mobile.peak_memory_bytes or 0) < (cost.peak_memory_bytes or 0)
        for name, cost in costs.items()
        if name != MOBILENET
    )
    return Sum(
        "reproduced" if cheaper else "not reproduced",
        f"MobileNetV2 needs {mobile.macs / b0.macs:.2f} of B0's multiply-accumulates, {mobile.params / b0.params:.2f} "
        f"of its parameters and {(mobile.peak_memory_bytes or 0) / (b0.peak_memory_bytes or 1):.2f} of its memory.",
        tuple(
            f"{name} at {RESOLUTIONS[name]} px: {format_count(cost.macs)} multiply-accumulates, "
            f"{format_count(cost.params)} parameters, {format_bytes(cost.peak_memory_bytes or 0)} at the peak of "
            "inference"
            for name, cost in costs.items()
        ),
    )


def _at_own(name: str) -> ArchSpec:
    return replace(get_spec(name), resolution=RESOLUTIONS[name])


def _inputs(pairs: Sequence[SeparableCost]) -> list[int]:
    """Channels that enter each block: those that left the one before."""
    return [_STEM_CHANNELS, *(pair.out_channels for pair in pairs[:-1])]


def _positions(pair: SeparableCost) -> int:
    return pair.standard // (pair.in_channels * pair.out_channels * pair.kernel**2)


def _by_formula(pair: SeparableCost) -> int:
    return _positions(pair) * pair.in_channels * (pair.kernel**2 + pair.out_channels)
