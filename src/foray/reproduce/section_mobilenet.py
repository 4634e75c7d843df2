"""The claims about MobileNetV2: ImageNet, the four protocols on DeepWeeds, and figure 1."""

from __future__ import annotations

from foray.recipes import Choice
from foray.reproduce.arithmetic import OLSEN, contradicting_caption, quoted_mobilenet
from foray.reproduce.arithmetic_costs import MOBILENET
from foray.reproduce.claim import Accuracy, Arithmetic, Claim, CurveShape, Gap, Timed, TimeRatio
from foray.reproduce.experiments import FROZEN_FOLDS, RESOLUTIONS
from foray.reproduce.margins import CLOSE, CONSIDERABLE_CHOICE, SAME, SAME_CHOICE

_SECTION = "section 4.2"
_FROZEN, _LAST34 = "deepweeds-mobilenet-frozen", "deepweeds-mobilenet-last34"
_LONGER = 2.0  # times as long
_SGD, _WHOLE = "deepweeds-mobilenet-sgd", "deepweeds-mobilenet-whole"

CLAIMS = (
    Claim(
        id="mobilenet.imagenet",
        section="mobilenet",
        statement="Pretrained MobileNetV2 reaches about 71 % on the 50,000 ILSVRC2012 validation images.",
        where=_SECTION,
        data="imagenet",
        judge=Accuracy("imagenet-mobilenet", 0.71),
        original="Sandler et al. 2018, table 4: 72.0 %; Keras' weights 71.3 %.",
        original_percent="72.0",
        unstated={
            "weights": Choice("those of --weights", "Keras' are likely: the other experiments are Keras'"),
            "preprocessing": Choice("the weights' own: short side 256, middle 224 px", "none is stated"),
        },
    ),
    Claim(
        id="mobilenet.imagenet.paper",
        section="mobilenet",
        statement="MobileNetV2's paper has 72 % on ImageNet.",
        where=_SECTION,
        data="none",
        judge=Arithmetic(quoted_mobilenet, "against Sandler et al.'s table 4"),
        expected="72 %",
        original="Sandler et al. 2018, table 4: 72.0 %.",
    ),
    Claim(
        id="mobilenet.frozen",
        section="mobilenet",
        statement="A new head on the frozen backbone, RMSProp 1e-3, reaches 79.95 % after 10 epochs.",
        where=_SECTION,
        data="deepweeds",
        judge=Accuracy(_FROZEN, 0.7995, also=FROZEN_FOLDS),
        recipe="study_mobilenet_linear",
        original=OLSEN,
    ),
    Claim(
        id="mobilenet.frozen.sgd",
        section="mobilenet",
        statement="SGD at 1e-2 in place of RMSProp gives a very similar result on the frozen backbone.",
        where=_SECTION,
        data="deepweeds",
        judge=Gap(_FROZEN, "deepweeds-mobilenet-frozen-sgd", "similar", SAME),
        recipe="study_mobilenet_linear",
        expected="a difference within 2 points",
        note="the study's sentence does not say which stage it is about: mobilenet.sgd.similar has the other",
        brief="SGD is like RMSProp on the frozen backbone",
        unstated={"margin": SAME_CHOICE},
    ),
    Claim(
        id="mobilenet.last34.no_better",
        section="mobilenet",
        statement="Unfreezing the last 34 layers is no better than the frozen backbone.",
        where=_SECTION,
        data="deepweeds",
        judge=Gap(_FROZEN, _LAST34, "no better", SAME),
        recipe="study_mobilenet_last34",
        expected="no gain over 79.95 %",
        brief="the last 34 layers unfrozen are no better than the frozen backbone",
        unstated={"margin": SAME_CHOICE},
    ),
    Claim(
        id="mobilenet.last34.overfits",
        section="mobilenet",
        statement="With the last 34 layers unfrozen, train accuracy rises while validation stays.",
        where=_SECTION,
        data="deepweeds",
        judge=CurveShape(_LAST34, "overfits"),
        recipe="study_mobilenet_last34",
        expected="train rises, val stays",
        brief="with the last 34 layers unfrozen train rises and val stays",
        unstated={"margin": SAME_CHOICE},
    ),
    Claim(
        id="mobilenet.sgd.similar",
        section="mobilenet",
        statement="SGD at 1e-2 in place of RMSProp gives a very similar result with the last 34 layers unfrozen.",
        where=_SECTION,
        data="deepweeds",
        judge=Gap(_LAST34, _SGD, "similar", SAME),
        recipe="study_mobilenet_sgd",
        expected="a difference within 2 points",
        brief="SGD is like RMSProp with the last 34 layers unfrozen",
        unstated={"margin": SAME_CHOICE},
    ),
    Claim(
        id="mobilenet.whole",
        section="mobilenet",
        statement="The whole network unfrozen, RMSProp 1e-4, reaches 89 % after 20 epochs.",
        where=_SECTION,
        data="deepweeds",
        judge=Accuracy(_WHOLE, 0.89),
        recipe="study_mobilenet_whole",
        original=OLSEN,
    ),
    Claim(
        id="mobilenet.whole.better",
        section="mobilenet",
        statement="The whole network unfrozen is considerably better than the frozen backbone.",
        where=_SECTION,
        data="deepweeds",
        judge=Gap(_FROZEN, _WHOLE, "better", CLOSE),
        recipe="study_mobilenet_whole",
        expected="89 % against 79.95 %",
        brief="everything unfrozen is better than the frozen backbone",
        unstated={"considerably": CONSIDERABLE_CHOICE},
    ),
    Claim(
        id="mobilenet.whole.keeps_rising",
        section="mobilenet",
        statement="With everything unfrozen, train accuracy is high early and yet validation accuracy keeps rising.",
        where=_SECTION,
        data="deepweeds",
        judge=CurveShape(_WHOLE, "keeps rising"),
        recipe="study_mobilenet_whole",
        expected="train high early, val rising to the end",
        brief="with everything unfrozen val keeps rising",
        unstated={"high": Choice("90 % of train", "the study states no number")},
    ),
    Claim(
        id="mobilenet.whole.longer",
        section="mobilenet",
        statement="Training everything for 20 epochs takes considerably longer than the head for 10.",
        where=_SECTION,
        data="deepweeds",
        judge=TimeRatio(
            Timed(MOBILENET, RESOLUTIONS[MOBILENET], trains="head"),
            Timed(MOBILENET, RESOLUTIONS[MOBILENET]),
            _LONGER,
            of="run",
            epochs=(10, 20),
        ),
        recipe="study_mobilenet_whole",
        expected="at least twice as long",
        note="the frozen backbone is timed as Keras runs it, anew in each epoch; foray itself runs it once, caches the "
        "features, and takes far less",
        brief="20 epochs of everything take longer than 10 of the head",
        unstated={
            "considerably": Choice(f"at least {_LONGER:g} times", "twice the epochs alone, before any step is slower")
        },
    ),
    Claim(
        id="figure1.caption",
        section="figure1",
        statement='Figure 1 shows a run with "no frozen weights", and the text cites it for the frozen backbone.',
        where="figure 1, its caption, and section 4.2",
        data="deepweeds",
        judge=Arithmetic(contradicting_caption, "caption against text; both runs are drawn", (_FROZEN, _WHOLE)),
        expected="one of the two runs",
    ),
)
