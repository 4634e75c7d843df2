"""What is asked of a person, stored before the first label: OUT/settle/ with plan.json, predictions.npz, label.html and
labels.csv.

The order of the images is random, and a digest of the comparison and of the images decides it: the same images give the
same plan, so that an interrupted command can be repeated.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foray.decision.settled import Pair
from foray.errors import RunError
from foray.evaluation.arrays import DamagedArraysError, read_arrays
from foray.records import AskedPair, SettlePlan, write_bytes, write_text
from foray.records.sealing import sha256
from foray.regular_files import read_regular
from foray.settling import label_page
from foray.settling.compared import Compared
from foray.settling.label_page import Asked, LabelPage, label_html, picture_of
from foray.settling.labels_file import LabelQuestion, template
from foray.settling.panel import Labels, Panel
from foray.statistics import SETTLE_ERROR, Chance, chance_over_seeds, chance_to_settle

FOLDER, PLAN, PREDICTIONS, PAGE, LABELS = "settle", "plan.json", "predictions.npz", "label.html", "labels.csv"
MOST_PICTURES = 1000  # in label.html, of some 80 kB each at most; labels.csv has the others
_REPEATED = 20  # images that are shown twice
_EARLY = 100  # images among which they are: a person may stop soon
_APART = 10  # images between the two times


def differing(reference: Labels, candidate: Labels) -> npt.NDArray[np.bool_]:
    """(N,), the images on which any two of the labels (seeds, N) of two models differ."""
    labels = np.concatenate([reference, candidate])
    return np.asarray((labels != labels[0]).any(axis=0))


def make_plan(
    compared: Compared,
    panel: Panel,
    labels: Mapping[str, Labels],
    notes: Sequence[str] = (),
    tried: Sequence[str] = (),
) -> SettlePlan:
    """What is asked.

    How many of the images differ says much about the loss, before any label. So whoever tries several sets of images
    and labels the one that suits best has as many chances to be wrong: they share one error (Bonferroni).

    Args:
        compared: what is to be settled.
        panel: the new images.
        labels: by model, the class indices that its trainings give to them, (seeds, N).
        notes: what to say of the images.
        tried: fingerprints of the sets of images that were asked for before; these images may be one of them.
    """
    comparison = compared.comparison
    earlier = [one for one in dict.fromkeys(tried) if one != panel.dataset.fingerprint]
    error = SETTLE_ERROR / (1 + len(earlier))
    steps = compared.both_steps({}, error)
    pairs = [_asked_pair(compared, pair, labels, *steps.errors_of(pair)) for pair in compared.open_pairs]
    needed = np.zeros(len(panel), dtype=np.bool_)
    for reference, candidate in compared.open_pairs:
        needed |= differing(labels[reference], labels[candidate])
    seed = int(sha256(f"{compared.digest} {panel.dataset.fingerprint}".encode())[:16], 16)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(needed))
    samples = [panel.dataset.samples[i] for i in order]
    pictures = min(len(samples), MOST_PICTURES)
    return SettlePlan(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        comparison=comparison.id,
        decision=compared.digest,
        tolerance=comparison.decision.tolerance,
        error=error,
        source=panel.dataset.source,
        classes=list(panel.dataset.classes),
        runs={model: [run.path.name for run in compared.runs[model]] for model in labels},
        seeds=comparison.seeds,
        images=len(panel),
        fingerprint=panel.dataset.fingerprint,
        earlier=earlier,
        left_out=panel.left_out,
        notes=[*panel.notes, *notes],
        pairs=pairs,
        asked=[sample.id for sample in samples],
        repeats=repeats(pictures),
        pictures=pictures,
        early=len(comparison.seeds) == 1,
        known=panel.known,
        predictions=sha256(predictions_file(panel, labels)),
    )


def repeats(images: int) -> list[tuple[int, int]]:
    """(position, index) of the images that are shown again: position among all that is shown, repeats counted.

    They lie among the first hundred, because a person may be able to stop soon, each ten images after it came first or,
    where few are asked for, at the end.
    """
    among = min(images, _EARLY)
    chosen = np.unique(np.linspace(0, among - 1, min(_REPEATED, images)).astype(int)).tolist() if images else []
    after: dict[int, list[int]] = {}
    for index in chosen:
        after.setdefault(min(index + _APART, images - 1), []).append(index)
    found: list[tuple[int, int]] = []
    for index in range(images):
        found += [(index + 1 + len(found) + i, again) for i, again in enumerate(after.get(index, ()))]
    return found


def predictions_file(panel: Panel, labels: Mapping[str, Labels]) -> bytes:
    """predictions.npz: image_ids (N,), models (M,), labels (M, seeds, N) as class indices; the same for the same."""
    stream = io.BytesIO()
    np.savez(
        stream,
        allow_pickle=False,
        image_ids=np.array([sample.id for sample in panel.dataset.samples], dtype=np.str_),
        models=np.array(list(labels), dtype=np.str_),
        labels=np.stack(list(labels.values())),
    )
    return stream.getvalue()


def read_plan(folder: Path) -> tuple[SettlePlan, tuple[str, ...], dict[str, Labels]]:
    """plan.json in OUT/settle with the ids of all new images, and the labels that each model gives to them.

    Raises RunError where one of the files is missing or damaged.
    """
    plan, path = SettlePlan.load(folder / PLAN), folder / PREDICTIONS
    try:
        content = read_regular(path)
        if sha256(content) != plan.predictions:
            raise DamagedArraysError("its SHA-256 differs from the one in plan.json")
        arrays = read_arrays(content, ("image_ids", "models", "labels"))
    except (OSError, DamagedArraysError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"Cannot use {path}: {said}. {SettlePlan.way_out}") from error
    images, labels = arrays["image_ids"], arrays["labels"]
    models = tuple(map(str, arrays["models"]))
    fits = labels.shape == (len(models), len(plan.seeds), plan.images) and images.shape == (plan.images,)
    if not fits or models != tuple(plan.runs) or set(plan.asked) - set(images.tolist()):
        raise RunError(f"{path} does not fit {PLAN} beside it. {SettlePlan.way_out}")
    return plan, tuple(map(str, images)), dict(zip(models, labels, strict=True))


def write_plan(folder: Path, plan: SettlePlan, panel: Panel, labels: Mapping[str, Labels]) -> None:
    """Writes OUT/settle; the page and labels.csv last, so that there is no label before the plan."""
    for name in (PAGE, LABELS):
        (folder / name).unlink(missing_ok=True)
    write_bytes(folder / PREDICTIONS, predictions_file(panel, labels))
    plan.save(folder / PLAN)
    write_page(folder, plan, panel, labels)


def write_page(folder: Path, plan: SettlePlan, panel: Panel, labels: Mapping[str, Labels]) -> None:
    """Writes label.html, and labels.csv where there is none yet; neither where no image needs a label."""
    if not plan.asked:
        return
    if not (folder / LABELS).exists():
        write_text(folder / LABELS, template(question_of(plan)))
    sample_of = {sample.id: (i, sample) for i, sample in enumerate(panel.dataset.samples)}
    asked = []
    for id_ in plan.asked[: plan.pictures]:
        i, sample = sample_of[id_]
        asked.append(Asked(id_, picture_of(sample), {model: int(of[0, i]) for model, of in labels.items()}))
    page = LabelPage(
        title=f"Labels for the comparison {folder.resolve().parent.name}",
        classes=tuple(plan.classes),
        asked=tuple(asked),
        repeats=tuple(plan.repeats),
        pairs=tuple(_page_pair(pair, plan, labels, sample_of) for pair in plan.pairs),
        tolerance=plan.tolerance,
        early=plan.early,
        storage_key=sha256(plan.model_copy(update={"labels_read": 0}).text().encode()),
    )
    write_text(folder / PAGE, label_html(page))


def question_of(plan: SettlePlan, images: Sequence[str] = ()) -> LabelQuestion:
    """What labels.csv may say. `images`: ids of all new images."""
    asked = set(plan.asked)
    repeated = [plan.asked[index] for _, index in plan.repeats]
    return LabelQuestion(plan.asked, plan.classes, repeated, [id_ for id_ in images if id_ not in asked], plan.known)


def _page_pair(
    pair: AskedPair, plan: SettlePlan, labels: Mapping[str, Labels], sample_of: Mapping[str, tuple[int, object]]
) -> label_page.Pair:
    needed = differing(labels[pair.reference], labels[pair.candidate])
    shown = enumerate(plan.asked[: plan.pictures])
    needs = tuple(index for index, id_ in shown if needed[sample_of[id_][0]])
    return label_page.Pair(
        pair.reference, pair.candidate, plan.images, pair.disagreements, pair.error, needs, pair.worse_error
    )


def _asked_pair(
    compared: Compared, pair: Pair, labels: Mapping[str, Labels], error: float, worse_error: float
) -> AskedPair:
    reference, candidate = pair
    ours = labels[reference], labels[candidate]
    disagreements = int(differing(*ours).sum())
    chance = _chance(compared, pair, (ours[0].shape[1], disagreements), (error, worse_error))
    return AskedPair(
        reference=reference, candidate=candidate, disagreements=disagreements, error=error, worse_error=worse_error,
        probability=chance.probability, expected_labels=chance.expected_labels,
    )  # fmt: skip


def _chance(compared: Compared, pair: Pair, numbers: tuple[int, int], errors: tuple[float, float]) -> Chance:
    """Of a verdict, by what the two models got right on the selection split where their labels differ; `numbers`: of
    the new images, and of those on which they differ."""
    tolerance = compared.comparison.decision.tolerance
    differ = differing(*(compared.said[model] for model in pair))
    reference, candidate = (compared.correct[model][:, differ] for model in pair)
    if len(reference) > 1:
        return chance_over_seeds(reference, candidate, *numbers, tolerance, *errors)
    losses, gains = int((reference & ~candidate).sum()), int((candidate & ~reference).sum())
    neither = int(differ.sum()) - losses - gains
    return chance_to_settle(*numbers, losses, gains, neither, tolerance, *errors)
