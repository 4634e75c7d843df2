"""The study's problem: the largest network within bounds on MACs, memory, parameters, latency (the paper's eq. 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from foray.decision import broken_bounds, latency_is_open, pareto_front
from foray.errors import ForayError, NotSteadyError
from foray.records import Budget, CostProfile, Preference
from foray.records.quantities import format_bytes, format_count, format_ms
from foray.scaling.candidates import By, Family, ScaledNetwork, candidates, refined

LIMITS: dict[Preference, str] = {
    "params": "max_params",
    "macs": "max_macs",
    "memory": "max_memory_bytes",
    "latency": "max_latency_ms",
}
_FORMATS: dict[Preference, Callable[[float], str]] = {
    "params": format_count,
    "macs": format_count,
    "memory": format_bytes,
    "latency": format_ms,
}
_NAMES = {"params": "parameters", "macs": "MACs", "memory": "of peak memory", "latency": "of latency"}
_GUESSES = 3

# The cost of a network with its latency at batch 1, measured.
Measure = Callable[[ScaledNetwork], CostProfile]


@dataclass(frozen=True)
class Binding:
    """A bound that holds the answer back: `without` is the best network if this bound alone were lifted."""

    bound: Preference
    without: ScaledNetwork


@dataclass(frozen=True)
class ScalingSolution:
    """What keeps the budget, largest capacity first.

    `costed`: networks looked at. `fronts`: by stated bound, names of the admissible networks that are on the Pareto
    front of capacity against that cost, cheapest first. `binding`: the bounds that hold `best` back; empty when only
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
    bound on latency, is asked about few of them, and networks it was not asked about are then not admissible.

    Raises ForayError when no bound is stated, and when no network keeps the budget: with the bound and the cheapest;
    NotSteadyError when a measured latency was not steady, as it neither keeps the bound nor breaks it.
    """
    if budget.max_file_bytes is not None:
        raise ForayError("Networks are scaled to parameters, MACs, memory and latency; bound those, not the file.")
    if all(limit is None for limit in budget.model_dump().values()):
        raise ForayError("Say what the network may cost: --max-macs 600M, --max-memory 60MB, --max-params or others.")
    by = by or family.own_rule
    pool = candidates(family, by)
    if by == "free" and (best := _largest(pool, _without(budget, "latency"))):
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
        fronts={bound: _front(admissible, bound) for bound in LIMITS if limit_of(budget, bound) is not None},
        binding=_binding(pool, budget, admissible[0]),
    )


def _joined(first: Sequence[ScaledNetwork], more: Sequence[ScaledNetwork]) -> list[ScaledNetwork]:
    """Both, without the networks of `more` that `first` has under another name."""

    def network(candidate: ScaledNetwork) -> object:
        return candidate.spec.stem, candidate.spec.stages, candidate.spec.head, candidate.spec.resolution

    known = set(map(network, first))
    return [*first, *(candidate for candidate in more if network(candidate) not in known)]


def _order(candidate: ScaledNetwork) -> tuple[float, int, str]:
    """Largest capacity first, the cheapest of equals."""
    return -candidate.capacity, candidate.cost.macs, candidate.name


def limit_of(budget: Budget, bound: Preference) -> float | None:
    """The stated bound on a cost, None where there is none."""
    limit: float | None = getattr(budget, LIMITS[bound])
    return limit


def _without(budget: Budget, bound: Preference) -> Budget:
    return budget.model_copy(update={LIMITS[bound]: None})


def _largest(pool: Sequence[ScaledNetwork], budget: Budget) -> ScaledNetwork | None:
    return min((c for c in pool if not broken_bounds(c.cost, budget)), key=_order, default=None)


def _front(admissible: Sequence[ScaledNetwork], bound: Preference) -> tuple[str, ...]:
    costs = {c.name: (c.capacity, cost) for c in admissible if (cost := c.cost.cost(bound)) is not None}
    return tuple(pareto_front(costs))


def _binding(pool: Sequence[ScaledNetwork], budget: Budget, best: ScaledNetwork) -> tuple[Binding, ...]:
    found = []
    for bound in LIMITS:
        if limit_of(budget, bound) is None:
            continue
        without = _largest(pool, _without(budget, bound))
        if without and without.capacity > best.capacity:
            found.append(Binding(bound, without))
    return tuple(found)


def _timed(pool: Sequence[ScaledNetwork], budget: Budget, limit_ms: float, measure: Measure) -> list[ScaledNetwork]:
    """The networks with latencies, where they were measured.

    Along the front of capacity against MACs latency grows with both, so a bisection over it finds the largest network
    within the bound in a few measurements. MACs only guess where to look next: every latency is measured.
    """
    static = [c for c in pool if not broken_bounds(c.cost, _without(budget, "latency"))]
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
        # Half of what is left at worst: a guess near one end is worth a try only while few were measured.
        at = min(max(guess, low + 1), high - 1) if len(measured) < _GUESSES else (low + high) // 2
    return [replace(c, cost=measured.get(c.name, c.cost)) for c in pool]


def _not_steady(cost: CostProfile, limit_ms: float) -> str:
    return (
        f"Not known which network keeps --max-latency {format_ms(limit_ms)}: the latency of {cost.model} was not "
        f"steady ({'; '.join(cost.unsteady)}). The same command measures again: start it when the machine is idle."
    )


def _impossible(family: Family, pool: Sequence[ScaledNetwork], budget: Budget) -> str:
    """Which bound cannot be kept, with the network that comes nearest."""
    for bound in LIMITS:
        limit = limit_of(budget, bound)
        costs = {c.name: cost for c in pool if (cost := c.cost.cost(bound)) is not None}
        if limit is None or not costs:
            continue
        cheapest = min(costs, key=lambda name: costs[name])
        if costs[cheapest] > limit:
            amount = _FORMATS[bound]
            return (
                f"No {family.name} keeps --max-{bound} {amount(limit)}: the cheapest there is, {cheapest}, has "
                f"{amount(costs[cheapest])} {_NAMES[bound]}."
            )
    smallest = min(pool, key=lambda c: c.cost.macs)
    broken = " and ".join(f"--max-{bound.bound}" for bound in broken_bounds(smallest.cost, budget))
    return (
        f"No {family.name} keeps all bounds at once, though each can be kept alone: the smallest network, "
        f"{smallest.name}, breaks {broken}. Loosen one of them."
    )
