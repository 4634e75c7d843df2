"""Labels for an exported file: of the images to which it and float32 give different labels, asked for and read."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from foray.deploy import ArtifactError, open_artifact
from foray.errors import DataError, ForayError, RunError
from foray.export.artifact_folder import RECORD, SETTLE
from foray.export.certify_unlabelled import certified_by_labels, labels_could_decide, score_unlabelled
from foray.export.reference import reference_of_network
from foray.export.scored_file import doubts_about, write_certificate
from foray.export.source import ExportSource, source_of_run
from foray.limits import require_tolerance
from foray.parsing import home_expanded
from foray.progress import SILENT, Progress
from foray.records import ArtifactRecord, Certificate, FlipLabels, FlipPlan, RunFolder
from foray.records.certificate import WITHOUT_LABELS
from foray.records.quantities import format_points
from foray.regular_files import is_there
from foray.requests import Machine
from foray.runs.held_out import HeldOut
from foray.settling.conclude import PairAnswers
from foray.settling.flip_question import TOLERANCE, ask_for_labels, plan_flips, question_of, require_unanswered
from foray.settling.labels_file import Answers, read_labels
from foray.settling.panel import Panel, notes_on_labels, open_panel
from foray.settling.plan import PAGE, PLAN
from foray.statistics.flips import CERTIFICATE_ERROR


def certify_on_images(
    artifact: str | Path,
    run: str | Path,
    images: str | Path,
    machine: Machine = Machine(),
    *,
    tolerance: float = TOLERANCE,
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
        again: whether it is scored again where its certificate is on the same images at the same tolerance. Labels
            that decided before count then too.
        progress: what is told of the progress.

    Raises:
        ForayError: for a file that is damaged or of another run, DataError where no image is left, RunError where
            labels of other images were given already.
    """
    require_tolerance(tolerance)
    folder = Path(artifact)
    source, panel = _opened(folder, run, images, machine, progress)
    record = ArtifactRecord.load(folder / RECORD)
    _require_no_labels_of_others(folder / SETTLE, record, panel)
    whole = HeldOut(panel.dataset, "test", None, tuple(f"{note}." for note in panel.notes))
    held = whole.less(used)
    if not again and record.certificate in _of(record, held, tolerance):
        assert record.certificate is not None
        return record.certificate
    reference = reference_of_network(source, held, machine, progress=progress)
    notes = notes_on_labels(reference.probabilities.argmax(axis=1), source.classes)
    held = HeldOut(held.dataset, "test", held.left_out, (*held.notes, *(f"{note}." for note in notes)))
    scored, flips = score_unlabelled(
        folder, held, reference, left_out=panel.left_out, tolerance=tolerance, threads=machine.threads,
        progress=progress,
    )  # fmt: skip
    certificate = scored
    for there in _of(record, held, tolerance):
        if there.is_by_labels and there.unlabelled is not None:  # what labels have said stays
            certificate = certified_by_labels(scored, there.unlabelled, scored.doubts)
    certificate = write_certificate(folder, certificate)
    if labels_could_decide(certificate):
        ask_for_labels(folder, plan_flips(source, panel, scored, flips), panel)
    return certificate


def certify_by_labels(
    artifact: str | Path,
    run: str | Path,
    images: str | Path,
    labels: str | Path,
    machine: Machine = Machine(),
    *,
    tolerance: float = TOLERANCE,
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
    answers = read_labels(home_expanded(labels), question_of(plan, panel))
    given = PairAnswers(
        np.array([[one.float32 for one in plan.asked]]), np.array([[one.file for one in plan.asked]]),
        answers.prefix(asked), plan.scored.n,
    )  # fmt: skip
    if not given.answers:
        raise DataError(f"{labels} has no label of {asked[0]}, the first image in the stored order. Begin with it.")
    certificate = certified_by_labels(plan.scored, _told(plan, given, answers), doubts_about(folder))
    return write_certificate(folder, certificate)


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


def _of(record: ArtifactRecord, images: HeldOut, tolerance: float) -> list[Certificate]:
    """The certificates of the file on these images, without labels at first, at this tolerance."""
    question = (WITHOUT_LABELS, images.dataset.fingerprint, tolerance)
    return [one for one in record.certificates if one.question == question]


def _require_no_labels_of_others(settle: Path, record: ArtifactRecord, panel: Panel) -> None:
    """Raises RunError where labels of other images were given, or some for another file would be lost."""
    if is_there(settle / PLAN):
        there = FlipPlan.load(settle / PLAN)
        if (there.images, there.scored.files) != (panel.dataset.fingerprint, record.digests):
            require_unanswered(settle, there, record)


def _require_same(plan: FlipPlan, folder: Path, panel: Panel, tolerance: float) -> None:
    """Raises ForayError unless the plan is of this file, these images and this tolerance."""
    try:
        open_artifact(folder)
    except ArtifactError as error:
        raise ForayError(str(error)) from error
    again = "Run foray certify without `labels` again."
    if plan.scored.files != ArtifactRecord.load(folder / RECORD).digests:
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


def _told(plan: FlipPlan, given: PairAnswers, answers: Answers) -> FlipLabels:
    """A verdict that was reached stays until all have a label; then the test of all of them counts."""
    first, every = given.first_verdict(plan.scored.tolerance, CERTIFICATE_ERROR), len(given.answers)
    counts = given.counts(every if first is None else first)
    decided = first is not None and first < given.disagreements
    same, twice = answers.agreement()
    assert plan.scored.unlabelled is not None
    return plan.scored.unlabelled.model_copy(
        update={
            "losses": counts.losses,
            "gains": counts.gains,
            "neither": counts.neither,
            "skipped": counts.skipped,
            "decided": decided,
            "later": every - counts.seen,
            "unused": len(answers.labels) - every,
            "shown_twice": twice,
            "same_again": same,
            "guesses_shown": answers.guesses_shown,
        }
    )
