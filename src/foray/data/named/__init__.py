"""Datasets with a name, each fetched from its official place."""

from __future__ import annotations

from collections.abc import Mapping

from foray.data.named.cifar import CIFAR10, CIFAR100
from foray.data.named.deepweeds import DEEPWEEDS
from foray.data.named.descriptor import NamedDataset, Request
from foray.data.named.digits import DIGITS
from foray.data.named.imagenet import IMAGENET
from foray.data.named.plant_seedlings import PLANT_SEEDLINGS
from foray.data.named.rock_paper_scissors import ROCK_PAPER_SCISSORS

NAMED_DATASETS: Mapping[str, NamedDataset] = {
    described.name: described
    for described in (DIGITS, CIFAR10, CIFAR100, ROCK_PAPER_SCISSORS, PLANT_SEEDLINGS, DEEPWEEDS, IMAGENET)
}

__all__ = ["NAMED_DATASETS", "NamedDataset", "Request"]
