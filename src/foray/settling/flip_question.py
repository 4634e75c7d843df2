"""ARTIFACT/settle/: which labels an exported file needs, stored before the first one, and the page that asks for them.

The order of the images is random, and a digest of the file and of the images decides it, so that it stands before the
first label and stays when the command is repeated.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from foray.errors import RunError
from foray.export.artifact_folder import RECORD, SETTLE
from foray.export.certify_unlabelled import Flip
from foray.export.source import ExportSource
from foray.records import ArtifactRecord, AskedFlip, Certificate, FlipPlan, write_text
from foray.records.sealing import sha256
from foray.regular_files import is_there
from foray.settling.label_page import Asked, LabelPage, Pair, label_html, picture_of
from foray.settling.labels_file import LabelQuestion, is_filled_in, template
from foray.settling.panel import Panel
from foray.settling.plan import LABELS, MOST_PICTURES, PAGE, PLAN, repeats
from foray.statistics.flips import CERTIFICATE_ERROR

TOLERANCE = 0.01  # where none is named, here and on the command line


def certify_command(artifact: str, run: str, images: str, labels: str, tolerance: float) -> list[str]:
    """The words of the command that reads `labels` of what was asked for at `tolerance`."""
    at = [] if tolerance == TOLERANCE else ["--tolerance", f"{100 * tolerance:.12g}pt"]
    return ["foray", "certify", artifact, "--run", run, "--images", images, *at, "--labels", labels]


def plan_flips(source: ExportSource, panel: Panel, certificate: Certificate, flips: Sequence[Flip]) -> FlipPlan:
    """What is asked.

    Args:
        source: the run's network.
        panel: the new images.
        certificate: the one without labels.
        flips: the images to which the file gives another label than float32.
    """
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


def ask_for_labels(folder: Path, plan: FlipPlan, panel: Panel) -> None:
    """Writes settle/: the plan first, so that there is no label before it. Labels that were given stay.

    Raises RunError where those are of other images.
    """
    settle, name = folder / SETTLE, folder.resolve().name
    if is_there(settle / PLAN):
        there = FlipPlan.load(settle / PLAN)
        if there.asked != plan.asked:
            require_unanswered(settle, there, ArtifactRecord.load(folder / RECORD))
            (settle / LABELS).unlink(missing_ok=True)
    settle.mkdir(exist_ok=True)
    (settle / PAGE).unlink(missing_ok=True)
    plan.save(settle / PLAN)
    if not (settle / LABELS).exists():
        write_text(settle / LABELS, template(question_of(plan)))
    sample_of = {sample.id: sample for sample in panel.dataset.samples}
    shown = plan.asked[: plan.pictures]
    as_shown = f"the file {name}"
    page = LabelPage(
        title=f"Labels for the file {name}",
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
        command=shlex.join(certify_command("ARTIFACT", "RUN", "DIR", "labels.csv", plan.scored.tolerance)),
        places="the folders of the file, of its run and of these images as ARTIFACT, RUN and DIR",
    )  # fmt: skip
    write_text(settle / PAGE, label_html(page))


def question_of(plan: FlipPlan, panel: Panel | None = None) -> LabelQuestion:
    """What labels.csv may say. `panel`: all new images, where rows about the others are to be told from mistakes."""
    asked = [one.image for one in plan.asked]
    repeated = [asked[i] for _, i in plan.repeats]
    if panel is None:
        return LabelQuestion(asked, plan.classes, repeated)
    others = {sample.id for sample in panel.dataset.samples}.difference(asked)
    return LabelQuestion(asked, plan.classes, repeated, sorted(others), panel.known)


def require_unanswered(settle: Path, plan: FlipPlan, record: ArtifactRecord) -> None:
    """Raises RunError where images of `plan` have labels, so that others must not replace them."""
    asked = f"the images that were asked for on {plan.created[:10]}, from {plan.source}"
    if is_filled_in(settle / LABELS, question_of(plan)):
        raise RunError(
            f"{settle / LABELS} holds labels of {asked}. Read them first (`labels`), or move {settle} elsewhere."
        )
    read = [one for one in record.certificates if one.is_by_labels and one.image_set == plan.scored.image_set]
    if read:
        raise RunError(
            f"Labels of {asked}, were read already, and said {read[-1].verdict}. Go on with these images. To try "
            f"others all the same, move {settle} elsewhere: the certificate then names both."
        )
