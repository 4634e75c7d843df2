"""Labels for an exported file: of the images to which it and float32 give different labels, asked for and read.

ARTIFACT/settle/ holds plan.json, label.html and labels.csv. The order of the images is random, and a digest of the file
and of the images decides it, so that it stands before the first label and stays when the command is repeated.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from foray.deploy import ArtifactError, open_artifact
from foray.errors import DataError, ForayError, RunError
from foray.export.artifact_folder import RECORD, SETTLE
from foray.export.certify_unlabelled import Flip, certified_by_labels, certify_unlabelled, labels_could_decide
from foray.export.reference import reference_of_network
from foray.export.scored_file import doubts_about, write_certificate
from foray.export.source import ExportSource, source_of_run
from foray.limits import require_tolerance
from foray.parsing import home_expanded
from foray.progress import SILENT, Progress
from foray.records import ArtifactRecord, AskedFlip, Certificate, FlipLabels, FlipPlan, RunFolder, write_text
from foray.records.certificate import WITHOUT_LABELS
from foray.records.quantities import format_points
from foray.records.sealing import sha256
from foray.regular_files import is_there, read_regular
from foray.requests import Machine
from foray.runs.held_out import HeldOut
from foray.settling.conclude import PairAnswers
from foray.settling.label_page import Asked, LabelPage, Pair, label_html, picture_of
from foray.settling.labels_file import Answers, LabelQuestion, read_labels, template
from foray.settling.panel import Panel, notes_on_labels, open_panel
from foray.settling.plan import LABELS, MOST_PICTURES, PAGE, PLAN, repeats
from foray.statistics.flips import CERTIFICATE_ERROR


def certify_on_images(
    artifact: str | Path,
    run: str | Path,
    images: str | Path,
    machine: Machine = Machine(),
    *,
    tolerance: float = 0.01,
    used: Collection[str] = (),
    again: bool = True,
    progress: Progress = SILENT,
) -> Certificate:
    """Certifies an exported file on images without labels, and asks for labels where only they can decide.

    Args:
        artifact: folder of the file; artifact.json, the model card and settle/ are written in it.
        run: folder of the run it was exported from.
        images: a folder of images, or an archive of one.
        machine: `threads` are those of the file's runtime.
        tolerance: loss of accuracy that is allowed, in [0, 1].
        used: contents (SHA-256) of images that an int8 file was calibrated or selected on.
        again: whether it is scored again where it has a certificate on the same images at the same tolerance.
        progress: what is told of the progress.

    Raises:
        ForayError: for a file that is damaged or of another run, DataError where no image is left, RunError where
            settle/ holds labels of other images.
    """
    require_tolerance(tolerance)
    folder = Path(artifact)
    source, panel = _opened(folder, run, images, machine, progress)
    settle = folder / SETTLE
    _require_no_labels_of_others(settle, folder, panel)
    whole = HeldOut(panel.dataset, "test", None, tuple(f"{note}." for note in panel.notes))
    held = whole.less(used)
    there = ArtifactRecord.load(folder / RECORD).certificate
    if not again and there is not None and _is_of(there, held, tolerance, folder):
        return there
    reference = reference_of_network(source, held, machine, progress=progress)
    notes = notes_on_labels(reference.probabilities.argmax(axis=1), source.classes)
    held = HeldOut(held.dataset, "test", held.left_out, (*held.notes, *(f"{note}." for note in notes)))
    certificate, flips = certify_unlabelled(
        folder, held, reference, left_out=panel.left_out, tolerance=tolerance, threads=machine.threads,
        progress=progress,
    )  # fmt: skip
    if labels_could_decide(certificate):
        _ask(settle, _plan(source, panel, certificate, flips), panel, folder.resolve().name)
    return certificate


def certify_by_labels(
    artifact: str | Path,
    run: str | Path,
    images: str | Path,
    labels: str | Path,
    machine: Machine = Machine(),
    *,
    tolerance: float = 0.01,
    progress: Progress = SILENT,
) -> Certificate:
    """Certifies an exported file by labels of the images that `certify_on_images` asked for; arguments are as there.

    `labels`: labels.csv. Raises ForayError where no labels were asked for, or those asked for were of other images, of
    another file or tolerance; and DataError for labels that do not fit.
    """
    require_tolerance(tolerance)
    folder = Path(artifact)
    path = folder / SETTLE / PLAN
    if not is_there(path):
        raise RunError(f"No labels were asked for in {folder}: run foray certify with `images` and no `labels` first.")
    plan = FlipPlan.load(path)
    _, panel = _opened(folder, run, images, machine, progress)
    _require_same(plan, folder, panel, tolerance)
    asked = [one.image for one in plan.asked]
    answers = read_labels(home_expanded(labels), _question(plan, panel))
    given = PairAnswers(
        np.array([[one.float32 for one in plan.asked]]), np.array([[one.file for one in plan.asked]]),
        answers.prefix(asked), plan.scored.n,
    )  # fmt: skip
    if not given.answers:
        raise DataError(f"{labels} has no label of {asked[0]}, the first image in the stored order. Begin with it.")
    certificate = _by_answers(plan, given, answers, doubts_about(folder))
    write_certificate(folder, certificate)
    return certificate


def label_page_of(artifact: str | Path, certificate: Certificate) -> Path | None:
    """label.html, where labels can decide what `certificate` of the artifact leaves open; else None."""
    page = Path(artifact) / SETTLE / PAGE
    return page if labels_could_decide(certificate) and is_there(page) else None


def _opened(
    folder: Path, run: str | Path, images: str | Path, machine: Machine, progress: Progress
) -> tuple[ExportSource, Panel]:
    """The run's network and the images that it has not used. Raises ForayError for an artifact of another run."""
    record = ArtifactRecord.load(folder / RECORD)
    source = source_of_run(run)
    if source.origin.network_sha256 != record.run.network_sha256:
        raise ForayError(
            f"{folder} was exported from {record.run.id}, and its network is not that of {run} ({source.origin.id}). "
            "Name the run it was exported from."
        )
    panel = open_panel(images, [RunFolder(Path(run))], [source.preprocessing], machine, progress=progress)
    return source, panel


def _is_of(certificate: Certificate, images: HeldOut, tolerance: float, folder: Path) -> bool:
    """Whether it is on these images, without labels, and of the file in `folder`."""
    ours = (WITHOUT_LABELS, images.dataset.fingerprint, tolerance, _digests(folder))
    return ours == (certificate.split, certificate.fingerprint, certificate.tolerance, certificate.files)


def _require_no_labels_of_others(settle: Path, folder: Path, panel: Panel) -> None:
    """Raises RunError where labels of other images, or for another file, would be lost."""
    if not is_there(settle / PLAN):
        return
    there = FlipPlan.load(settle / PLAN)
    same = (there.images, there.scored.files) == (panel.dataset.fingerprint, _digests(folder))
    if not same and _is_filled_in(settle, there):
        raise RunError(
            f"{settle / LABELS} holds labels of the images that were asked for on {there.created[:10]}, from "
            f"{there.source}. Read them first (`labels`), or move {settle} elsewhere."
        )


def _require_same(plan: FlipPlan, folder: Path, panel: Panel, tolerance: float) -> None:
    """Raises ForayError unless the plan is of this file, these images and this tolerance."""
    try:
        open_artifact(folder)
    except ArtifactError as error:
        raise ForayError(str(error)) from error
    again = "Run foray certify without `labels` again."
    if plan.scored.files != _digests(folder):
        raise ForayError(f"{folder} has changed since labels were asked for ({plan.created[:10]}). {again}")
    if plan.images != panel.dataset.fingerprint:
        raise ForayError(
            f"{panel.dataset.source} does not hold the images for which labels were asked ({plan.created[:10]}, from "
            f"{plan.source}). Name those. For other images: {again[0].lower()}{again[1:]}"
        )
    if plan.scored.tolerance != tolerance:
        raise ForayError(
            f"Labels were asked for at a tolerance of {format_points(plan.scored.tolerance)}, not "
            f"{format_points(tolerance)}. Name the same `tolerance`, or ask for labels at the other one first."
        )


def _plan(source: ExportSource, panel: Panel, certificate: Certificate, flips: Sequence[Flip]) -> FlipPlan:
    digests = " ".join(certificate.files[name] for name in sorted(certificate.files))
    seed = int(sha256(f"{digests} {panel.dataset.fingerprint}".encode())[:16], 16)
    asked = [flips[i] for i in np.random.default_rng(seed).permutation(len(flips))]
    pictures = min(len(asked), MOST_PICTURES)
    return FlipPlan(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        run=source.origin.id,
        source=panel.dataset.source,
        images=panel.dataset.fingerprint,
        classes=list(source.classes),
        scored=certificate,
        asked=[
            AskedFlip(image=one.image, content=one.content, float32=one.float32, file=one.file) for one in asked
        ],
        repeats=repeats(pictures),
        pictures=pictures,
    )  # fmt: skip


def _ask(settle: Path, plan: FlipPlan, panel: Panel, name: str) -> None:
    """Writes settle/: the plan first, so that there is no label before it. Labels that were given stay.

    Raises RunError where those are of other images.
    """
    if is_there(settle / PLAN):
        there = FlipPlan.load(settle / PLAN)
        if there.asked != plan.asked:
            if _is_filled_in(settle, there):
                raise RunError(f"{settle / LABELS} holds labels of other images. Move {settle} elsewhere.")
            (settle / LABELS).unlink(missing_ok=True)
    settle.mkdir(exist_ok=True)
    (settle / PAGE).unlink(missing_ok=True)
    plan.save(settle / PLAN)
    if not (settle / LABELS).exists():
        write_text(settle / LABELS, template(_question(plan, panel)))
    sample_of = {sample.id: sample for sample in panel.dataset.samples}
    shown = plan.asked[: plan.pictures]
    as_shown = f"the file {name}"
    page = LabelPage(
        title=f"Labels for {name}",
        classes=tuple(plan.classes),
        asked=tuple(
            Asked(one.image, picture_of(sample_of[one.image]), {"float32": one.float32, as_shown: one.file})
            for one in shown
        ),
        repeats=tuple(plan.repeats),
        pairs=(
            Pair("float32", as_shown, plan.scored.n, len(plan.asked), CERTIFICATE_ERROR, tuple(range(len(shown)))),
        ),
        tolerance=plan.scored.tolerance,
        early=True,
        storage_key=sha256("\n".join([plan.images, str(plan.scored.tolerance), *map(str, plan.asked)]).encode()),
    )  # fmt: skip
    write_text(settle / PAGE, label_html(page))


def _question(plan: FlipPlan, panel: Panel) -> LabelQuestion:
    asked = [one.image for one in plan.asked]
    others = {sample.id for sample in panel.dataset.samples}.difference(asked)
    return LabelQuestion(asked, plan.classes, [asked[i] for _, i in plan.repeats], sorted(others), panel.known)


def _by_answers(plan: FlipPlan, given: PairAnswers, answers: Answers, doubts: list[str]) -> Certificate:
    """A verdict that was reached stays until all have a label; then the test of all of them counts."""
    first = given.first_verdict(plan.scored.tolerance, CERTIFICATE_ERROR)
    every = given.counts(len(given.answers))
    labelled = every if first is None else given.counts(first)
    same, twice = answers.agreement()
    assert plan.scored.unlabelled is not None
    told = FlipLabels(
        flips=every.disagreements, losses=every.losses, gains=every.gains, neither=every.neither,
        skipped=every.skipped, shown_twice=twice, same_again=same, guesses_shown=answers.guesses_shown,
        left_out=plan.scored.unlabelled.left_out,
    )  # fmt: skip
    certificate = certified_by_labels(plan.scored, labelled, told, doubts)
    if unused := len(answers.labels) - every.seen:
        note = f"{unused} labels do not count: an image before them in the stored order has none."
        certificate = certificate.model_copy(update={"warnings": [*certificate.warnings, note]})
    return certificate


def _is_filled_in(settle: Path, plan: FlipPlan) -> bool:
    path = settle / LABELS
    empty = template(LabelQuestion([one.image for one in plan.asked], plan.classes))
    return is_there(path) and read_regular(path) != empty.encode()


def _digests(folder: Path) -> dict[str, str]:
    return {name: info.sha256 for name, info in ArtifactRecord.load(folder / RECORD).files.items()}
