"""A finished comparison as settling sees it: its models, what they said of the selection split, what is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foray.decision import Candidate, headline, open_pairs, open_ways
from foray.decision.candidates import scored_within
from foray.decision.settled import BothSteps, Pair, both_steps
from foray.errors import RunError
from foray.records import Comparison, RunFolder, decision_digest
from foray.report.comparison_folder import COMPARISON
from foray.runs.saved_predictions import read_predictions
from foray.settling.panel import Labels
from foray.statistics import Labelled, LabelledSeeds


@dataclass(frozen=True, eq=False)
class Compared:
    """`runs`: by model that has a result, in the order of the seeds. `said`: by the same, the class indices on the
    selection split, (seeds, M). `truth`: the labels there, (M,)."""

    folder: Path
    comparison: Comparison
    runs: Mapping[str, tuple[RunFolder, ...]]
    said: Mapping[str, Labels]
    truth: Labels

    @property
    def digest(self) -> str:
        """Of what was decided."""
        return decision_digest(self.comparison.id, self.comparison.decision)

    @cached_property
    def candidates(self) -> list[Candidate]:
        """As the decision was made of."""
        return [self._candidate(one.model, self.correct.get(one.model)) for one in self.comparison.candidates]

    @cached_property
    def correct(self) -> dict[str, npt.NDArray[np.bool_]]:
        """By model whether each training was right about each image of the selection split, (seeds, M)."""
        return {model: said == self.truth for model, said in self.said.items()}

    @cached_property
    def open_pairs(self) -> list[Pair]:
        """(reference, candidate) of what labels can decide."""
        return open_pairs(self.candidates, self.comparison.decision, self.comparison.budget)

    @cached_property
    def open_ways(self) -> list[Pair]:
        """The same, with those the other way round that are open too."""
        return open_ways(self.candidates, self.comparison.decision, self.comparison.budget)

    def both_steps(self, labels: Mapping[Pair, Labelled | LabelledSeeds], error: float) -> BothSteps:
        """What the comparison and labels of new images say; `error`: of all verdicts by labels together."""
        decision = self.comparison.decision
        scored = scored_within(self.candidates, self.comparison.budget, decision.prefer)
        return both_steps(scored, decision, labels, error)

    def on_test(self) -> list[Candidate]:
        """The candidates on the test split."""
        return [
            self._candidate(model, np.stack([read_predictions(run, "test").correct for run in runs]))
            for model, runs in self.runs.items()
        ]

    def _candidate(self, model: str, correct: npt.NDArray[np.bool_] | None) -> Candidate:
        result = next(one for one in self.comparison.candidates if one.model == model)
        return Candidate(model, correct, result.cost, result.train_seconds)


def open_compared(folder: Path) -> Compared:
    """The comparison in `folder`, which leaves something open.

    Raises RunError where there is none, one of its files is damaged, or labels could not decide anything.
    """
    if not (folder / COMPARISON).exists():
        raise RunError(f"There is no finished comparison in {folder}: it has no {COMPARISON}. Run foray compare first.")
    comparison = Comparison.load(folder / COMPARISON)
    runs = {
        one.model: tuple(RunFolder(folder / "runs" / run_id) for run_id in one.run_ids)
        for one in comparison.candidates
        if one.run_ids and one.failure is None
    }
    said: dict[str, Labels] = {}
    first = None
    for model, folders in runs.items():
        found = [read_predictions(run, comparison.decision.selection_split) for run in folders]
        first = first or found[0]
        if any(not np.array_equal(one.image_ids, first.image_ids) for one in found):
            raise RunError(f"The runs of {model} were scored on other images than the first ones of {folder}.")
        said[model] = np.stack([one.probabilities.argmax(axis=1) for one in found])
    truth = np.zeros(0, np.int64) if first is None else first.labels
    compared = Compared(folder, comparison, runs, said, truth)
    _require_open(compared)
    return compared


def _require_open(compared: Compared) -> None:
    folder, decision = compared.folder, compared.comparison.decision
    if decision.outcome == "not_known":
        raise RunError(
            f"What {folder} decides depends on a latency that was not steady, which labels cannot tell. Run the same "
            "foray compare command again on an idle machine first."
        )
    if not compared.open_pairs:
        raise RunError(
            f"The comparison in {folder} is settled already: {headline(decision)}. Nothing is open that labels could "
            "decide. To ask another question, run foray compare with another tolerance or budget."
        )
