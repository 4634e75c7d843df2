"""The table of candidates: as cells for the page, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from foray.plain_text import csv_cell, markdown
from foray.records import CandidateResult, Comparison, Decision, Estimate
from foray.records.quantities import (
    format_bytes,
    format_count,
    format_interval,
    format_ms,
    format_percent,
    format_seconds,
)
from foray.records.split_names import format_split
from foray.report.status import KINDS, status_of

NOT_MEASURED = "–"

T = TypeVar("T", int, float)


@dataclass(frozen=True)
class Cell:
    """`text` with `detail` under it; `sort` orders the column, None (not measured) always last."""

    text: str
    detail: str = ""
    sort: float | str | None = None
    kind: str = ""
    hint: str = ""

    @property
    def is_measured(self) -> bool:
        """False for the dash that stands for a number that was not measured."""
        return self.text != NOT_MEASURED


@dataclass(frozen=True)
class Column:
    """`hint`: meaning and conditions of the number. `descending`: a first click sorts the largest to the top."""

    label: str
    hint: str
    cell: Callable[[CandidateResult], Cell]
    numeric: bool = True
    descending: bool = False


@dataclass(frozen=True)
class Table:
    """Columns, and one row of cells per candidate, in the order of the columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def candidate_table(comparison: Comparison) -> Table:
    """The table of candidates: those that took part in the decision first, by descending selection accuracy."""
    columns = tuple(_columns(comparison))
    ranked = sorted(comparison.candidates, key=lambda candidate: _rank(candidate, comparison.decision))
    return Table(columns, tuple(tuple(column.cell(candidate) for column in columns) for candidate in ranked))


def markdown_table(comparison: Comparison) -> str:
    """table.md: the verdict, the table, and the meaning of its columns."""
    table = candidate_table(comparison)
    header = [column.label for column in table.columns]
    lines = [
        f"**{markdown(comparison.decision.sentence)}**",
        "",
        *(line for caution in comparison.cautions for line in (f"Caution: {markdown(caution)}", "")),
        _markdown_row(header),
        _markdown_row(["---:" if column.numeric else "---" for column in table.columns]),
        *(_markdown_row([_joined(cell) for cell in row]) for row in table.rows),
        "",
        *(f"- {column.label}: {markdown(column.hint)}." for column in table.columns if column.hint),
        f"- {NOT_MEASURED}: not measured.",
    ]
    return "\n".join(lines) + "\n"


def csv_table(comparison: Comparison) -> str:
    """table.csv: one row per candidate, plain numbers, units in the column names, empty where not measured."""
    stream = io.StringIO()
    rows = [_csv_row(candidate, comparison) for candidate in comparison.candidates]
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]) if rows else ["model"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _csv_cell(value) for name, value in row.items()} for row in rows)
    return stream.getvalue()


def _rank(candidate: CandidateResult, decision: Decision) -> tuple[bool, float]:
    accuracy = candidate.selection.value if candidate.selection else -1.0
    return (not status_of(candidate, decision).is_in, -accuracy)


def _columns(comparison: Comparison) -> list[Column]:
    decision, candidates = comparison.decision, comparison.candidates
    split, seeds = decision.selection_split, len(comparison.seeds)
    mean = f"mean over {seeds} seeds" if seeds > 1 else "one seed"
    n_selection = _sample_size([candidate.selection for candidate in candidates])
    n_test = _sample_size([candidate.test for candidate in candidates])
    conditions = _conditions(comparison)
    return [
        Column("Model", "variant and input resolution", _model_cell, numeric=False),
        Column("Status", "outcome of the decision", lambda c: _status_cell(c, decision), numeric=False),
        Column(
            "Selection accuracy",
            f"top-1 on {format_split(split)}{n_selection}, which decides; {mean}; 95 % interval over images",
            lambda c: _estimate_cell(c.selection),
            descending=True,
        ),
        Column(
            "Test accuracy",
            f"top-1 on test{n_test}, which selects nothing; {mean}; 95 % interval over images",
            lambda c: _estimate_cell(c.test),
            descending=True,
        ),
        Column("SD", f"standard deviation over {seeds} seeds, in points, on test; sel.: on selection", _sd_cell),
        Column("Macro-F1", f"on test{n_test}, unweighted mean over classes, {mean}", _f1_cell, descending=True),
        Column("Params", "weights and biases, with the head for these classes", lambda c: _count_cell(c.cost.params)),
        Column("MACs", "multiply-accumulates for one image, by analysis", lambda c: _count_cell(c.cost.macs)),
        Column("Latency", f"p50 and p95 of one image, {conditions}", _latency_cell),
        Column(
            "Images/s",
            f"throughput at batch 32, {conditions}",
            lambda c: _measured(c.cost.throughput_images_per_second, "{:.0f}".format),
            descending=True,
        ),
        *_memory_columns(candidates),
        Column("File", "size of the weights on disk", lambda c: _measured(c.cost.file_bytes, format_bytes)),
        Column("Training", f"time of a whole run, and of an epoch, {mean}", _training_cell),
    ]


def _model_cell(candidate: CandidateResult) -> Cell:
    return Cell(candidate.model, f"{candidate.architecture.resolution} px", candidate.model)


def _status_cell(candidate: CandidateResult, decision: Decision) -> Cell:
    where = status_of(candidate, decision)
    return Cell(where.label, sort=float(KINDS.index(where.kind)), kind=where.kind, hint=where.reason)


def _estimate_cell(estimate: Estimate | None) -> Cell:
    if estimate is None:
        return Cell(NOT_MEASURED)
    hint = f"n = {estimate.n:,} images, {estimate.confidence:.0%} interval, {estimate.method}"
    return Cell(format_percent(estimate.value), format_interval(estimate, "–"), estimate.value, hint=hint)


def _sd_cell(candidate: CandidateResult) -> Cell:
    selection = "" if candidate.selection_sd is None else f"sel. {_in_points(candidate.selection_sd)}"
    return _measured(candidate.test_sd, _in_points, detail=selection)


def _in_points(deviation: float) -> str:
    return f"{100 * deviation:.2f}"


def _f1_cell(candidate: CandidateResult) -> Cell:
    return _measured(candidate.test_macro_f1, "{:.3f}".format)


def _latency_cell(candidate: CandidateResult) -> Cell:
    cost = candidate.cost
    p95 = "" if cost.latency_p95_ms is None else f"p95 {format_ms(cost.latency_p95_ms)}"
    p95 += ", not steady" if cost.unsteady else ""
    calls = "" if cost.latency_n is None else f"n = {cost.latency_n:,} calls"
    if cost.latency_p50_low_ms is not None and cost.latency_p50_high_ms is not None:
        low, high = format_ms(cost.latency_p50_low_ms), format_ms(cost.latency_p50_high_ms)
        calls += f", interval of p50 {low} to {high}"
    if cost.latency_bursts is not None:
        calls += f", {cost.latency_bursts} burst{'s' if cost.latency_bursts > 1 else ''}"
    if cost.busy_elsewhere is not None:
        calls += f", other processes used {format_percent(cost.busy_elsewhere)} of the processors"
    if cost.unsteady:
        calls += f"; not steady: {'; '.join(cost.unsteady)}"
    return _measured(cost.latency_p50_ms, format_ms, detail=p95, hint=calls)


def _training_cell(candidate: CandidateResult) -> Cell:
    epoch = candidate.seconds_per_epoch
    detail = "" if epoch is None else f"{format_seconds(epoch)} per epoch"
    return _measured(candidate.train_seconds, format_seconds, detail=detail)


def _count_cell(count: int) -> Cell:
    return Cell(format_count(count), sort=float(count), hint=f"{count:,}")


def _measured(value: T | None, shown: Callable[[T], str], *, detail: str = "", hint: str = "") -> Cell:
    if value is None:
        return Cell(NOT_MEASURED)
    return Cell(shown(value), detail, float(value), hint=hint)


def _sample_size(estimates: Sequence[Estimate | None]) -> str:
    sizes = sorted({estimate.n for estimate in estimates if estimate is not None})
    return f" (n = {' or '.join(f'{n:,}' for n in sizes)})" if sizes else ""


def _conditions(comparison: Comparison) -> str:
    """Runtime, precision, threads and device of the latency; several where the candidates differ."""
    found = []
    for candidate in comparison.candidates:
        cost = candidate.cost
        threads = "" if cost.threads is None else f", {cost.threads} thread{'s' if cost.threads > 1 else ''}"
        found.append(f"{cost.runtime} {cost.precision}{threads} on {cost.device}")
    return "; ".join(dict.fromkeys(found))


def _memory_columns(candidates: Sequence[CandidateResult]) -> list[Column]:
    """Peak memory, resident memory, or both where candidates have them."""
    peak = Column(
        "Peak memory",
        "weights and live activations of one inference at batch 1, by analysis",
        lambda c: _measured(c.cost.peak_memory_bytes, format_bytes),
    )
    resident = Column(
        "Resident memory",
        "measured peak memory of the process for inference at batch 1, runtime included",
        lambda c: _measured(c.cost.resident_memory_bytes, format_bytes),
    )
    has_resident = any(candidate.cost.resident_memory_bytes is not None for candidate in candidates)
    has_peak = any(candidate.cost.peak_memory_bytes is not None for candidate in candidates)
    return [peak] * (has_peak or not has_resident) + [resident] * has_resident


def _joined(cell: Cell) -> str:
    reason = f" ({cell.hint})" if cell.kind in ("unknown", "out", "failed") and cell.hint else ""
    return f"{cell.text} [{cell.detail}]{reason}" if cell.detail else cell.text + reason


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(markdown(cell) for cell in cells)} |"


def _csv_row(candidate: CandidateResult, comparison: Comparison) -> dict[str, object]:
    cost, where = candidate.cost, status_of(candidate, comparison.decision)
    return {
        "model": candidate.model,
        "status": where.label,
        "reason": where.reason,
        "seeds": len(candidate.run_ids),
        "resolution_px": candidate.architecture.resolution,
        "selection_split": comparison.decision.selection_split,
        **_csv_estimate("selection", candidate.selection),
        "selection_top1_sd": candidate.selection_sd,
        **_csv_estimate("test", candidate.test),
        "test_top1_sd": candidate.test_sd,
        "test_top5": candidate.test_top5,
        "test_macro_f1": candidate.test_macro_f1,
        "params": cost.params,
        "macs": cost.macs,
        "latency_p50_ms": cost.latency_p50_ms,
        "latency_p50_low_ms": cost.latency_p50_low_ms,
        "latency_p50_high_ms": cost.latency_p50_high_ms,
        "latency_p95_ms": cost.latency_p95_ms,
        "latency_n": cost.latency_n,
        "latency_unsteady": "; ".join(cost.unsteady),
        "throughput_images_per_second": cost.throughput_images_per_second,
        "peak_memory_bytes": cost.peak_memory_bytes,
        "resident_memory_bytes": cost.resident_memory_bytes,
        "file_bytes": cost.file_bytes,
        "runtime": cost.runtime,
        "precision": cost.precision,
        "threads": cost.threads,
        "device": cost.device,
        "epoch_seconds": candidate.seconds_per_epoch,
        "run_seconds": candidate.train_seconds,
    }


def _csv_cell(value: object) -> object:
    return csv_cell(value) if isinstance(value, str) else value


def _csv_estimate(name: str, estimate: Estimate | None) -> dict[str, object]:
    return {
        f"{name}_top1": estimate and estimate.value,
        f"{name}_top1_low": estimate and estimate.low,
        f"{name}_top1_high": estimate and estimate.high,
        f"{name}_n": estimate and estimate.n,
    }
