"""A certificate on stdout."""

from __future__ import annotations

import textwrap

from foray.cli.tables import print_rows, print_table
from foray.plain_text import one_line
from foray.records import Certificate, Estimate
from foray.records.quantities import format_interval, format_points, percent_number

_SHOWN_CLASSES = 10
_WIDTH = 80  # characters


def print_certificate(certificate: Certificate) -> None:
    """The verdict, the numbers behind it, and the classes that lose most."""
    sentences = [certificate.sentence]
    if certificate.left_out and certificate.left_out.total:
        sentences.append(certificate.left_out.sentence)
    if certificate.unlabelled:
        sentences += certificate.unlabelled.remarks
    for sentence in [*sentences, *(f"Beware: {warning}" for warning in certificate.cautions)]:
        print(textwrap.fill(one_line(sentence), _WIDTH))
    print()
    print_rows(
        [
            ("top-1", _accuracy(certificate.top1)),
            ("float32", _accuracy(certificate.reference_top1)),
            ("loss", loss_in_points(certificate)),
            ("label agreement", _accuracy(certificate.label_agreement)),
            ("probability shift", f"{100 * certificate.mean_shift:.2f} points on average"),
            (
                "at most",
                f"{100 * certificate.largest_difference:.1f} points ({certificate.largest_difference_image})",
            ),
            ("images", f"{certificate.n:,} of {certificate.dataset}, {certificate.split}"),
            ("reference", certificate.reference),
        ]
    )
    worst = sorted((row for row in certificate.per_class if row.loss), key=lambda row: -(row.loss or 0))
    if worst:
        print()
        print_table(
            ["class", "images", "float32 %", "file %", "loss, points"],
            [
                [
                    row.name,
                    str(row.n),
                    percent_number(row.reference_recall),
                    percent_number(row.recall),
                    f"{100 * (row.loss or 0):.1f}",
                ]
                for row in worst[:_SHOWN_CLASSES]
            ],
        )


def loss_in_points(certificate: Certificate) -> str:
    """The loss with its bounds; what is not known of it without labels is said."""
    if certificate.unlabelled is not None and not certificate.unlabelled.flips:
        return f"0 points on these images (95 % bound {100 * certificate.loss_upper:.2f})"
    if certificate.loss is None:
        return f"not known without labels (95 % bound {100 * certificate.loss_upper:.2f})"
    lower = f"{100 * certificate.loss_lower:.2f}" if certificate.loss_lower is not None else "-"
    return f"{format_points(certificate.loss)} (95 % bounds {lower} and {100 * certificate.loss_upper:.2f})"


def _accuracy(estimate: Estimate | None) -> str:
    if estimate is None:
        return "not known: it needs labels of all images"
    return f"{percent_number(estimate.value)} % ({format_interval(estimate)})"
