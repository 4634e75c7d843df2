"""Budgets, the Pareto front, the pick."""

from foray.decision.budgets import broken_bounds, latency_is_open, pareto_front
from foray.decision.candidates import Candidate
from foray.decision.cautions import cautions
from foray.decision.decide import confirm, decide, withheld
from foray.decision.noninferiority import ALONE_ERROR, COMPARE_ERROR, paired_record
from foray.decision.sentences import details, headline, tried_sets
from foray.decision.settled import awaits_labels, open_pairs, open_ways, settled

__all__ = [
    "ALONE_ERROR", "COMPARE_ERROR", "Candidate", "awaits_labels", "broken_bounds", "cautions", "confirm", "decide",
    "details", "headline", "latency_is_open", "open_pairs", "open_ways", "paired_record", "pareto_front", "settled",
    "tried_sets", "withheld",
]  # fmt: skip
