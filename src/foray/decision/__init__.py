"""Budgets, the Pareto front, the pick."""

from foray.decision.budgets import broken_bounds, latency_is_open
from foray.decision.cautions import cautions
from foray.decision.decide import Candidate, confirm, decide
from foray.decision.pairs import paired_record
from foray.decision.pareto import pareto_front
from foray.decision.unsteady import withheld

__all__ = [
    "Candidate", "broken_bounds", "cautions", "confirm", "decide", "latency_is_open", "paired_record", "pareto_front",
    "withheld",
]  # fmt: skip
