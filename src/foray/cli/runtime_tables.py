"""What `foray profile` prints: one row per candidate, ties, the machine, and times by layer."""

from __future__ import annotations

import textwrap

from foray.cli.tables import print_table
from foray.plain_text import one_line
from foray.records import RuntimeCost, RuntimeProfile, TimeEstimate
from foray.records.quantities import format_bytes

_SHORT = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8"}
_SHOWN_LAYERS = 20
_WIDTH = 80  # characters


def print_runtime_profile(profile: RuntimeProfile) -> None:
    """Within 80 columns: one table of times, one of other costs; below, ties and what is unreliable."""
    numbered = {cost.name: str(i) for i, cost in enumerate(profile.costs, 1)}
    turns = f"{profile.turns} turns each in {_bursts(profile)}"
    _say(f"{profile.hardware.label()}; batch 1, milliseconds, {turns}, fastest first")
    print_table(
        ["#", "network", "runtime", "thr", "p50", "range", "p95", "n", "ties"],
        [
            [
                numbered[cost.name], f"{cost.model} {cost.resolution}",
                f"{cost.runtime} {_SHORT[cost.precision]}", str(cost.threads), _ms(cost.p50.value), _interval(cost.p50),
                _ms(cost.p95.value), str(cost.n), ",".join(numbered[name] for name in _ties(profile, cost.name)) or "-",
            ]
            for cost in profile.costs
        ],
        words=["network", "runtime"],
    )  # fmt: skip
    print()
    has_peak = any(cost.peak_memory_bytes is not None for cost in profile.costs)
    batches = sorted({rate.batch for cost in profile.costs for rate in cost.rates})
    print_table(
        [
            "#", "file to label ms", "cold start ms", "file", *["peak"] * has_peak, "resident",
            *(f"images/s at {batch}" for batch in batches),
        ],
        [
            [
                numbered[cost.name], _ms(cost.label_p50.value), f"{cost.cold_start_ms:.0f}",
                format_bytes(cost.file_bytes), *[_bytes(cost.peak_memory_bytes)] * has_peak,
                _bytes(cost.resident_memory_bytes), *_rates(cost, batches),
            ]
            for cost in profile.costs
        ],
    )  # fmt: skip
    if has_peak:
        _say("Peak: memory of one inference by analysis of the graph, as PyTorch runs it. Resident: measured.")
    for sentence in _sentences(profile):
        _say(sentence)


def print_layer_times(profile: RuntimeProfile) -> None:
    """The longest layers of each candidate; all of them are in the JSON."""
    for cost in profile.costs:
        print()
        if cost.layers is None:
            _say(f"{cost.name}: {cost.runtime} does not report the time by layer.")
            continue
        total = sum(layer.ms for layer in cost.layers)
        longest = sorted(cost.layers, key=lambda layer: -layer.ms)[:_SHOWN_LAYERS]
        _say(f"{cost.name}: {total:.2f} ms in {len(cost.layers)} layers, the longest:")
        print_table(
            ["layer", "kind", "ms", "%"],
            [[layer.name[-40:], layer.kind, f"{layer.ms:.3f}", f"{100 * layer.ms / total:.1f}"] for layer in longest],
            words=["kind"],
        )


def _sentences(profile: RuntimeProfile) -> list[str]:
    found = []
    if profile.bursts > 1:
        found.append(
            f"Range: of the {profile.bursts} bursts' p50; each burst has its own processes. The range of six bursts "
            "contains the true median with 97 % confidence."
        )
    if len(profile.costs) > 1:
        found.append("Ties: less than 3 % apart, or the range of the ratio over bursts, paired by turn, holds 1.")
    found += _machine(profile)
    restless = [cost.name for cost in profile.costs if not cost.is_steady]
    if restless:
        found.append(f"Not steady: {', '.join(restless)} had not become stable when timing began.")
    reasons: dict[str, list[str]] = {}
    for cost in profile.costs:
        for reason in cost.unsteady:
            reasons.setdefault(reason, []).append(cost.name)
    everyone = len(profile.costs)
    found += [
        f"Not steady{'' if len(names) == everyone else ', ' + ', '.join(names)}: {reason}."
        for reason, names in reasons.items()
    ]
    found += [f"Not steady: {warning}." for warning in profile.steadiness.warnings]
    if restless or reasons or profile.steadiness.warnings:
        found.append(
            "Measure again when the machine is idle; the order outside ties is more reliable than the numbers."
        )
    return found


def _machine(profile: RuntimeProfile) -> list[str]:
    """Load by other processes, and how it was handled."""
    steadiness = profile.steadiness
    if steadiness.busy_elsewhere is None:
        return ["The load by other processes is not known on this system."]
    said = f"Other processes used {100 * steadiness.busy_elsewhere:.0f} % of the processors' time"
    if steadiness.waited_seconds >= 1:
        said += f"; waited {steadiness.waited_seconds:.0f} s for an idle machine"
    if steadiness.taken_again:
        said += f"; bursts repeated because of other load: {steadiness.taken_again}"
    return [f"{said}."]


def _bursts(profile: RuntimeProfile) -> str:
    return f"{profile.bursts} bursts" if profile.bursts > 1 else "one burst"


def _bytes(amount: int | None) -> str:
    return "-" if amount is None else format_bytes(amount)


def _rates(cost: RuntimeCost, batches: list[int]) -> list[str]:
    measured = {rate.batch: rate.value for rate in cost.rates}
    return [f"{measured[batch]:.1f}" if batch in measured else "-" for batch in batches]


def _say(sentence: str) -> None:
    print(textwrap.fill(one_line(sentence), _WIDTH))


def _ties(profile: RuntimeProfile, name: str) -> list[str]:
    return [
        pair.b if pair.a == name else pair.a for pair in profile.differences if pair.is_tie and name in (pair.a, pair.b)
    ]


def _interval(estimate: TimeEstimate) -> str:
    return f"{_ms(estimate.low)}-{_ms(estimate.high)}"


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
