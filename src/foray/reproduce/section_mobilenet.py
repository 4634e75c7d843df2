"""The claims about MobileNetV2: ImageNet, the four protocols on DeepWeeds, and figure 1."""

from __future__ import annotations

from foray.recipes import Choice
from foray.reproduce.arithmetic import contradicting_caption
from foray.reproduce.claim import Accuracy, Arithmetic, Claim, CurveShape, Gap, Timed, TimeRatio
from foray.reproduce.experiments import FROZEN_FOLDS

_SECTION = "section 4.2"
_OLSEN = "Olsen et al. 2019: ResNet-50 95.7 % over five folds."
_MARGIN = 0.02
_FROZEN, _LAST34 = "deepweeds-mobilenet-frozen", "deepweeds-mobilenet-last34"
_SGD, _WHOLE = "deepweeds-mobilenet-sgd", "deepweeds-mobilenet-whole"
_MARGIN_CHOICE = Choice(f"{100 * _MARGIN:g} points", "the study states no number for what is the same")

CLAIMS = (
    Claim(
        id="mobilenet.imagenet",
        section="mobilenet",
        statement="Pretrained MobileNetV2 reaches about 71 % on the 50,000 ILSVRC2012 validation images.",
        where=_SECTION,
        data="imagenet",
        judge=Accuracy("imagenet-mobilenet", 0.71, also=("imagenet-sample",)),
        original="Sandler et al. 2018, table 4: 72.0 %; Keras' weights 71.3 %.",
        original_percent="72.0",
        unstated={
            "weights": Choice("those of --weights", "Keras' are likely: the other experiments are Keras'"),
            "preprocessing": Choice("the weights' own: short side 256, middle 224 px", "none is stated"),
        },
    ),
    Claim(
        id="mobilenet.frozen",
        section="mobilenet",
        statement="A new head on the frozen backbone, RMSProp 1e-3, reaches 79.95 % after 10 epochs.",
        where=_SECTION,
        data="deepweeds",
        judge=Accuracy(_FROZEN, 0.7995, also=FROZEN_FOLDS),
        recipe="study_mobilenet_linear",
        original=_OLSEN,
        original_percent="95.7 (ResNet-50)",
    ),
    Claim(
        id="mobilenet.frozen.sgd",
        section="mobilenet",
        statement="SGD at 1e-2 in place of RMSProp gives a very similar result on the frozen backbone.",
        where=_SECTION,
        data="deepweeds",
        judge=Gap(_FROZEN, "deepweeds-mobilenet-frozen-sgd", "similar", _MARGIN),
        recipe="study_mobilenet_linear",
        expected="the same within noise",
        note="the study's sentence does not say which stage it is about: mobilenet.sgd.similar has the other",
        unstated={"margin": _MARGIN_CHOICE},
    ),
    Claim(
        id="mobilenet.last34.no_better",
        section="mobilenet",
        statement="Unfreezing the last 34 layers is no better than the frozen backbone.",
        where=_SECTION,
        data="deepweeds",
        judge=Gap(_FROZEN, _LAST34, "no better", _MARGIN),
        recipe="study_mobilenet_last34",
        expected="no gain over 79.95 %",
        unstated={"margin": _MARGIN_CHOICE},
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
        unstated={"margin": _MARGIN_CHOICE},
    ),
    Claim(
        id="mobilenet.sgd.similar",
        section="mobilenet",
        statement="SGD at 1e-2 in place of RMSProp gives a very similar result.",
        where=_SECTION,
        data="deepweeds",
        judge=Gap(_LAST34, _SGD, "similar", _MARGIN),
        recipe="study_mobilenet_sgd",
        expected="the same within noise",
        unstated={"margin": _MARGIN_CHOICE},
    ),
    Claim(
        id="mobilenet.whole",
        section="mobilenet",
        statement="The whole network unfrozen, RMSProp 1e-4, reaches 89 % after 20 epochs.",
        where=_SECTION,
        data="deepweeds",
        judge=Accuracy(_WHOLE, 0.89),
        recipe="study_mobilenet_whole",
        original=_OLSEN,
        original_percent="95.7 (ResNet-50)",
    ),
    Claim(
        id="mobilenet.whole.keeps_rising",
        section="mobilenet",
        statement="With everything unfrozen, train accuracy is high early and yet validation keeps rising.",
        where=_SECTION,
        data="deepweeds",
        judge=CurveShape(_WHOLE, "keeps rising"),
        recipe="study_mobilenet_whole",
        expected="train high early, val rising to the end",
        unstated={"high": Choice("90 % of train", "the study states no number")},
    ),
    Claim(
        id="mobilenet.whole.longer",
        section="mobilenet",
        statement="Training everything takes considerably longer than the head on the frozen backbone.",
        where=_SECTION,
        data="deepweeds",
        judge=TimeRatio(Timed("mobilenet_v2", 224, "head"), Timed("mobilenet_v2", 224), 2.0, of="run", epochs=(10, 20)),
        recipe="study_mobilenet_whole",
        expected="at least twice as long",
        note="foray runs the frozen backbone once and caches its features, which makes the ratio larger than Keras'",
        unstated={"considerably": Choice("at least 2 times", "the study states no number")},
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
