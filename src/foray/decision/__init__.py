"""Budgets, the Pareto front, the pick."""

from foray.decision.budgets import broken_bounds, latency_is_open, pareto_front
from foray.decision.cautions import cautions
from foray.decision.decide import Candidate, confirm, decide, withheld
from foray.decision.noninferiority import paired_record
from foray.decision.sentences import details, headline

__all__ = [
    "Candidate", "broken_bounds", "cautions", "confirm", "decide", "details", "headline", "latency_is_open",
    "paired_record", "pareto_front", "withheld",
]  # fmt: skip
