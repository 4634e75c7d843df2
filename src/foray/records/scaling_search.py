"""scaling_search.json: the grid search of alpha, beta and gamma, and its result on scaling one dimension alone."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from foray.records.comparison import PairedLoss
from foray.records.environment import Hardware
from foray.records.metrics import Estimate
from foray.records.record import Record
from foray.records.run import DatasetInfo

ScalingKind = Literal["proxy", "one dimension", "several dimensions"]


class ScaledCandidate(Record):
    """One network of the search over all seeds.

    `depth`, `width`, `resolution`: multipliers against the proxy as built, after rounding. `work`: its
    multiply-accumulates over the proxy's. `published`: the network nearest to Tan & Le's 1.2, 1.1, 1.15.
    """

    model: str
    kind: ScalingKind
    depth: float
    width: float
    resolution: float
    published: bool = False
    params: int
    macs: int
    work: float
    run_ids: list[str] = Field(default_factory=list)
    val: Estimate | None = None
    val_sd: float | None = None  # over seeds; None with one seed
    seconds_per_epoch: float | None = None
    failure: str | None = None

    @property
    def shares(self) -> tuple[float, float, float] | None:
        """Of the additional work, in depth, width (squared) and resolution (squared); None where nothing was scaled."""
        logs = math.log(self.depth), 2 * math.log(self.width), 2 * math.log(self.resolution)
        whole = sum(logs)
        return None if whole <= 0 else (logs[0] / whole, logs[1] / whole, logs[2] / whole)


class ScalingSearch(Record):
    """One search. `candidates`: the proxy first, then the grid.

    `best`: the most accurate on `selection_split` among networks of twice the proxy's work; `alike`: those not shown to
    be worse on it. `compound`: the best of those that scale all three dimensions; `one_dimension`: each single
    dimension against it, on test, which selects nothing. They share one error rate of 5 % (Bonferroni).
    """

    schema_version: Literal[1] = 1
    id: str
    created: str
    command: str
    family: str
    proxy: str
    dataset: DatasetInfo
    recipe: dict[str, Any]
    seeds: list[int]
    target_macs: int
    candidates: list[ScaledCandidate]
    best: str | None
    alike: list[str] = Field(default_factory=list)
    several: str | None
    one_dimension: list[PairedLoss] = Field(default_factory=list)
    sentence: str
    selection_split: str = (
        "val"  # the split behind `val` of the candidates: "val_crossfit" where val selects the epochs too
    )
    cautions: list[str] = Field(default_factory=list)
    total_seconds: float
    hardware: Hardware
    versions: dict[str, str]
    commit: str | None = None

    def candidate(self, model: str) -> ScaledCandidate:
        """The candidate called `model`. Raises KeyError when there is none."""
        for candidate in self.candidates:
            if candidate.model == model:
                return candidate
        raise KeyError(model)
