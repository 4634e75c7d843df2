"""The study's statements about the work of others, by published numbers and by latency on this machine."""

from __future__ import annotations

from foray.recipes import Choice
from foray.reproduce.arithmetic_related import (
    HAN,
    HOWARD,
    TAN_LE_V2,
    efficientnet_v2_is_smaller,
    ghostnet_is_cheaper,
    mobilenet_v3_is_faster,
)
from foray.reproduce.claim import Arithmetic, Claim, Timed, TimeRatio

_WHERE = "related work"
_PIXELS = 224
_HARDWARE = Choice("this machine", "none is named; latency depends on it")


_SMALL_PAIR = Choice("V2-B0 and B0", "the size that the study uses; the paper times V2-M and B7 on a V100")


def _latency(
    name: str, statement: str, fast: str, slow: str, original: str, brief: str, pair: Choice | None = None
) -> Claim:
    return Claim(
        id=f"related.{name}.latency",
        section="related",
        statement=statement,
        where=_WHERE,
        data="none",
        judge=TimeRatio(Timed(fast, _PIXELS), Timed(slow, _PIXELS), 1.0, of="latency"),
        expected="less time per image",
        original=original,
        brief=brief,
        unstated={"hardware": _HARDWARE} | ({"pair": pair} if pair else {}),
    )


CLAIMS = (
    Claim(
        id="related.efficientnet_v2.smaller",
        section="related",
        statement="EfficientNetV2 is smaller than EfficientNet.",
        where=_WHERE,
        data="none",
        judge=Arithmetic(
            efficientnet_v2_is_smaller, "parameters and multiply-accumulates of V2-M and B7, the paper's own pair"
        ),
        expected="fewer parameters and multiply-accumulates",
        original=f"{TAN_LE_V2}: V2-M against B7, 17 % fewer parameters and 37 % fewer FLOPS.",
        unstated={
            "pair": Choice("V2-M and B7", "the study names none; the small pair, V2-B0 and B0, shows the contrary")
        },
    ),
    _latency(
        "efficientnet_v2",
        "EfficientNetV2 is faster than EfficientNet: V2-B0 against B0.",
        "efficientnet_v2_b0",
        "efficientnet_b0",
        f"{TAN_LE_V2}: V2-M infers 3.1 times faster than B7; smaller V2 networks are generally faster.",
        "EfficientNet-B0 takes longer per image than EfficientNetV2-B0",
        _SMALL_PAIR,
    ),
    Claim(
        id="related.mobilenet_v3.faster",
        section="related",
        statement="MobileNetV3 is faster than MobileNetV2 at the same or better accuracy.",
        where=_WHERE,
        data="none",
        judge=Arithmetic(mobilenet_v3_is_faster, "published latency on three phones and published accuracy"),
        expected="less time on every phone, no less accuracy",
        original=HOWARD,
    ),
    _latency(
        "mobilenet_v3",
        "MobileNetV3 is faster than MobileNetV2: V3-Large against V2.",
        "mobilenet_v3_large",
        "mobilenet_v2",
        HOWARD,
        "MobileNetV2 takes longer per image than MobileNetV3-Large",
    ),
    Claim(
        id="related.ghostnet.cheaper",
        section="related",
        statement="GhostNet is cheaper than the MobileNets.",
        where=_WHERE,
        data="none",
        judge=Arithmetic(ghostnet_is_cheaper, "multiply-accumulates against MobileNetV2's and MobileNetV3-Large's"),
        expected="fewer multiply-accumulates",
        original=HAN,
    ),
    _latency(
        "ghostnet",
        "GhostNet is cheaper than MobileNetV2, in time per image too.",
        "ghostnet",
        "mobilenet_v2",
        HAN,
        "MobileNetV2 takes longer per image than GhostNet",
    ),
)
