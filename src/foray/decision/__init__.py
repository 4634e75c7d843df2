"""Budgets, the Pareto front, the pick."""

from foray.decision.budgets import broken_bounds
from foray.decision.cautions import cautions
from foray.decision.decide import Candidate, confirm, decide
from foray.decision.pairs import paired_record
from foray.decision.pareto import pareto_front

__all__ = ["Candidate", "broken_bounds", "cautions", "confirm", "decide", "paired_record", "pareto_front"]
