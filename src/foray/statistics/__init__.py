"""Intervals, paired tests, non-inferiority and sample sizes: numpy and scipy only."""

from foray.statistics.intervals import mean_accuracy_interval, seed_summary, wilson_interval
from foray.statistics.paired import PairedResult, Verdict, paired_loss
from foray.statistics.ratio import paired_ratio
from foray.statistics.sample_size import Needed, chance_of_verdict, needed_for_verdict

__all__ = [
    "Needed",
    "PairedResult",
    "Verdict",
    "chance_of_verdict",
    "mean_accuracy_interval",
    "needed_for_verdict",
    "paired_loss",
    "paired_ratio",
    "seed_summary",
    "wilson_interval",
]
