"""What a scaling search will train: a proxy, and networks of twice its MACs in every direction of a grid."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from foray.data import Dataset
from foray.data.split_units import Carving
from foray.errors import ForayError
from foray.limits import require_runs
from foray.progress import SILENT, Progress
from foray.recipes import Recipe
from foray.requests import ImageSource, TrainingRequest
from foray.runs.many import PlannedRun
from foray.runs.run_id import run_id
from foray.scaling.candidates import Family
from foray.scaling.directions import Neighbourhood, directions
from foray.specs import PUBLISHED_COEFFICIENTS, ArchSpec, get_spec, parse_scaled_name
from foray.training import plan_run


@dataclass(frozen=True)
class SearchPlan:
    """What a search will train: the proxy and the networks of the grid, each with every seed, as `how` says.

    `published`: the one of `networks` that is nearest to Tan & Le's coefficients.
    """

    family: Family
    proxy: ArchSpec
    networks: tuple[ArchSpec, ...]
    published: ArchSpec
    dataset: Dataset
    how: TrainingRequest
    recipe: Recipe
    seeds: tuple[int, ...]

    @property
    def key(self) -> str:
        """Identifies a search by data, recipe and proxy."""
        about = [self.dataset.fingerprint, self.recipe.model_dump(mode="json"), self.proxy.name]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]

    def specs(self) -> list[ArchSpec]:
        """The proxy, then the networks of the grid."""
        return [self.proxy, *self.networks]

    def runs(self) -> list[PlannedRun]:
        """Every network with every seed. Their folders are relative to that of the search."""
        plans = [plan_run(spec.name, self.dataset, self.how, seed=seed) for spec in self.specs() for seed in self.seeds]
        return [PlannedRun.named(plan, self.dataset, run_id) for plan in plans]


def plan_search(
    source: ImageSource,
    proxy: str,
    *,
    steps: int = 3,
    epochs: int | None = None,
    seeds: int = 3,
    cache_dir: Path | None = None,
    carving: Carving = "by content",
    progress: Progress = SILENT,
) -> SearchPlan:
    """Reads the data set and chooses the networks. Nothing is trained.

    `proxy`: a scaled name, small enough to train a dozen times. `steps`: of the grid, see
    `foray.scaling.directions.directions`. `carving`: see `open_dataset`. Raises ForayError for
    data, names or numbers that do not fit.
    """
    spec = get_spec(proxy)
    if not spec.fixed_resolution:
        raise ForayError(f"`proxy` {proxy} is not a scaled name. Write one like efficientnet@d0.5,w0.5,r96.")
    grid = directions(steps)
    require_runs(len(grid) + 1, seeds)
    dataset = source.open(cache_dir, carving=carving, progress=progress)
    how = TrainingRequest("scratch", epochs=epochs)
    family = Family(parse_scaled_name(spec.name).family, PUBLISHED_COEFFICIENTS, len(dataset.classes))
    neighbourhood = Neighbourhood(family, spec)
    nearest = [neighbourhood.nearest(direction) for direction in grid]
    return SearchPlan(
        family=family,
        proxy=spec,
        networks=tuple({spec.name: spec for spec in nearest}.values()),  # some directions round to the same network
        published=nearest[-1],
        dataset=dataset,
        how=how,
        recipe=how.recipe_for(dataset),
        seeds=tuple(range(seeds)),
    )
