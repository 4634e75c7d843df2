"""Results on stdout: tables that fit 80 columns, without control codes where stdout is not a terminal."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from foray.cli.terminal import say, unfiltered
from foray.data.dataset import some_names
from foray.plain_text import one_line
from foray.records import Metrics, PretrainedEvaluation, RunRecord
from foray.records.quantities import format_estimate, format_interval, format_seconds, percent_number

if TYPE_CHECKING:
    from foray.deploy import Prediction

_SHOWN_CLASSES = 30
_NAME_WIDTH = 24  # characters: a first column of longer names is folded where the table is too wide


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, words: Sequence[str] = (), whole_names: bool = False
) -> None:
    """Prints a table. The first column and those named in `words` are flush left, the others, numbers, flush right.

    `whole_names`: the first column is never folded; some column in `words` is folded instead.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    short = whole_names or all(len(one_line(row[0])) <= _NAME_WIDTH for row in rows)
    table.add_column(columns[0], overflow="fold", no_wrap=short)
    for column in columns[1:]:
        is_words = column in words
        table.add_column(column, justify="left" if is_words else "right", overflow="fold", no_wrap=not is_words)
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    _print(table)


def print_rows(rows: Sequence[tuple[str, str]]) -> None:
    """Prints (what, value) pairs below each other, long values folded within their column."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for what, value in rows:
        table.add_row(Text(one_line(what)), Text(one_line(value), overflow="fold"))
    _print(table)


def _print(table: Table) -> None:
    """Without the trailing blanks that rich pads lines with."""
    console = Console(highlight=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip(), file=unfiltered(sys.stdout))


def print_run(record: RunRecord, folder: Path, data: str) -> None:
    """Test accuracy with its interval, training time, and the commands that use the run."""
    test = record.metrics["test"]
    f1 = percent_number(test.macro_f1)
    print(f"{record.architecture.name}: test accuracy {format_estimate(test.top1)}, macro-F1 {f1} %")
    if record.total_seconds is not None:
        print(f"Trained in {format_seconds(record.total_seconds)} on {record.device} ({record.train_precision}).")
    for note in record.notes:
        say(f"Note: {note}")
    print()
    say(f"Run: {folder}")
    say(f"  foray evaluate {shlex.join([str(folder), data])}")
    say(f"  foray predict {shlex.quote(str(folder))} image.jpg")


def print_metrics(metrics: Metrics) -> None:
    """Accuracy with its interval, the classes by rising recall, and the most frequent confusions."""
    print(f"{metrics.split}: accuracy {format_estimate(metrics.top1)}, macro-F1 {percent_number(metrics.macro_f1)} %")
    if metrics.top5:
        print(f"top-5: {format_estimate(metrics.top5)}")
    if metrics.absent:
        print(f"No images of {some_names(metrics.absent)}: left out of macro-F1.")
    if metrics.left_out and metrics.left_out.total:
        print(metrics.left_out.sentence)
    for note in metrics.notes:
        print(f"Note: {note}")
    ranked = sorted(metrics.per_class, key=lambda row: row.recall.value if row.recall else 2.0)
    print_table(
        ["class", "images", "recall %", "95 %", "precision %", "F1 %"],
        [
            [
                row.name,
                str(row.n),
                percent_number(row.recall.value if row.recall else None),
                format_interval(row.recall) if row.recall else "-",
                percent_number(row.precision),
                percent_number(row.f1),
            ]
            for row in ranked[:_SHOWN_CLASSES]
        ],
    )
    if len(ranked) > _SHOWN_CLASSES:
        print(f"... and {len(ranked) - _SHOWN_CLASSES} classes with a higher recall (all of them with --json)")
    names = [row.name for row in metrics.per_class]
    confusions = [
        (n, names[i], names[j]) for i, row in enumerate(metrics.confusion) for j, n in enumerate(row) if n and i != j
    ]
    for n, label, predicted in sorted(confusions, key=lambda confusion: -confusion[0])[:5]:
        say(f"{n} x {label} predicted as {predicted}")


def print_pretrained(record: PretrainedEvaluation, folder: Path) -> None:
    """Top-1 and top-5 of published weights, the images, and those left out."""
    say(f"{record.model}, weights {record.weights.source}, on {record.n:,} ImageNet validation images")
    print(f"top-1: {format_estimate(record.top1)}")
    print(f"top-5: {format_estimate(record.top5)}")
    if record.published_top1 is not None:
        print(f"Published top-1 on the 50,000 validation images: {percent_number(record.published_top1)} %")
    for note in record.notes:
        say(f"Note: {note}")
    for name, reason in record.unreadable.items():
        say(f"Left out: {name} ({reason})")
    if record.computed:
        rate = record.computed / record.seconds
        print(f"{rate:,.0f} images/s, files to predictions, {record.engine} in float32 on {record.device}.")
    say(f"Kept in {folder}")


def print_predictions(predictions: Sequence[Prediction]) -> None:
    """One row per image: its most probable class and the next ones."""
    print_table(
        ["image", "class", "%", "then"],
        [
            [
                str(prediction.path),
                prediction.label,
                percent_number(prediction.probability),
                ", ".join(f"{label} {percent_number(probability)}" for label, probability in prediction.top[1:3]),
            ]
            for prediction in predictions
        ],
        words=["class", "then"],
    )
