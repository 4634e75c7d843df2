"""`foray scale FAMILY`: the largest network within a budget; `--search DATA`: how to scale, by training."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from foray.cli import options
from foray.cli.verb import with_groups
from foray.errors import ForayError
from foray.limits import MOST_CLASSES, MOST_COEFFICIENT, MOST_EPOCHS, MOST_SEEDS

if TYPE_CHECKING:
    from foray.requests import ImageSource, Machine
    from foray.scaling import Family, ScaledNetwork, ScalingSolution

# Repeated from foray.scaling, whose import costs too much for --help; a test holds them together.
By = Literal["phi", "multipliers", "free"]

_SHOWN = 12  # rows
_WELL_USED = 0.9  # of a bound


@dataclass(frozen=True)
class SearchOptions:
    """What --search trains, and where."""

    search: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="Search alpha, beta, gamma instead: train small networks on DATA (as for compare)."
        ),
    ] = None
    proxy: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="--search: what is scaled (FAMILY@d0.5,w0.5,r96)."),
    ] = None
    steps: Annotated[int, typer.Option(metavar="N", help="--search: steps of the grid; 3 make 11 networks.")] = 3
    epochs: Annotated[
        int, typer.Option(min=1, max=MOST_EPOCHS, metavar="N", help="--search: epochs of each training.")
    ] = 10
    seeds: Annotated[
        int, typer.Option(min=1, max=MOST_SEEDS, metavar="N", help="--search: trainings of each network.")
    ] = 3
    out: Annotated[Path, typer.Option(metavar="DIR", help="--search: where runs and picture go.")] = Path("scaling")
    dry_run: Annotated[bool, typer.Option("--dry-run", help="--search: show the plan, train nothing.")] = False


@with_groups
def scale(
    *,
    family: Annotated[
        str, typer.Argument(metavar="FAMILY", help="efficientnet, mobilenet_v2, ..., or tf_ and one of them.")
    ] = "efficientnet",
    budget: options.BudgetOptions,
    by: Annotated[
        By | None,
        typer.Option(
            show_default=False,
            help="phi: compound scaling; multipliers: width and resolution; free: depth, width and resolution each. "
            "Default: the way of the family's authors.",
        ),
    ] = None,
    alpha: Annotated[float, typer.Option(min=1.0, max=MOST_COEFFICIENT, metavar="A", help="Depth is alpha^phi.")] = 1.2,
    beta: Annotated[float, typer.Option(min=1.0, max=MOST_COEFFICIENT, metavar="B", help="Width is beta^phi.")] = 1.1,
    gamma: Annotated[
        float, typer.Option(min=1.0, max=MOST_COEFFICIENT, metavar="G", help="Resolution is gamma^phi.")
    ] = 1.15,
    classes: Annotated[int, typer.Option(min=1, max=MOST_CLASSES, metavar="N", help="Classes of the network.")] = 1000,
    search: SearchOptions,
    source: options.SourceOptions,
    machine: options.TimingOptions,
    as_json: options.AsJson = False,
) -> None:
    """Find the largest network of a family that keeps a budget, and say which bound limits it.

    With --search, find by training on your images how to scale, and whether scaling one dimension alone is worse.

    Exit status: 0 done; 2 no network keeps the budget, or wrong arguments; 4 not known, because a latency was not
    steady (--max-latency).
    """
    if search.search is not None:
        if budget != options.BudgetOptions():
            raise ForayError(
                "--search finds alpha, beta and gamma; give the bounds to a second foray scale with those."
            )
        options.prepare_threads(machine.threads)
        _search(search, family, source.request(search.search), machine.request(), as_json)
        return
    from foray.scaling import Family, solve
    from foray.specs import Coefficients

    if alpha == beta == gamma == 1.0:
        raise ForayError("--alpha, --beta and --gamma are all 1: nothing would be scaled. Make one of them larger.")
    bounds = budget.request()
    wanted = Family(family, Coefficients(alpha, beta, gamma), classes)
    if budget.max_latency is None:
        solution = solve(wanted, bounds, by=by)
    else:
        solution = _solve_with_latency(wanted, bounds, by, machine.threads, machine.wait)
    if as_json:
        print(json.dumps(_plain(solution), indent=1))
    else:
        _print(solution)


def _search(wanted: SearchOptions, family: str, source: ImageSource, machine: Machine, as_json: bool) -> None:
    from foray.cli.progress import terminal_progress
    from foray.cli.scaling_search import print_search, print_search_plan
    from foray.report import write_search_figure
    from foray.runs.carving import carving_in
    from foray.scaling.search import search
    from foray.scaling.search_plan import plan_search

    proxy, out = wanted.proxy or f"{family}@d0.5,w0.5,r96", wanted.out
    with terminal_progress() as progress:
        plan = plan_search(
            source, proxy, steps=wanted.steps, epochs=wanted.epochs, seeds=wanted.seeds, cache_dir=machine.cache,
            carving=carving_in(out), progress=progress,
        )  # fmt: skip
        if wanted.dry_run:
            print_search_plan(plan)
            return
        found = search(plan, out, machine, command=shlex.join(["foray", *sys.argv[1:]]), progress=progress)
    picture = write_search_figure(found, out)
    if as_json:
        print(found.model_dump_json(indent=1))
    else:
        print_search(found, out, picture)


def _solve_with_latency(
    family: Family, budget: Any, by: By | None, threads: int | None, wait: float
) -> ScalingSolution:
    options.prepare_threads(threads)
    from foray.cli.progress import terminal_progress
    from foray.clock.schedule import schedule_within
    from foray.scaling import solve
    from foray.scaling.solve import measured_here

    with terminal_progress() as progress:
        measure = measured_here(family.num_classes, schedule_within(wait), threads, progress)
        return solve(family, budget, by=by, measure=measure)


def _plain(solution: ScalingSolution) -> dict[str, Any]:
    """What --json prints: all admissible networks, not only the fronts."""
    return {
        "family": solution.family.name,
        "by": solution.by,
        "coefficients": dataclasses.asdict(solution.family.coefficients),
        "classes": solution.family.num_classes,
        "budget": solution.budget.model_dump(exclude_none=True),
        "costed": solution.costed,
        "best": solution.best.name,
        "binding": [{"bound": one.bound, "without": one.without.name} for one in solution.binding],
        "fronts": solution.fronts,
        "admissible": [_plain_candidate(candidate) for candidate in solution.admissible],
    }


def _plain_candidate(candidate: ScaledNetwork) -> dict[str, Any]:
    cost = candidate.cost
    return {
        "name": candidate.name,
        "phi": candidate.phi,
        "capacity": candidate.capacity,
        "depth_mult": candidate.spec.depth_mult,
        "width_mult": candidate.spec.width_mult,
        "resolution": candidate.spec.resolution,
        "params": cost.params,
        "macs": cost.macs,
        "peak_memory_bytes": cost.peak_memory_bytes,
        "latency_p50_ms": cost.latency_p50_ms,
        "latency_p50_low_ms": cost.latency_p50_low_ms,
        "latency_p50_high_ms": cost.latency_p50_high_ms,
        "latency_n": cost.latency_n,
        "released_as": candidate.twin,
    }


def _print(solution: ScalingSolution) -> None:
    from foray.cli.tables import print_table

    family, coefficients = solution.family, solution.family.coefficients
    how = {
        "phi": f"by phi: depth {coefficients.alpha:g}^phi, width {coefficients.beta:g}^phi, "
        f"resolution {coefficients.gamma:g}^phi",
        "multipliers": "by width and resolution",
        "free": "free in depth, width and resolution",
    }[solution.by]
    print(f"{family.name} {how}, from {family.base.name}")
    print(
        f"{solution.costed:,} networks costed ({family.num_classes:,} classes, float32, batch 1); "
        f"{len(solution.admissible):,} keep the budget."
    )
    front = solution.front
    shown = front[:_SHOWN]
    by_phi, timed = solution.by == "phi", solution.budget.max_latency_ms is not None
    fronts = [_fronts_of(solution, candidate) for candidate in shown]
    told = len(set(fronts)) > 1
    print_table(
        [
            "network", *["phi"] * by_phi, "capacity", "params", "MACs", "memory", *["latency"] * timed,
            *["front"] * told,
        ],
        [
            [*_cells(candidate, by_phi, timed), *[of] * told]
            for candidate, of in zip(shown, fronts, strict=True)
        ],
        words=["front"],
        whole_names=True,
    )  # fmt: skip
    if not told:
        print(f"On the Pareto front of capacity against {fronts[0].replace(' ', ' and ')}.")
    if len(front) > _SHOWN:
        print(f"... and {len(front) - _SHOWN:,} smaller ones on the fronts (all of them with --json)")
    print()
    _print_answer(solution)


def _fronts_of(solution: ScalingSolution, candidate: ScaledNetwork) -> str:
    return " ".join(bound for bound, names in solution.fronts.items() if candidate.name in names)


def _cells(candidate: ScaledNetwork, by_phi: bool, timed: bool) -> list[str]:
    from foray.records.quantities import format_bytes, format_count, format_ms

    cost = candidate.cost
    phi = "-" if candidate.phi is None else f"{candidate.phi:.1f}"
    return [
        candidate.name, *[phi] * by_phi, f"{candidate.capacity:.2f}", format_count(cost.params),
        format_count(cost.macs), format_bytes(cost.peak_memory_bytes or 0),
        *[format_ms(cost.latency_p50_ms or 0.0)] * timed,
    ]  # fmt: skip


def _print_answer(solution: ScalingSolution) -> None:
    best = solution.best
    print(f"Largest within the budget: {best.name}")
    binding = {one.bound: one.without for one in solution.binding}
    for bound in solution.fronts:
        if bound in binding:
            without = binding[bound]
            print(f"  --max-{bound} binds: without it, {without.name} ({without.capacity:.2f}).")
        else:
            print(f"  --max-{bound} does not bind: {_used(solution, bound):.0%} of it is used.")
    if solution.by == "phi" and max(_used(solution, bound) for bound in solution.fronts) < _WELL_USED:
        print("  Depths are rounded up, so phi moves in steps: --by free searches between them.")
    if released := [candidate.name for candidate in solution.admissible if candidate.twin][:2]:
        print("Released at another resolution, so pretrained weights may fit:")
        print(f"  {', '.join(released)}")
    how = "linear --weights hub" if best.twin else "scratch"
    print(f"\n  foray compare DATA --models {best.name} --protocol {how}")
    print(
        f"\nCapacity is in steps of phi; {solution.family.base.name} has 0. It ranks\n"
        "untrained networks; accuracy is known after training (foray compare, --search)."
    )


def _used(solution: ScalingSolution, bound: Any) -> float:
    return (solution.best.cost.cost(bound) or 0.0) / (solution.budget.limit(bound) or 1.0)
