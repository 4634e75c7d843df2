"""The study's problem: the largest network within bounds on MACs, memory, parameters, latency (the paper's eq. 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from foray.decision import broken_bounds, latency_is_open, pareto_front
from foray.errors import ForayError, NotSteadyError
from foray.progress import Progress
from foray.records import COSTS, Budget, CostProfile, Preference
from foray.records.quantities import format_ms
from foray.scaling.candidates import By, Family, ScaledNetwork, candidates, refined
from foray.specs import Preprocessing

if TYPE_CHECKING:
    from foray.clock.schedule import TimingSchedule

_GUESSES = 3

Measure = Callable[[ScaledNetwork], CostProfile]  # the cost of a network with its latency at batch 1, measured


@dataclass(frozen=True)
class Binding:
    """A bound that limits the answer: `without` is the best network if this bound alone were lifted."""

    bound: Preference
    without: ScaledNetwork


@dataclass(frozen=True)
class ScalingSolution:
    """The networks within the budget, largest capacity first.

    `costed`: number of networks costed. `fronts`: by stated bound, names of the admissible networks that are on the
    Pareto front of capacity against that cost, cheapest first. `binding`: the bounds that limit `best`; empty when only
    several together do, or when the largest network of the family is admissible.
    """

    family: Family
    by: By
    budget: Budget
    costed: int
    admissible: tuple[ScaledNetwork, ...]
    fronts: dict[Preference, tuple[str, ...]]
    binding: tuple[Binding, ...]

    @property
    def best(self) -> ScaledNetwork:
        """The admissible network of the largest capacity."""
        return self.admissible[0]

    @property
    def front(self) -> list[ScaledNetwork]:
        """Networks on any of the fronts, largest capacity first."""
        names = {name for front in self.fronts.values() for name in front}
        return [candidate for candidate in self.admissible if candidate.name in names]


def solve(family: Family, budget: Budget, *, by: By | None = None, measure: Measure | None = None) -> ScalingSolution:
    """The admissible networks of `family` under `budget`, and the largest.

    `by`: how to scale (None: as the family's authors did). `measure` times networks on the device; it is needed for a
    bound on latency, and is called for few of them; the others are then not admissible.

    Raises ForayError when no bound is stated, and when no network keeps the budget: with the bound and the cheapest;
    NotSteadyError when a measured latency was not steady, so that it neither keeps nor breaks the bound.
    """
    if budget.max_file_bytes is not None:
        raise ForayError("Networks are scaled to parameters, MACs, memory and latency: bound those, not the file size.")
    if not budget.stated():
        raise ForayError("State a budget: `max_macs` 600M, `max_memory_bytes` 60MB, `max_params` or others.")
    by = by or family.own_rule
    pool = candidates(family, by)
    if by == "free" and (best := _largest(pool, budget.without("latency"))):
        pool = _joined(pool, refined(family, best))
    if budget.max_latency_ms is not None:
        if measure is None:
            raise ForayError("A bound on latency needs a device to measure on.")
        pool = _timed(pool, budget, budget.max_latency_ms, measure)
    admissible = tuple(sorted((c for c in pool if not broken_bounds(c.cost, budget)), key=_order))
    if not admissible:
        raise ForayError(_impossible(family, pool, budget))
    return ScalingSolution(
        family=family,
        by=by,
        budget=budget,
        costed=len(pool),
        admissible=admissible,
        fronts={bound: _front(admissible, bound) for bound in budget.stated()},
        binding=_binding(pool, budget, admissible[0]),
    )


def measured_here(num_classes: int, schedule: TimingSchedule, threads: int | None, progress: Progress) -> Measure:
    """Times networks on this machine, in PyTorch, float32. Needs torch. `threads` None: as many as PyTorch uses."""
    from foray.export.timing import fresh_subject, in_pytorch, timed_costs

    def measure(network: ScaledNetwork) -> CostProfile:
        spec = network.spec
        subject = fresh_subject(spec.name, num_classes, Preprocessing(resolution=spec.resolution))
        costs = timed_costs([subject], in_pytorch(threads), keep_resident=False, schedule=schedule, progress=progress)
        cost = costs[spec.name]
        p50, low, high, p95 = (
            format_ms(ms or 0.0)
            for ms in (cost.latency_p50_ms, cost.latency_p50_low_ms, cost.latency_p50_high_ms, cost.latency_p95_ms)
        )
        progress.note(f"{network.name}: {p50} ({low} to {high}, p95 {p95}, n = {cost.latency_n})")
        return cost

    return measure


def _joined(first: Sequence[ScaledNetwork], more: Sequence[ScaledNetwork]) -> list[ScaledNetwork]:
    """Both, without the networks of `more` that `first` has under another name."""

    def network(candidate: ScaledNetwork) -> object:
        return candidate.spec.stem, candidate.spec.stages, candidate.spec.head, candidate.spec.resolution

    known = set(map(network, first))
    return [*first, *(candidate for candidate in more if network(candidate) not in known)]


def _order(candidate: ScaledNetwork) -> tuple[float, int, str]:
    """Largest capacity first; ties: the cheapest first."""
    return -candidate.capacity, candidate.cost.macs, candidate.name


def _largest(pool: Sequence[ScaledNetwork], budget: Budget) -> ScaledNetwork | None:
    return min((c for c in pool if not broken_bounds(c.cost, budget)), key=_order, default=None)


def _front(admissible: Sequence[ScaledNetwork], bound: Preference) -> tuple[str, ...]:
    costs = {c.name: (c.capacity, cost) for c in admissible if (cost := c.cost.cost(bound)) is not None}
    return tuple(pareto_front(costs))


def _binding(pool: Sequence[ScaledNetwork], budget: Budget, best: ScaledNetwork) -> tuple[Binding, ...]:
    found = []
    for bound in budget.stated():
        without = _largest(pool, budget.without(bound))
        if without and without.capacity > best.capacity:
            found.append(Binding(bound, without))
    return tuple(found)


def _timed(pool: Sequence[ScaledNetwork], budget: Budget, limit_ms: float, measure: Measure) -> list[ScaledNetwork]:
    """The networks with latencies, where they were measured.

    Along the front of capacity against MACs latency grows with both, so a bisection over it finds the largest network
    within the bound in a few measurements. MACs only predict where to measure next.
    """
    static = [c for c in pool if not broken_bounds(c.cost, budget.without("latency"))]
    front = set(_front(static, "macs"))
    chain = sorted((c for c in static if c.name in front), key=lambda c: c.capacity)
    measured: dict[str, CostProfile] = {}
    low, high = -1, len(chain)  # up to `low` the bound is kept, from `high` on it is broken
    at = (low + high) // 2
    while high - low > 1:
        cost = measured[chain[at].name] = measure(chain[at])
        if latency_is_open(cost, budget):
            raise NotSteadyError(_not_steady(cost, limit_ms))
        latency_ms = cost.latency_p50_ms or 0.0
        low, high = (at, high) if latency_ms <= limit_ms else (low, at)
        affordable = cost.macs * limit_ms / latency_ms if latency_ms else 0.0
        guess = sum(c.cost.macs <= affordable for c in chain) - (latency_ms > limit_ms)
        # Bisect at worst: a prediction near one end is tried only while few were measured.
        at = min(max(guess, low + 1), high - 1) if len(measured) < _GUESSES else (low + high) // 2
    return [replace(c, cost=measured.get(c.name, c.cost)) for c in pool]


def _not_steady(cost: CostProfile, limit_ms: float) -> str:
    return (
        f"Not known which network keeps the bound of {format_ms(limit_ms)} latency: the latency of {cost.model} "
        f"was not steady ({'; '.join(cost.unsteady)}). Run the same command again when the machine is idle."
    )


def _impossible(family: Family, pool: Sequence[ScaledNetwork], budget: Budget) -> str:
    """Which bound cannot be kept, with the nearest network."""
    for bound, limit in budget.stated().items():
        costs = {c.name: cost for c in pool if (cost := c.cost.cost(bound)) is not None}
        cheapest = min(costs, key=lambda name: costs[name], default=None)
        if cheapest is not None and costs[cheapest] > limit:
            kind = COSTS[bound]
            return (
                f"No {family.name} network keeps the bound of {kind.write(limit)} {kind.name}. The cheapest is "
                f"{cheapest}, with {kind.write(costs[cheapest])}."
            )
    smallest = min(pool, key=lambda c: c.cost.macs)
    broken = " and ".join(COSTS[bound.bound].name for bound in broken_bounds(smallest.cost, budget))
    return (
        f"No {family.name} network keeps all bounds at once, though each can be kept alone: the smallest network, "
        f"{smallest.name}, breaks those on {broken}. Loosen one of them."
    )
