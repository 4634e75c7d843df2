"""A certificate on stdout."""

from __future__ import annotations

from foray.cli.tables import print_rows, print_table
from foray.cli.terminal import say
from foray.records import Certificate
from foray.records.quantities import format_interval, format_points, percent_number

_SHOWN_CLASSES = 10


def print_certificate(certificate: Certificate) -> None:
    """The verdict, the numbers behind it, and the classes that lose most."""
    say(certificate.sentence)
    if certificate.left_out and certificate.left_out.total:
        say(certificate.left_out.sentence)
    for warning in certificate.warnings:
        say(f"Beware: {warning}")
    print()
    rows = [
        ("top-1", f"{percent_number(certificate.top1.value)} % ({format_interval(certificate.top1)})"),
        (
            "float32",
            f"{percent_number(certificate.reference_top1.value)} % ({format_interval(certificate.reference_top1)})",
        ),
        ("loss", f"{format_points(certificate.loss)} ({_points(certificate.loss_lower, certificate.loss_upper)})"),
        (
            "label agreement",
            f"{percent_number(certificate.label_agreement.value)} % ({format_interval(certificate.label_agreement)})",
        ),
        ("probability shift", f"{100 * certificate.mean_shift:.2f} points on average"),
        (
            "at most",
            f"{100 * certificate.largest_difference:.1f} points ({certificate.largest_difference_image})",
        ),
        ("images", f"{certificate.n:,} of {certificate.dataset}, {certificate.split}"),
        ("reference", certificate.reference),
    ]
    print_rows(rows)
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


def _points(low: float, high: float) -> str:
    return f"95 % bounds {100 * low:.2f} and {100 * high:.2f}"
