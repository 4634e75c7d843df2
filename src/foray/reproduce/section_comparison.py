"""The claims that compare the two families, and what holds when both are trained alike."""

from __future__ import annotations

from typing import Literal

from foray.recipes import Choice
from foray.reproduce.arithmetic import little_tuning, same_training
from foray.reproduce.arithmetic_costs import MOBILENET, cheaper_to_deploy, similar_parameters
from foray.reproduce.claim import Arithmetic, Claim, Gap, Order, Timed, TimeRatio
from foray.reproduce.experiments import RESOLUTIONS
from foray.reproduce.margins import CLOSE, CLOSE_CHOICE, CONSIDERABLE_CHOICE, MUCH, MUCH_CHOICE

_WHERE = "comparison and conclusion"
_FROZEN, _WHOLE = "deepweeds-mobilenet-frozen", "deepweeds-mobilenet-whole"
_EPOCHS = (20, 500)  # of MobileNetV2 and of the EfficientNets, on DeepWeeds
_IMAGENET = "ImageNet: MobileNetV2 72.0 % (Sandler et al. 2018), B0 77.1 % (Tan & Le 2019), V2-B0 78.7 % (its release)."


def _timed(model: str) -> Timed:
    return Timed(model, RESOLUTIONS[model])


def _per_epoch(b: str) -> Claim:
    return Claim(
        id=f"comparison.faster_to_train.{b}",
        section="comparison",
        statement=f"An epoch of MobileNetV2 is much faster than one of EfficientNet-{b.upper()}.",
        where=_WHERE,
        data="deepweeds",
        judge=TimeRatio(_timed(MOBILENET), _timed(f"efficientnet_{b}"), MUCH),
        expected=f"an epoch of {b.upper()} takes at least {MUCH:g} times as long",
        brief=f"an epoch of {b.upper()} takes much longer than one of MobileNetV2",
        unstated={"much": MUCH_CHOICE, "resolution": Choice("each network's own", "the study states none")},
    )


def _in_total(b: str) -> Claim:
    mobile, efficient = _EPOCHS
    return Claim(
        id=f"comparison.faster_to_train.total.{b}",
        section="comparison",
        statement=f"Training MobileNetV2 for {mobile} epochs is much faster than EfficientNet-{b.upper()} for "
        f"{efficient}.",
        where=_WHERE,
        data="deepweeds",
        judge=TimeRatio(_timed(MOBILENET), _timed(f"efficientnet_{b}"), MUCH, of="run", epochs=_EPOCHS),
        expected=f"{b.upper()} takes at least {MUCH:g} times as long",
        brief=f"{efficient} epochs of {b.upper()} take longer than {mobile} of MobileNetV2",
        note=f"a factor of {efficient / mobile:g} comes from the number of epochs, which the study chose",
        unstated={"much": MUCH_CHOICE, "resolution": Choice("each network's own", "the study states none")},
    )


_NO_CONFOUND = "not in the study: its comparison without the confound"
_ABOVE = "EfficientNet above, if the study's conclusion is about the networks"
_PRETRAINED = "a network and its ImageNet weights change together"
_ALIKE = {"b0": ("efficientnet_b0", "EfficientNet-B0"), "v2b0": ("efficientnet_v2_b0", "EfficientNetV2-B0")}


def _more_accurate_alike(name: str) -> Claim:
    _, title = _ALIKE[name]
    return Claim(
        id=f"comparison.equal_protocol.{name}",
        section="comparison",
        statement=f"{title} is more accurate than MobileNetV2 when both are pretrained and then trained alike.",
        where=_NO_CONFOUND,
        data="deepweeds",
        judge=Order(
            tuple(
                (f"deepweeds-mobilenet-{protocol}", f"deepweeds-{name}-{protocol}")
                for protocol in ("frozen", "last34", "sgd", "whole")
            )
        ),
        origin="ours",
        expected=_ABOVE,
        original=_IMAGENET,
        note=f"{_PRETRAINED}. The last 34 layers, counted as Keras does, are another share of each network. The rates "
        "are those of MobileNetV2's experiments",
        brief=f"{title} over MobileNetV2",
    )


def _dearer_alike(name: str, trains: Literal["whole", "head"], resolution: int) -> Claim:
    """The price of equal training, at the resolution of `comparison.equal_protocol`."""
    model, title = _ALIKE[name]
    what = "the whole network" if trains == "whole" else "a head on the frozen backbone"
    return Claim(
        id=f"comparison.equal_protocol.{trains}_time.{name}",
        section="comparison",
        statement=f"An epoch of {what} at {resolution} px takes {title} longer than MobileNetV2.",
        where="not in the study: the time of training both alike",
        data="none",
        judge=TimeRatio(Timed(MOBILENET, resolution, trains), Timed(model, resolution, trains), 1.0),
        origin="ours",
        expected="more time",
    )


def _dearer_to_run(name: str) -> Claim:
    model, title = _ALIKE[name]
    return Claim(
        id=f"comparison.equal_protocol.latency.{name}",
        section="comparison",
        statement=f"An image takes {title} longer than MobileNetV2.",
        where="not in the study: latency beside the accuracy of equal training",
        data="none",
        judge=TimeRatio(_timed(MOBILENET), Timed(model, RESOLUTIONS[MOBILENET]), 1.0, of="latency"),
        origin="ours",
        expected="more time",
        unstated={"hardware": Choice("this machine", "latency depends on it")},
    )


_SIZES = ("b0", "b1", "b2")
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
        "pretrained and trained for 20. See also the claims comparison.equal_protocol.b0 and .scratch.",
        brief="every EfficientNet is above every MobileNetV2",
    ),
    *map(_more_accurate_alike, _ALIKE),
    Claim(
        id="comparison.equal_protocol.scratch",
        section="comparison",
        statement="EfficientNet-B0 is more accurate than MobileNetV2 when both are trained alike from scratch.",
        where=_NO_CONFOUND,
        data="deepweeds",
        judge=Order((("deepweeds-mobilenet-scratch", "deepweeds-b0"),)),
        origin="ours",
        expected=_ABOVE,
        brief="EfficientNet-B0 is above MobileNetV2 from scratch on DeepWeeds",
    ),
    Claim(
        id="comparison.equal_protocol.cifar",
        section="comparison",
        statement="Fine-tuned alike on CIFAR-10 and CIFAR-100, V2-B0 is above B0, and B0 above MobileNetV2.",
        where="not in the study: its CIFAR experiment with the other networks beside B0",
        data="cifar10, cifar100",
        judge=Order(tuple((f"{data}-mobilenet", f"{data}-b0", f"{data}-v2b0") for data in ("cifar10", "cifar100"))),
        origin="ours",
        expected="the order of ImageNet",
        original=_IMAGENET,
        note=_PRETRAINED,
        brief="fine-tuned alike on CIFAR, V2-B0 is above B0 and B0 above MobileNetV2",
    ),
    *(_dearer_alike(name, "head", 224) for name in _ALIKE),
    *(_dearer_alike(name, "whole", 160) for name in _ALIKE),
    *map(_dearer_to_run, _ALIKE),
    Claim(
        id="comparison.same_training",
        section="comparison",
        statement="MobileNetV2 was trained in the same way as EfficientNet.",
        where=_WHERE,
        data="none",
        judge=Arithmetic(same_training, "what the study states of both experiments on DeepWeeds, key by key"),
        expected="no difference",
    ),
    Claim(
        id="comparison.close",
        section="comparison",
        statement="MobileNetV2 (0.89) is close to EfficientNet-B0 (0.935).",
        where=_WHERE,
        data="deepweeds",
        judge=Gap(_WHOLE, "deepweeds-b0", "similar", CLOSE),
        expected="5 points apart at most",
        unstated={"close": CLOSE_CHOICE},
        note="with the study's confound",
        brief="EfficientNet-B0 from scratch is close to MobileNetV2 fine-tuned whole",
    ),
    Claim(
        id="comparison.little_tuning",
        section="comparison",
        statement="MobileNetV2 does not require much fine-tuning.",
        where=_WHERE,
        data="deepweeds",
        judge=Arithmetic(
            little_tuning, "the study's own two accuracies; our two runs are beside them", (_FROZEN, _WHOLE)
        ),
        expected="little gain over the frozen backbone",
        unstated={"much": CONSIDERABLE_CHOICE},
    ),
    *map(_per_epoch, _SIZES),
    *map(_in_total, _SIZES),
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
        statement="The parameter counts of the networks compared are not drastically different.",
        where=_WHERE,
        data="none",
        judge=Arithmetic(
            similar_parameters, "parameters of each over MobileNetV2's: reproduced below ResNet-50's over B0's"
        ),
        expected="not drastically different",
        original="Tan & Le 2019: B0 5.3 M, B1 7.8 M, B2 9.2 M; Sandler et al. 2018: MobileNetV2 3.4 M.",
        unstated={
            "drastically": Choice(
                "as many times as from EfficientNet-B0 to ResNet-50",
                "the study states no number; this is the difference that Tan & Le 2019, table 2, start from",
            )
        },
    ),
)  # fmt: skip
