"""`foray settle` on labelled images whose labels are hidden: does it say what labelling every image would say?

Networks are trained on few images with labels. Every two of them are compared on a small val, and what that leaves open
is settled by labels of new images: these are given one after the other, in the order that foray stored, until it has a
verdict. The same is then asked with a label of every new image. Asked for: at least ten pairs of networks, on Plant
Seedlings, CIFAR-10 and Flowers, the same verdict for each; labels of at most 10 % of the images where both networks
are right on more than 95 % of them.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import foray
from benchmarks._hidden_labels import (
    CIFAR10,
    FLOWERS,
    KINDS,
    MANY_KINDS,
    SEEDLINGS,
    Hidden,
    Images,
    are_there,
    hide,
    write_labels,
)
from benchmarks._results import machine, print_table, shared_data, write_json
from foray.cli.progress import terminal_progress
from foray.costs.device_profiles import save_profiles
from foray.decision import headline
from foray.errors import RunError
from foray.progress import Progress
from foray.records import Comparison, Settlement, SettlePlan
from foray.report.comparison_folder import SETTLEMENT
from foray.settling.compared import open_compared
from foray.settling.plan import FOLDER, read_plan
from foray.statistics import paired_loss
from foray.statistics.settling import error_of_test

_MOBILE = ("mobilenet_v1_x0.5", "mobilenet_v1_x0.75", "mobilenet_v2_x0.75", "mobilenet_v2")
_EFFICIENT = ("efficientnet_b0", "efficientnet_v2_b0")
_BOTH_GOOD, _SHARE_OF_GOOD, _LEAST_PAIRS = 0.95, 0.10, 10


@dataclass(frozen=True)
class Trial:
    """Networks on images: all pairs of `models`. `tolerance` is of top-1, `resolution` in pixels; without `epochs` as
    many as the preset has."""

    images: Images
    models: tuple[str, ...]
    protocol: str
    resolution: int
    tolerance: float
    epochs: int | None = None


TRIALS = (
    Trial(FLOWERS, _MOBILE, "linear", 160, 0.03),
    Trial(SEEDLINGS, _MOBILE, "linear", 160, 0.02),
    Trial(SEEDLINGS, _EFFICIENT, "linear", 224, 0.02),
    Trial(CIFAR10, _MOBILE, "linear", 96, 0.01),
    Trial(KINDS, ("mobilenet_v1_x0.75", "mobilenet_v2", "efficientnet_b0"), "linear", 160, 0.01),
    Trial(MANY_KINDS, ("mobilenet_v1_x0.75", "mobilenet_v2"), "finetune", 96, 0.01, epochs=6),
)


@dataclass(frozen=True)
class Row:
    """One pair that a comparison left open. Top-1 is in [0, 1], on the new images by their hidden labels.

    `labels`: given until the verdict came, or all there are; of them `losses` and `gains` that only the reference or
    only the candidate got right. `verdict`: then; `of_all_labels`: by a label of every new image at the same error, and
    `alone` at the whole error that labels may spend.
    """

    images: str
    protocol: str
    reference: str
    candidate: str
    tolerance: float
    reference_top1: float
    candidate_top1: float
    new: int
    disagreements: int
    labels: int
    verdict: str
    of_all_disagreements: str
    of_all_labels: str
    alone: str
    probability: float
    expected_labels: float

    @property
    def agrees(self) -> bool:
        """Whether the verdict is that of labelling everything."""
        return self.verdict == self.of_all_disagreements == self.of_all_labels

    @property
    def both_good(self) -> bool:
        """Whether both networks are right on more than 95 %."""
        return min(self.reference_top1, self.candidate_top1) > _BOTH_GOOD


def main() -> int:
    given = _arguments()
    if not are_there(given.weights):
        return 2
    print(machine()["hardware"], flush=True)
    rows: list[Row] = []
    decided_before: list[str] = []
    with tempfile.TemporaryDirectory(prefix="settle-") as scratch, terminal_progress() as progress:
        for number, trial in enumerate(TRIALS):
            if given.only and trial.images.name not in given.only:
                continue
            found, decided = _of_trial(trial, given.weights, Path(scratch) / str(number), progress)
            _print(found, decided)
            rows += found
            decided_before += decided
    odd = sum(row.alone != row.of_all_labels for row in rows)
    print(f"With the whole error on one look at all labels, {odd} of {len(rows)} verdicts would be others.")
    verdicts = _met(rows)
    for what, met in verdicts.items():
        print(f"{what}: {'met' if met else 'missed'}")
    write_json(given.json, {"rows": [asdict(row) for row in rows], "decided_on_val": decided_before, "met": verdicts})
    return 0 if all(verdicts.values()) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.settle", description=__doc__)
    parser.add_argument("--weights", type=Path, default=shared_data() / "weights", help="timm's folders")
    names = sorted({trial.images.name for trial in TRIALS})
    parser.add_argument("--only", nargs="+", choices=names, help="these images alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    return parser.parse_args()


def _of_trial(trial: Trial, weights: Path, folder: Path, progress: Progress) -> tuple[list[Row], list[str]]:
    """A row for each pair that is open, and the headlines of comparisons that val decided."""
    hidden = hide(trial.images, folder)

    def compared(models: Sequence[str], out: Path, costs: Path | None) -> Comparison:
        return foray.compare(
            hidden.known, models, trial.protocol, weights=weights, epochs=trial.epochs, resolution=trial.resolution,
            tolerance=trial.tolerance, prefer="macs", seeds=1, out=out, offline=True, cache_dir=folder / "cache",
            profiles=costs, wait_seconds=0, progress=progress,
        )  # fmt: skip

    rows: list[Row] = []
    decided = []
    everything, costs = folder / "all", folder / "device.json"
    of_all = compared(trial.models, everything, None)
    save_profiles(costs, "here", [one.cost for one in of_all.candidates if one.cost is not None])
    for models in itertools.combinations(trial.models, 2):
        out = folder / "-".join(models)
        shutil.copytree(everything / "runs", out / "runs")  # trained, and timed, once
        comparison = compared(models, out, costs)
        try:
            open_compared(out)
        except RunError:  # nothing is open
            decided.append(f"{trial.images.name}, {trial.protocol}: {headline(comparison.decision)}")
        else:
            rows += _settled(trial, hidden, out, progress)
        shutil.rmtree(out)
    return rows, decided


def _settled(trial: Trial, hidden: Hidden, out: Path, progress: Progress) -> Iterator[Row]:
    """A row for each pair of an open comparison."""
    foray.settle(out, images=hidden.new, cache_dir=out.parent / "cache", progress=progress)
    plan, ids, said = read_plan(out / FOLDER)
    used = _labels_used(plan, hidden, Path(shutil.copytree(out, out.with_name(f"{out.name}-look"))))
    early, whole = (_read(plan, n, hidden, out) for n in (used, len(plan.asked)))
    truth = np.array([plan.classes.index(hidden.truth[id_]) for id_ in ids])
    for asked, first, last in zip(plan.pairs, early.pairs, whole.pairs, strict=True):
        reference, candidate = (said[model] == truth for model in (asked.reference, asked.candidate))
        at_all_errors = [
            paired_loss(reference, candidate, plan.tolerance, confidence=1 - error).status
            for error in (error_of_test(asked.error), asked.error)
        ]
        yield Row(
            images=trial.images.name,
            protocol=trial.protocol,
            reference=asked.reference,
            candidate=asked.candidate,
            tolerance=plan.tolerance,
            reference_top1=float(reference.mean()),
            candidate_top1=float(candidate.mean()),
            new=plan.images,
            disagreements=asked.disagreements,
            labels=first.labelled if first.decided_after is None else first.decided_after,
            verdict=first.status,
            of_all_disagreements=last.status,
            of_all_labels=at_all_errors[0],
            alone=at_all_errors[1],
            probability=asked.probability,
            expected_labels=asked.expected_labels,
        )


def _labels_used(plan: SettlePlan, hidden: Hidden, out: Path) -> int:
    """How many labels bring the verdicts of all pairs; all, where a pair needs all or stays open. `out`: a copy.

    A verdict that came early is only told while one label is missing: with all of them, the test of all counts.
    """
    every = len(plan.asked)
    if every < 2:
        return every
    after = [pair.decided_after for pair in _read(plan, every - 1, hidden, out).pairs]
    return every if None in after else max(n for n in after if n is not None) or 1


def _read(plan: SettlePlan, labels: int, hidden: Hidden, out: Path) -> Settlement:
    """What the first `labels` labels decide."""
    if not plan.asked:
        return Settlement.load(out / SETTLEMENT)
    answer = foray.settle(out, labels=write_labels(out / "given.csv", plan.asked[:labels], hidden.truth))
    assert isinstance(answer, Settlement)
    return answer


def _print(rows: Sequence[Row], decided: Sequence[str]) -> None:
    header = ("pair", "top-1 %", "new images", "differ", "labels", "of new, %", "verdict", "all labels")
    print_table(
        header,
        [
            (
                f"{row.images}, {row.protocol}: {row.candidate} against {row.reference}",
                f"{100 * row.candidate_top1:.1f} / {100 * row.reference_top1:.1f}",
                f"{row.new:,}",
                f"{row.disagreements:,}",
                f"{row.labels:,}",
                f"{100 * row.labels / row.new:.1f}",
                row.verdict,
                "same" if row.agrees else f"{row.of_all_disagreements} / {row.of_all_labels}",
            )
            for row in rows
        ],
    )
    for one in decided:
        print(f"Decided on val: {one}", flush=True)


def _met(rows: Sequence[Row]) -> dict[str, bool]:
    pairs = {(row.images, row.protocol, *sorted((row.reference, row.candidate))) for row in rows}
    good = [row for row in rows if row.both_good]
    most = max((row.labels / row.new for row in good), default=0.0)
    same = sum(row.agrees for row in rows)
    return {
        f"at least {_LEAST_PAIRS} pairs of networks: {len(pairs)}": len(pairs) >= _LEAST_PAIRS,
        f"the verdict of labelling everything: {same} of {len(rows)}": same == len(rows),
        f"labels of at most {_SHARE_OF_GOOD:.0%} where both are right on more than {_BOTH_GOOD:.0%}: at most "
        f"{most:.1%} (n = {len(good)})": bool(good) and most <= _SHARE_OF_GOOD,
    }


if __name__ == "__main__":
    sys.exit(main())
