"""Certifies an exported file on images without labels: by how many labels differ from float32, and by labels of those.

On an image to which both give the same label, nothing is lost, whatever it shows. So the loss is at most the share of
labels that differ, and once these images have labels they say all that labels of every image would say of the loss
(`foray.statistics.flips`). What needs no label is asked of the file as on images with labels (`certify`). The loss per
class is not known: it would need labels of the images on which both agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foray.errors import DataError
from foray.export.certify import too_large, verdict_of
from foray.export.label_reach import NO_REACH, LabelReach, reach_of_labels
from foray.export.reference import Reference
from foray.export.scored_file import doubts_about, score_file
from foray.limits import require_tolerance
from foray.progress import SILENT, Progress
from foray.records import Certificate, FlipLabels
from foray.records.certificate import WITHOUT_LABELS
from foray.records.quantities import format_points
from foray.records.settlement import PanelLeftOut
from foray.runs.held_out import HeldOut
from foray.statistics import FlipsLoss, Labelled, deciding_labels, flips_loss, images_without_flips


@dataclass(frozen=True)
class Flip:
    """An image, by id and content, to which the file gives another class index than `float32`."""

    image: str
    content: str
    float32: int
    file: int


def score_unlabelled(
    folder: str | Path,
    images: HeldOut,
    reference: Reference,
    *,
    left_out: PanelLeftOut,
    tolerance: float = 0.01,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> tuple[Certificate, list[Flip]]:
    """Scores the artifact in `folder` without labels. Nothing is written.

    `images`: all that count, whose labels mean nothing; `left_out`: those that do not. `reference`: float32
    probabilities of them all, by id. Returns the certificate with the flips, in the order of the images. Raises as
    `certify` does.
    """
    require_tolerance(tolerance)
    samples = images.dataset.samples
    rows = {id_: row for row, id_ in enumerate(reference.image_ids.tolist())}
    if missing := [sample.id for sample in samples if sample.id not in rows]:
        raise DataError(f"{reference.source} has no prediction for {missing[0]}.")
    expected = reference.probabilities[[rows[sample.id] for sample in samples]]
    file = score_file(folder, samples, expected, reference, threads=threads, progress=progress)
    ours, theirs = expected.argmax(axis=1), np.nan_to_num(file.probabilities).argmax(axis=1)
    flips = [
        Flip(samples[i].id, samples[i].content, int(ours[i]), int(theirs[i])) for i in np.flatnonzero(ours != theirs)
    ]
    found = flips_loss(Labelled(len(samples), len(flips), 0, 0, 0), tolerance)
    failures, doubts = file.faults(), doubts_about(file.folder)
    verdict = verdict_of(found.status, failures, doubts)
    undecided = verdict == "inconclusive" and found.status == "unresolved"
    reach = reach_of_labels(len(samples), len(flips), tolerance) if undecided and flips else NO_REACH
    certificate = Certificate(
        verdict=verdict,
        tolerance=tolerance,
        dataset=images.dataset.name,
        fingerprint=images.dataset.fingerprint,
        split=WITHOUT_LABELS,
        top1=None,
        reference_top1=None,
        loss=None if flips else 0.0,
        loss_lower=None,
        loss_upper=found.upper,
        images_needed=images_without_flips(tolerance) if undecided and not flips else None,
        per_class=[],
        failures=failures,
        doubts=doubts,
        warnings=[*images.notes, *(_too_few(reach, tolerance) if undecided and flips else [])],
        left_out=images.left_out,
        unlabelled=FlipLabels(
            flips=len(flips), left_out=left_out, pass_within=reach.pass_within, fail_from=reach.fail_from
        ),
        **file.facts(threads),
    )
    return certificate, flips


def certified_by_labels(scored: Certificate, flips: FlipLabels, doubts: list[str]) -> Certificate:
    """The certificate of the same file and images once some of the flips have labels.

    `scored`: the one without labels. `flips`: the labels. `doubts`: why the file cannot be called right now.
    """
    counts = (flips.losses, flips.gains, flips.neither, flips.skipped)
    found = flips_loss(Labelled(scored.n, flips.flips, *counts), scored.tolerance)
    failures = [*_too_large(found), *scored.failures]
    verdict = verdict_of(found.status, failures, doubts)
    return scored.model_copy(
        update={
            "verdict": verdict,
            "confidence": found.confidence,
            "loss": found.loss,
            "loss_lower": found.lower,
            "loss_upper": found.upper,
            "images_needed": found.images_needed if verdict == "inconclusive" else None,
            "failures": failures,
            "doubts": doubts,
            "unlabelled": flips,
        }
    )


def labels_could_decide(certificate: Certificate) -> bool:
    """Whether more labels of flips could make an inconclusive certificate pass or fail."""
    flips = certificate.unlabelled
    if flips is None or flips.seen == flips.flips or certificate.verdict != "inconclusive":
        return False
    undecided = certificate.loss_upper >= certificate.tolerance
    return undecided and bool(deciding_labels(certificate.n, flips.flips, certificate.tolerance))


def _too_large(found: FlipsLoss) -> list[str]:
    return [too_large(found.lower)] if found.status == "worse" and found.lower is not None else []


def _too_few(reach: LabelReach, tolerance: float) -> list[str]:
    """What labels cannot do, because the images are too few."""
    if reach == NO_REACH:
        return [f"These images are too few: no labels of them decide at a tolerance of {format_points(tolerance)}."]
    if reach.pass_within is None:
        return ["These images are too few for a pass, whatever the labels are: labels can only show that it fails."]
    return []
