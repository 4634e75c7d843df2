"""Intervals, paired tests, non-inferiority and sample sizes: numpy and scipy only."""

from foray.statistics.intervals import mean_accuracy_interval, seed_summary, wilson_interval
from foray.statistics.paired import PairedResult, Verdict, images_needed, paired_loss

__all__ = [
    "PairedResult",
    "Verdict",
    "images_needed",
    "mean_accuracy_interval",
    "paired_loss",
    "seed_summary",
    "wilson_interval",
]
