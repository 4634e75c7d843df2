"""Results of reproducing the study on disk: the purpose of each run, and the verdict on every claim."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from foray.records.comparison import PairedLoss
from foray.records.metrics import Estimate
from foray.records.record import Record
from foray.records.run import WeightsInfo

# "full": the study's images and protocol. "reduced": as many epochs, pixels and images as two hours on two cores allow.
# "mini": a few images and two epochs, never judged.
Scale = Literal["full", "reduced", "mini"]
Verdict = Literal[
    "reproduced", "exceeded", "exceeded by another protocol", "not reproduced", "undecided", "differs in protocol",
    "error in the study", "no result",
]  # fmt: skip


class ExperimentInfo(Record):
    """experiment.json beside a result: what it was run for. `reduced`: how many images per class, where not all.

    `files`: SHA-256 of the files beside it, by name; none in results of earlier versions.
    """

    way_out: ClassVar[str] = "Delete its folder and run again."

    schema_version: Literal[1] = 1
    role: str
    scale: Scale
    source: str  # which images, a name of foray.reproduce.sources
    reduced: str | None = None
    random_weights: bool = False
    command: str
    files: dict[str, str] = Field(default_factory=dict)


class Unavailable(Record):
    """Why an experiment has no result. `kind`: images (`data`) or weights are missing, or training failed."""

    kind: Literal["data", "weights", "failed"]
    reason: str


class UnavailableList(Record):
    """unavailable.json of one scale, by role."""

    schema_version: Literal[1] = 1
    roles: dict[str, Unavailable] = Field(default_factory=dict)


class Evidence(Record):
    """One experiment as it was run, all seeds together.

    `measured`: accuracy on `split` over seeds and images; `measure`: what it is, in words. `images`: images
    trained on, repetitions included (one epoch for the backbone of cached features); `steps`: optimiser steps.
    `hardware`: of all seeds, each machine and precision once; `command`: those that ran them, each on its line.
    `differs`: differences from the study, in words; those of the recipe and the resolution alone in
    `protocol_differs`. `older_recipe`: differences from the present recipe. `fold`: of the official ones. `weights`:
    the pretrained ones it began with; `notes`: those of the first seed's record.
    """

    role: str
    scale: Scale
    model: str
    data: str
    split: str
    measured: Estimate
    measure: str = "top-1"
    test: Estimate | None = None
    fold: int | None = None
    seeds: list[int]
    epochs: int
    resolution: int
    images: int
    steps: int
    minutes: float
    seconds_per_epoch: float | None = None
    hardware: str
    differs: list[str] = Field(default_factory=list)
    protocol_differs: list[str] = Field(default_factory=list)
    older_recipe: list[str] = Field(default_factory=list)
    weights: WeightsInfo | None = None
    notes: list[str] = Field(default_factory=list)
    command: str


class ClaimResult(Record):
    """The verdict on one claim. "undecided": the images, or the seeds, are too few.

    `brief`: what came out in a few words, such as a ratio with its 95 % interval; none in files of earlier versions.
    """

    claim: str
    verdict: Verdict
    brief: str = ""
    sentence: str
    evidence: list[Evidence] = Field(default_factory=list)
    pairs: list[PairedLoss] = Field(default_factory=list)
    arithmetic: list[str] = Field(default_factory=list)


class Timing(Record):
    """Networks that were timed in turns, `rounds` times each."""

    role: str
    scale: Scale
    timed: Literal["training step", "inference"]
    networks: int
    rounds: int
    threads: int
    runtime: str
    precision: str
    created: str
    hardware: str
    commit: str | None
    command: str


class Reproduction(Record):
    """reproduction.json. `mini`: its numbers show that the code runs and say nothing about the study.

    `missing`: why an experiment has no result, or lacks a seed, by scale and role (`full/rps-b0`).
    """

    schema_version: Literal[1] = 1
    mini: bool
    results: list[ClaimResult]
    runs: list[Evidence]
    timings: list[Timing] = Field(default_factory=list)
    missing: dict[str, Unavailable] = Field(default_factory=dict)
