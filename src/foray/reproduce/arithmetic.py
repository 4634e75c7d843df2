"""The study's printed numbers against their sources, and against each other."""

from __future__ import annotations

from typing import NamedTuple

from foray.recipes import STUDY, Recipe
from foray.records.quantities import format_percent, format_points
from foray.reproduce.claim import Sum
from foray.reproduce.margins import CLOSE

TAN_LE = "Tan & Le 2019 (arXiv:1905.11946)"
OLSEN = "Olsen et al. 2019: ResNet-50 95.7 % over five folds."
KORNBLITH = "Kornblith et al. 2019 (arXiv:1805.08974)"


class Transfer(NamedTuple):
    """One row of Tan & Le's table 5, and what the study says it holds for EfficientNet-B0; top-1 in [0, 1]."""

    title: str
    nasnet: float
    b0: float
    attributed: float


TRANSFERS = {
    "cifar10": Transfer("CIFAR-10", nasnet=0.980, b0=0.981, attributed=0.980),
    "cifar100": Transfer("CIFAR-100", nasnet=0.875, b0=0.881, attributed=0.875),
}
QUOTED_MOBILENET = 0.72  # MobileNetV2 on ImageNet, as the study quotes its paper
SANDLER_TOP1 = 0.720  # arXiv:1801.04381, table 4
_FROZEN, _WHOLE = "study_mobilenet_linear", "study_mobilenet_whole"


def printed_top1(recipe: str, data: str, model: str, epochs: int) -> float:
    """The accuracy that the study prints for an experiment, in [0, 1]."""
    wanted = (data, model, epochs)
    found = next(one.top1 for one in STUDY[recipe].printed if (one.data, one.model, one.epochs) == wanted)
    assert found is not None
    return found


def misattribution() -> Sum:
    """The accuracies that the study attributes to EfficientNet-B0, against their source."""
    wrong = [row for row in TRANSFERS.values() if row.attributed != row.b0]
    whose = " and ".join(f"{format_percent(row.attributed)} ({row.title})" for row in wrong)
    right = " and ".join(f"{format_percent(row.b0)} on {row.title}" for row in wrong)
    return Sum(
        "error in the study" if wrong else "reproduced",
        f"{whose} are NASNet-A's in Tan & Le's table 5; EfficientNet-B0 has {right} there.",
        tuple(
            f"{TAN_LE}, table 5, {row.title}: NASNet-A {format_percent(row.nasnet)} with 85 M parameters, "
            f"EfficientNet-B0 {format_percent(row.b0)} with 4 M; the study takes "
            f"{format_points(row.b0 - row.attributed)} from B0"
            for row in TRANSFERS.values()
        ),
        f"the accuracies taken for B0's are NASNet-A's, B0 has {right}",
    )


def cifar100_is_close() -> Sum:
    """EfficientNet-B0 on CIFAR-100 in the study and in the paper."""
    gap, line = _gap_to_paper("cifar100")
    return Sum(
        "reproduced" if abs(gap) <= CLOSE else "not reproduced",
        f"It is {format_points(gap)} below EfficientNet-B0's own accuracy in the paper.",
        (line, f"close here: {format_points(CLOSE)} at most"),
    )


def cifar10_is_far() -> Sum:
    """EfficientNet-B0 on CIFAR-10 in the study and in the paper."""
    gap, line = _gap_to_paper("cifar10")
    errors = (1 - _printed_cifar("cifar10")) / (1 - TRANSFERS["cifar10"].b0)
    return Sum(
        "reproduced" if abs(gap) > CLOSE else "not reproduced",
        f"It is {format_points(gap)} below the paper, with {errors:.1f} times as many errors.",
        (line, f"far here: more than {format_points(CLOSE)}"),
    )


def sgd_as_the_reason() -> Sum:
    """SGD as the reason for CIFAR-10: the optimiser of the paper's numbers, and of the study's CIFAR-100."""
    ten, hundred = TRANSFERS["cifar10"], TRANSFERS["cifar100"]
    far, _ = _gap_to_paper("cifar10")
    near, _ = _gap_to_paper("cifar100")
    contradicted = abs(near) <= CLOSE < abs(far)  # the same optimiser, once close and once far
    return Sum(
        "error in the study" if contradicted else "not reproduced",
        f"SGD alone does not explain it: the network with {format_percent(ten.attributed)} was trained by SGD too, and "
        f"with the same SGD the study came within {format_points(near)} of the paper on CIFAR-100.",
        (
            f"{TAN_LE}, table 5: NASNet-A's {format_percent(ten.nasnet)} on CIFAR-10 and "
            f"{format_percent(hundred.nasnet)} on CIFAR-100 are from {KORNBLITH}, "
            "who fine-tuned with Nesterov momentum 0.9, which is SGD "
            "(20,000 steps of 256 images, rate and weight decay from a grid)",
            f"{TAN_LE}, section 5.3: EfficientNet-B0's settings are borrowed from Kornblith et al. and from GPipe "
            "(arXiv:1811.06965, section 4: those of its ImageNet training); which of them CIFAR-10 had is not said",
            f"the study, by the same SGD: {format_points(near)} below the paper on CIFAR-100, {format_points(far)} on "
            "CIFAR-10",
            "our own run changes more than the optimiser and cannot separate it",
        ),
        "SGD alone does not explain why CIFAR-10 stays below the paper",
    )


def little_tuning() -> Sum:
    """MobileNetV2's gain by fine-tuning, in the study's own numbers."""
    frozen = printed_top1(_FROZEN, "deepweeds", "mobilenet_v2", 10)
    whole = printed_top1(_WHOLE, "deepweeds", "mobilenet_v2", 20)
    gain = whole - frozen
    return Sum(
        "error in the study" if gain > CLOSE else "reproduced",
        f"MobileNetV2 gains {format_points(gain)} by fine-tuning the whole network, in the study's own numbers. It "
        "calls that considerably better.",
        (
            f"frozen backbone, 10 epochs: {100 * frozen:g} %",
            f"whole network, 20 epochs: {100 * whole:g} %",
            f"{100 * whole:g} - {100 * frozen:g} = {format_points(gain)}; considerable here: more than "
            f"{format_points(CLOSE)}",
            "if fine-tuning means epochs: 20 for MobileNetV2, 500 for the EfficientNets, which start from scratch",
        ),
        f"MobileNetV2 does gain by fine-tuning, {format_points(gain)} in the study's own numbers",
    )


def same_training() -> Sum:
    """How the study trained EfficientNet and MobileNetV2 on DeepWeeds, key by key."""
    efficientnet, mobilenet = STUDY["study_deepweeds_scratch"], STUDY[_WHOLE]
    both = [key for key in efficientnet.stated if key in mobilenet.stated]
    pairs = {key: (stated_value(efficientnet.recipe, key), stated_value(mobilenet.recipe, key)) for key in both}
    different = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    alone = [key for key in efficientnet.stated if key not in mobilenet.stated]
    told = ", ".join(f"{key} {one} against {other}" for key, (one, other) in different.items())
    return Sum(
        "error in the study" if different else "reproduced",
        f"The two families were not trained in the same way. By the study's own description {len(different)} things "
        f"differ on DeepWeeds: {told}.",
        (
            *(f"{key}: EfficientNet {one}, MobileNetV2 {other}" for key, (one, other) in pairs.items()),
            f"stated for EfficientNet alone: {', '.join(alone)}",
        ),
        "the two families were not trained in the same way",
    )


def quoted_mobilenet() -> Sum:
    """The accuracy of MobileNetV2's paper that the study quotes."""
    right = round(SANDLER_TOP1, 2) == QUOTED_MOBILENET
    return Sum(
        "reproduced" if right else "error in the study",
        f"Sandler et al. 2018 print {format_percent(SANDLER_TOP1)}. The weights that are public have a little less.",
        (
            f"quoted: {100 * QUOTED_MOBILENET:g} %; Sandler et al. 2018 (arXiv:1801.04381), table 4: "
            f"{format_percent(SANDLER_TOP1)}",
            "public weights: TensorFlow-Slim 71.8 %, torchvision 71.9 %, Keras 71.3 % (their own tables)",
        ),
    )


def contradicting_caption() -> Sum:
    """Figure 1: its caption and the text that cites it."""
    frozen = printed_top1(_FROZEN, "deepweeds", "mobilenet_v2", 10)
    whole = printed_top1(_WHOLE, "deepweeds", "mobilenet_v2", 20)
    return Sum(
        "error in the study",
        "The caption of figure 1 and the text that cites it cannot both be right. Both runs are drawn here.",
        (
            f'caption: "no frozen weights", the run of 20 epochs that ends at {100 * whole:g} %',
            f"text: cites the figure for the run with a frozen backbone, which ends at {100 * frozen:g} % after 10 "
            "epochs",
        ),
        "figure 1's caption and the text that cites it name different runs",
    )


def stated_value(recipe: Recipe, key: str) -> object:
    """The value of a dotted key of a recipe."""
    found: object = recipe
    for part in key.split("."):
        found = getattr(found, part)
    return found


def _gap_to_paper(data: str) -> tuple[float, str]:
    """(what the study is below the paper, the line that says so) for EfficientNet-B0."""
    row, ours = TRANSFERS[data], _printed_cifar(data)
    gap = row.b0 - ours
    line = (
        f"{row.title}: {format_percent(row.b0)} in {TAN_LE}, table 5, less {format_percent(ours)} in the study = "
        f"{format_points(gap)} ({format_points(row.attributed - ours)} against the "
        f"{format_percent(row.attributed)} that the study takes for it)"
    )
    return gap, line


def _printed_cifar(data: str) -> float:
    return printed_top1("study_cifar_finetune", data, "efficientnet_b0", 500)
