"""Intervals, paired tests, non-inferiority, sample sizes, verdicts by few labels: numpy and scipy only."""

from foray.statistics.flips import (
    FlipsLoss,
    deciding_labels,
    flips_bound,
    flips_loss,
    flips_within,
    images_without_flips,
)
from foray.statistics.intervals import mean_accuracy_interval, seed_summary, wilson_interval
from foray.statistics.labelled import Labelled, LabelledSeeds, labelled_seeds
from foray.statistics.paired import PairedResult, Verdict, paired_loss
from foray.statistics.ratio import paired_ratio
from foray.statistics.sample_size import Needed, chance_of_verdict, needed_for_verdict
from foray.statistics.settled import SettledLoss, settled_loss
from foray.statistics.settling import SETTLE_ERROR, SettlingRule, final_numbers, settled_status, settling_rule
from foray.statistics.settling_chance import Chance, chance_over_seeds, chance_to_settle

__all__ = [
    "SETTLE_ERROR",
    "Chance",
    "FlipsLoss",
    "Labelled",
    "LabelledSeeds",
    "Needed",
    "PairedResult",
    "SettledLoss",
    "SettlingRule",
    "Verdict",
    "chance_of_verdict",
    "chance_over_seeds",
    "chance_to_settle",
    "deciding_labels",
    "final_numbers",
    "flips_bound",
    "flips_loss",
    "flips_within",
    "images_without_flips",
    "labelled_seeds",
    "mean_accuracy_interval",
    "needed_for_verdict",
    "paired_loss",
    "paired_ratio",
    "seed_summary",
    "settled_loss",
    "settled_status",
    "settling_rule",
    "wilson_interval",
]
