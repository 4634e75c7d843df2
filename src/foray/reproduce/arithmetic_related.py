"""The study's statements about the work of others: published numbers, beside those of foray's own networks."""

from __future__ import annotations

from foray.records.quantities import format_count, format_percent
from foray.reproduce.arithmetic import SANDLER_TOP1
from foray.reproduce.arithmetic_costs import counted
from foray.reproduce.claim import Sum
from foray.specs import get_spec, paper_macs

HOWARD = "Howard et al. 2019 (arXiv:1905.02244), table 3"
HAN = "Han et al. 2020 (arXiv:1911.11907), table 7"
TAN_LE_V2 = "Tan & Le 2021 (arXiv:2104.00298), section 6.1"
# HOWARD: milliseconds of one image on one large core of a Pixel 1, 2 and 3, TensorFlow Lite, float32.
PIXEL_MS = {"mobilenet_v2": (64, 76, 56), "mobilenet_v3_large": (51, 61, 44)}


def efficientnet_v2_is_smaller() -> Sum:
    """EfficientNetV2-M against B7, the paper's own pair, and the small networks of one name."""
    large, b7 = counted("efficientnet_v2_m"), counted("efficientnet_b7")
    small, b0 = counted("efficientnet_v2_b0"), counted("efficientnet_b0")
    smaller = large.params < b7.params and large.macs < b7.macs
    return Sum(
        "reproduced" if smaller else "not reproduced",
        f"EfficientNetV2-M has {_fewer(large.params, b7.params)} fewer parameters and {_fewer(large.macs, b7.macs)} "
        "fewer multiply-accumulates than B7. It does not hold of the small ones: V2-B0 has "
        f"{small.params / b0.params:.2f} times B0's parameters and {small.macs / b0.macs:.2f} times its "
        "multiply-accumulates.",
        (
            f"{TAN_LE_V2}: V2-M has 17 % fewer parameters and 37 % fewer FLOPS than B7, trained alike, and infers 3.1 "
            "times faster on a V100; smaller V2 networks are generally faster at comparable parameter efficiency",
            _pair_line("efficientnet_v2_m", "efficientnet_b7"),
            _pair_line("efficientnet_v2_b0", "efficientnet_b0"),
            f"on ImageNet V2-B0 has {format_percent(_published_top1('tf_efficientnet_v2_b0'))}, B0 "
            f"{format_percent(_published_top1('tf_efficientnet_b0'))} and B1 "
            f"{format_percent(_published_top1('tf_efficientnet_b1'))}; against B1 V2-B0 has "
            f"{small.params / counted('efficientnet_b1').params:.2f} times the parameters",
        ),
    )


def mobilenet_v3_is_faster() -> Sum:
    """MobileNetV3-Large against MobileNetV2 on three phones, with accuracy and multiply-accumulates."""
    name, before = "mobilenet_v3_large", "mobilenet_v2"
    times = list(zip(PIXEL_MS[name], PIXEL_MS[before], strict=True))
    faster = all(new < old for new, old in times)
    top1 = _published_top1(f"tf_{name}")
    saved = [_fewer(new, old) for new, old in times]
    return Sum(
        "reproduced" if faster and top1 >= SANDLER_TOP1 else "not reproduced",
        f"MobileNetV3-Large takes {saved[0]}, {saved[1]} and {saved[2]} less time on three phones, at "
        f"{format_percent(top1)} instead of {format_percent(SANDLER_TOP1)}.",
        (
            f"{HOWARD}, ms per image on Pixel 1, 2 and 3: "
            + ", ".join(f"{new} instead of {old}" for new, old in times),
            f"the same, top-1 on ImageNet: {format_percent(top1)} instead of {format_percent(SANDLER_TOP1)}",
            _pair_line(name, before),
        ),
    )


def ghostnet_is_cheaper() -> Sum:
    """GhostNet against MobileNetV2 and MobileNetV3-Large in multiply-accumulates."""
    ghost, others = counted("ghostnet"), ("mobilenet_v2", "mobilenet_v3_large")
    cheaper = all(ghost.macs < counted(name).macs for name in others)
    shares = [ghost.macs / counted(name).macs for name in others]
    more = ghost.params / counted("mobilenet_v2").params
    return Sum(
        "reproduced" if cheaper else "not reproduced",
        f"GhostNet needs {shares[0]:.2f} of MobileNetV2's multiply-accumulates and {shares[1]:.2f} of "
        f"MobileNetV3-Large's. It has {more:.2f} times MobileNetV2's parameters: cheaper in work, not in size.",
        (
            f"{HAN}: GhostNet {format_count(paper_macs(get_spec('ghostnet')) or 0)} multiply-accumulates and "
            f"{format_percent(_published_top1('ghostnet'))} on ImageNet",
            *(_pair_line("ghostnet", name) for name in others),
        ),
    )


def _pair_line(one: str, other: str) -> str:
    """Parameters and multiply-accumulates of two networks, counted by foray, with those of their papers."""
    new, old = counted(one), counted(other)
    return (
        f"counted: {one} {format_count(new.params)} parameters and {format_count(new.macs)} multiply-accumulates "
        f"({_paper(one)}), {other} {format_count(old.params)} and {format_count(old.macs)} ({_paper(other)}): "
        f"{new.params / old.params:.2f} and {new.macs / old.macs:.2f} times"
    )


def _paper(name: str) -> str:
    macs = paper_macs(get_spec(name))
    return f"published: {format_count(macs)}" if macs else "none published"


def _published_top1(name: str) -> float:
    """On ImageNet, in [0, 1]."""
    published = get_spec(name).published
    assert published is not None
    assert published.top1 is not None
    return published.top1


def _fewer(new: float, old: float) -> str:
    return f"{100 * (1 - new / old):.0f} %"
