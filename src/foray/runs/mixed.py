"""Runs that are compared and were not trained alike: in several precisions, or on several machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foray.records import RunRecord

RecordsByName = Mapping[str, Sequence[RunRecord]]  # the name is what a reader is told


def mixed_precisions(runs: RecordsByName) -> dict[str, str]:
    """By name, the precisions in which its runs were trained, in words; empty where all runs share one."""
    of_name = {name: sorted({record.train_precision for record in records}) for name, records in runs.items()}
    if len({one for precisions in of_name.values() for one in precisions}) <= 1:
        return {}
    return {name: f"{name} in {' and '.join(precisions)}" for name, precisions in of_name.items()}


def not_in_one_precision(mixed: Mapping[str, str]) -> str:
    """The sentence about `mixed_precisions`."""
    return f"Not trained in one precision: {'; '.join(mixed.values())}."


def trained_differently(runs: RecordsByName) -> list[str]:
    """Cautions for a comparison whose folder was continued on another machine."""
    found = []
    if mixed := mixed_precisions(runs):
        found.append(
            f"{not_in_one_precision(mixed)} Precision auto is bfloat16 where the processor has it. With precision "
            "float32 in the recipe all runs are trained alike."
        )
    machines = dict.fromkeys(record.hardware.label() for records in runs.values() for record in records)
    if len(machines) > 1:
        found.append(f"Trained on several machines: {'; '.join(machines)}. Do not compare the times of training.")
    return found
