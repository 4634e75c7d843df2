"""int8 files certified on images without labels, with labels of only those on which they differ from float32.

A network is fine-tuned on 5,000 images of CIFAR-10, written as int8 for every runtime, and certified with a tolerance
of one point on the 10,000 test images as if they had no labels. Where that is not enough, labels are given one after
the other in the order that foray stored, until the certificate says pass or fail. The same file is then certified on
the same images with all their labels. Asked for: every file whose loss on them is 0.6 points or more from the tolerance
ends in pass or fail.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

import foray
from benchmarks._hidden_labels import CIFAR10, Hidden, are_there, hide, write_labels
from benchmarks._results import machine, print_table, shared_data, write_json
from foray.cli.progress import terminal_progress
from foray.export.runtimes import RUNTIMES
from foray.progress import Progress
from foray.records import Certificate
from foray.records.flip_plan import FlipPlan
from foray.runs.trained import RunFolder
from foray.settling.conclude import PairAnswers
from foray.statistics.flips import CERTIFICATE_ERROR

_MODELS = ("mobilenet_v2", "efficientnet_v2_b0")
_TOLERANCE, _CLEAR = 0.01, 0.006  # points of top-1; how far from the tolerance a loss must be decided


@dataclass(frozen=True)
class File:
    """One int8 file. Losses of top-1 against float32 are in [-1, 1].

    `labels`: given until there was a verdict, or of all flips. `without`, `verdict`: the certificate before any label
    and after these; `of_all_labels`: that of the same images with all their labels, which also looks at each class;
    `loss` with its bounds are from there.
    """

    model: str
    runtime: str
    images: int
    flips: int
    without: str
    labels: int
    verdict: str
    loss: float
    loss_lower: float
    loss_upper: float
    of_all_labels: str
    sentence: str

    @property
    def is_clear(self) -> bool:
        """Whether the loss is so far from the tolerance that there must be a verdict."""
        return abs(self.loss - _TOLERANCE) >= _CLEAR

    @property
    def is_decided(self) -> bool:
        """Whether the certificate says pass or fail."""
        return self.verdict in ("pass", "fail")


def main() -> int:
    given = _arguments()
    if not are_there(given.weights):
        return 2
    print(machine()["hardware"], flush=True)
    files: list[File] = []
    with tempfile.TemporaryDirectory(prefix="settle-int8-") as scratch, terminal_progress() as progress:
        hidden = hide(replace(CIFAR10, new=None), Path(scratch))
        for model in given.models:
            files += _of_model(model, given, hidden, Path(scratch), progress)
    _print(files)
    clear = [file for file in files if file.is_clear]
    decided = sum(file.is_decided for file in clear)
    met = bool(clear) and decided == len(clear)
    what = f"pass or fail where the loss is {100 * _CLEAR} points or more from the tolerance: {decided} of {len(clear)}"
    print(f"{what}: {'met' if met else 'missed'}")
    write_json(given.json, {"files": [asdict(file) for file in files], "met": {what: met}})
    return 0 if met else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.settle_int8", description=__doc__)
    parser.add_argument("--models", nargs="+", default=[*_MODELS])
    parser.add_argument("--runtimes", nargs="+", choices=[*RUNTIMES], default=[*RUNTIMES])
    parser.add_argument("--weights", type=Path, default=shared_data() / "weights", help="timm's folders")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--resolution", type=int, default=96, help="pixels")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    return parser.parse_args()


def _of_model(model: str, given: argparse.Namespace, hidden: Hidden, scratch: Path, progress: Progress) -> list[File]:
    """Trains a network, and certifies its file for every runtime."""
    cache = scratch / "cache"
    record = foray.train(
        hidden.known, model, "finetune", weights=given.weights, epochs=given.epochs, resolution=given.resolution,
        out=scratch / "runs", offline=True, cache_dir=cache, progress=progress,
    )  # fmt: skip
    run = RunFolder(scratch / "runs" / record.run_id).path
    exported = foray.export_run(
        run, given.runtimes, ["int8"], scratch / "files" / model, data=hidden.known, images=hidden.new,
        tolerance=_TOLERANCE, cache_dir=cache, progress=progress,
    )  # fmt: skip
    found = []
    for one in exported:
        assert one.record.certificate is not None
        found.append(_of_file(one.folder, run, one.record.certificate, hidden, cache, progress))
    return found


def _of_file(folder: Path, run: Path, without: Certificate, hidden: Hidden, cache: Path, progress: Progress) -> File:
    """Gives labels until there is a verdict, and asks for the certificate on all labels."""
    assert without.unlabelled is not None
    labels, certificate = 0, without
    if (folder / "settle" / "plan.json").exists():
        plan = FlipPlan.load(folder / "settle" / "plan.json")
        labels = _labels_used(plan, hidden)
        path = write_labels(folder.parent / "labels.csv", [one.image for one in plan.asked[:labels]], hidden.truth)
        certificate = foray.certify(
            folder, run=run, images=hidden.new, labels=path, tolerance=_TOLERANCE, cache_dir=cache, progress=progress
        )
    whole = foray.certify(
        folder, _with_labels(hidden), run=run, tolerance=_TOLERANCE, cache_dir=cache, progress=progress
    )
    assert whole.loss is not None
    assert whole.loss_lower is not None
    return File(
        model=folder.parent.name,
        runtime=folder.name,
        images=certificate.n,
        flips=without.unlabelled.flips,
        without=without.verdict,
        labels=labels,
        verdict=certificate.verdict,
        loss=whole.loss,
        loss_lower=whole.loss_lower,
        loss_upper=whole.loss_upper,
        of_all_labels=whole.verdict,
        sentence=certificate.sentence,
    )


def _labels_used(plan: FlipPlan, hidden: Hidden) -> int:
    """How many labels bring a verdict; all, where none or only all of them do."""
    truth = [plan.classes.index(hidden.truth[one.image]) for one in plan.asked]
    float32, file = (np.array([[getattr(one, of) for one in plan.asked]]) for of in ("float32", "file"))
    given = PairAnswers(float32, file, truth[:-1], plan.scored.n)
    first = given.first_verdict(plan.scored.tolerance, CERTIFICATE_ERROR)
    return len(plan.asked) if first is None else max(first, 1)


def _with_labels(hidden: Hidden) -> Path:
    """The new images in folders of their classes, as a test split."""
    folder = hidden.new.parent / "labelled"
    if not folder.exists():
        for id_, label in hidden.truth.items():
            target = folder / "test" / label / id_
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(hidden.new / id_, target)
    return folder


def _print(files: Sequence[File]) -> None:
    header = ("int8 file", "images", "flips", "no label", "labels", "verdict", "points lost (bounds)", "all labels")
    print_table(
        header,
        [
            (
                f"{file.model} {file.runtime}",
                f"{file.images:,}",
                f"{file.flips:,}",
                file.without,
                f"{file.labels:,}",
                file.verdict,
                f"{100 * file.loss:.2f} ({100 * file.loss_lower:.2f} to {100 * file.loss_upper:.2f})",
                file.of_all_labels,
            )
            for file in files
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
