"""The claims about EfficientNet: Table 1, Rock-Paper-Scissors, and larger phi."""

from __future__ import annotations

from foray.recipes import Choice
from foray.reproduce.claim import Accuracy, Claim, Order, Timed, TimeRatio

_TAN_LE = "Tan & Le 2019, table 5, has 98.1 % for B0 on CIFAR-10 and 88.1 % on CIFAR-100 (no B1, B2)."
_OLSEN = "Olsen et al. 2019: ResNet-50 95.7 % over five folds."
_SEEDS = Choice("one run, seed 0", "the study names no repetition")


def _cifar(model: str, data: str, top1: float, also: tuple[str, ...] = ()) -> Claim:
    return Claim(
        id=f"table1.{data}.{model}",
        section="table1",
        statement=f"EfficientNet-{model.upper()} fine-tuned whole from ImageNet for 500 epochs reaches "
        f"{100 * top1:.1f} % on {data.upper().replace('CIFAR', 'CIFAR-')}.",
        where="Table 1",
        data=data,
        judge=Accuracy(f"{data}-{model}", top1, also=also),
        recipe="study_cifar_finetune",
        original=_TAN_LE,
        original_percent={"cifar10-b0": "98.1", "cifar100-b0": "88.1"}.get(f"{data}-{model}", ""),
        unstated={"seeds": _SEEDS},
    )


def _deepweeds(model: str, top1: float, at_epoch: int | None = None) -> Claim:
    name = f"table1.deepweeds.{model}" + (f".epoch{at_epoch}" if at_epoch else "")
    return Claim(
        id=name,
        section="table1",
        statement=f"EfficientNet-{model.upper()} from scratch on DeepWeeds reaches {100 * top1:.1f} % "
        f"{f'at epoch {at_epoch}' if at_epoch else 'in 500 epochs'}.",
        where="Table 1" if at_epoch is None else "text beside Table 1",
        data="deepweeds",
        judge=Accuracy(f"deepweeds-{model}", top1, at_epoch=at_epoch),
        recipe="study_deepweeds_scratch",
        original=_OLSEN,
        original_percent="95.7 (ResNet-50)",
        unstated={"seeds": _SEEDS},
    )


def _rps(model: str, resolution: int, top1: float) -> Claim:
    return Claim(
        id=f"table1.rps.{model}",
        section="table1",
        statement=f"EfficientNet-{model.upper()} at {resolution} px, fine-tuned whole for 250 epochs, reaches "
        f"{100 * top1:.3g} % on Rock-Paper-Scissors.",
        where="text, Rock-Paper-Scissors",
        data="rock_paper_scissors",
        judge=Accuracy(f"rps-{model}", top1),
        recipe="study_rps_finetune",
        note="the study may have counted the official test images as validation; ours are carved from train",
        unstated={"seeds": _SEEDS},
    )


CLAIMS = (
    _cifar("b0", "cifar10", 0.912, ("cifar10-b0-scratch",)),
    _cifar("b1", "cifar10", 0.913, ("cifar10-b1-scratch",)),
    _cifar("b2", "cifar10", 0.917, ("cifar10-b2-scratch",)),
    _cifar("b0", "cifar100", 0.869),
    _deepweeds("b0", 0.935),
    _deepweeds("b0", 0.905, at_epoch=70),
    _deepweeds("b1", 0.947),
    _deepweeds("b2", 0.950),
    _rps("b0", 150, 0.86),
    _rps("b2", 300, 0.924),
    Claim(
        id="table1.rps.slower",
        section="table1",
        statement="An epoch of B2 at 300 px takes 50 % longer than one of B0 at 150 px.",
        where="text, Rock-Paper-Scissors",
        data="rock_paper_scissors",
        judge=TimeRatio(Timed("efficientnet_b0", 150), Timed("efficientnet_b2", 300), 1.25, 1.75),
        recipe="study_rps_finetune",
        expected="1.5 times",
        note="B2 at twice the side of B0 does about eight times the multiply-accumulates: 50 % fits a machine that "
        "waits for its images, not one that computes",
        unstated={"hardware": Choice("this machine", "none is named; the ratio depends on it")},
    ),
    Claim(
        id="table1.larger_is_better",
        section="table1",
        statement="A larger phi is better: B0 < B1 < B2.",
        where="Table 1 and its discussion",
        data="cifar10, deepweeds, rock_paper_scissors",
        judge=Order((
            ("cifar10-b0", "cifar10-b1", "cifar10-b2"),
            ("deepweeds-b0", "deepweeds-b1", "deepweeds-b2"),
            ("cifar10-b0-scratch", "cifar10-b1-scratch", "cifar10-b2-scratch"),
            ("rps-b0-scratch", "rps-b1-scratch", "rps-b2-scratch"),
        )),
        expected="B0 < B1 < B2 on each data set",
        original="Tan & Le 2019, table 2, on ImageNet: B0 77.1 %, B1 79.1 %, B2 80.1 %.",
        unstated={"seeds": _SEEDS},
    ),
)  # fmt: skip
