"""Accuracy of pretrained weights on ImageNet, and everything the numbers depend on."""

from __future__ import annotations

from typing import Literal

from foray.records.environment import Hardware
from foray.records.metrics import Estimate
from foray.records.record import Record
from foray.records.run import StoredPreprocessing, WeightsInfo


class PretrainedEvaluation(Record):
    """`unreadable`: why images were left out, by name; `missing`: labelled images that are missing.

    `published_top1`: what the source of the architecture's table states, for the whole validation set.
    `computed`: images computed this time, in `seconds`; the others come from an interrupted run.
    """

    schema_version: Literal[1] = 1
    kind: Literal["foray pretrained evaluation"] = "foray pretrained evaluation"
    model: str
    weights: WeightsInfo
    preprocessing: StoredPreprocessing
    num_classes: int
    n: int
    top1: Estimate
    top5: Estimate
    published_top1: float | None
    unreadable: dict[str, str]
    missing: int
    notes: list[str]
    engine: str
    device: str
    computed: int
    seconds: float
    hardware: Hardware
    versions: dict[str, str]
