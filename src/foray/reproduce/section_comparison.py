"""The claims that compare the two families, and what holds when both are trained alike."""

from __future__ import annotations

from foray.recipes import Choice
from foray.reproduce.arithmetic import cheaper_to_deploy, similar_parameters
from foray.reproduce.claim import Arithmetic, Claim, Gap, Order, Timed, TimeRatio

_WHERE = "comparison and conclusion"
_WHOLE = "deepweeds-mobilenet-whole"

CLAIMS = (
    Claim(
        id="comparison.every_efficientnet_above",
        section="comparison",
        statement="Every EfficientNet is above every MobileNetV2.",
        where=_WHERE,
        data="deepweeds",
        judge=Order(((_WHOLE, "deepweeds-b0"), (_WHOLE, "deepweeds-b1"), (_WHOLE, "deepweeds-b2"))),
        expected="B0 93.5 %, B1 94.7 %, B2 95.0 % against 89 %",
        note="The study's confound: its EfficientNets are trained from scratch for 500 epochs, its MobileNetV2 is "
        "pretrained and trained for 20. See also the claim comparison.equal_protocol.",
    ),
    Claim(
        id="comparison.equal_protocol",
        section="comparison",
        statement="EfficientNet-B0 is more accurate than MobileNetV2 when both are trained alike.",
        where="not in the study: its comparison without the confound",
        data="deepweeds",
        judge=Order((
            *((f"deepweeds-mobilenet-{protocol}", f"deepweeds-{name}-{protocol}")
              for name in ("b0", "v2b0") for protocol in ("frozen", "last34", "sgd", "whole")),
            ("deepweeds-mobilenet-scratch", "deepweeds-b0"),
        )),
        expected="EfficientNet above, if the study's conclusion is about the networks",
        original="ImageNet: B0 77.1 % (Tan & Le 2019), V2-B0 78.7 % (Keras), MobileNetV2 72.0 % (Sandler et al. 2018).",
    ),
    Claim(
        id="comparison.close",
        section="comparison",
        statement="MobileNetV2 (0.89) is close to EfficientNet-B0 (0.935).",
        where=_WHERE,
        data="deepweeds",
        judge=Gap(_WHOLE, "deepweeds-b0", "no better", 0.05),
        expected="B0 gains 5 points at most",
        unstated={"close": Choice("5 points", "4.5 points are close in the study's words")},
        note="with the study's confound",
    ),
    Claim(
        id="comparison.faster_to_train",
        section="comparison",
        statement="MobileNetV2 is much faster to train.",
        where=_WHERE,
        data="deepweeds",
        judge=TimeRatio(Timed("mobilenet_v2", 224), Timed("efficientnet_b0", 224), 1.5),
        expected="an epoch of B0 takes at least 1.5 times as long",
        unstated={"much": Choice("1.5 times per epoch", "the study states none; same images, resolution and batch")},
        note="the runs are timed one after the other, not interleaved: the machine's speed may change between",
    ),
    Claim(
        id="comparison.cheaper_to_deploy",
        section="comparison",
        statement="MobileNetV2 is cheaper to deploy.",
        where=_WHERE,
        data="none",
        judge=Arithmetic(cheaper_to_deploy, "multiply-accumulates, parameters and peak memory by formula"),
        expected="less of each",
    ),
    Claim(
        id="comparison.parameters_similar",
        section="comparison",
        statement="The parameter counts of the networks compared are similar.",
        where=_WHERE,
        data="none",
        judge=Arithmetic(similar_parameters, "parameters of each over MobileNetV2's: reproduced up to 1.25 times"),
        expected="about the same",
        original="Tan & Le 2019: B0 5.3 M, B1 7.8 M, B2 9.2 M; Sandler et al. 2018: MobileNetV2 3.4 M.",
        unstated={"similar": Choice("at most 1.25 times", "the study states no number")},
    ),
)  # fmt: skip
