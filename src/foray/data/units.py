"""Units of images that must stay together when splits are divided, and the order in which they are drawn."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from foray.data.content import EMPTY_SHA256
from foray.data.dataset import Sample
from foray.data.look_alikes import Ties

Carving = Literal["by content", "by name"]  # what decides, beside the seed; "by name" is the rule of earlier versions


@dataclass(frozen=True)
class Unit:
    """Images that must stay together. `key`: the smallest content (by name: id); `labels`: images a class."""

    key: str
    ids: tuple[str, ...]
    labels: Mapping[int, int]


def units_of(samples: Sequence[Sample], ties: Ties, carving: Carving) -> list[Unit]:
    """Connected components (union-find) of "same group", "same bytes" and `ties`."""
    keys = {sample.id: sample.id if carving == "by name" else _identity(sample) for sample in samples}
    ordered = sorted(samples, key=lambda sample: (keys[sample.id], sample.id))
    parent = list(range(len(ordered)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    seen: dict[tuple[str, str], int] = {}
    for i, sample in enumerate(ordered):
        shared = [("group", sample.group), ("content", sample.content if sample.content != EMPTY_SHA256 else None)]
        for kind, value in shared:
            if value:
                parent[root(i)] = root(seen.setdefault((kind, value), i))
    position = {sample.id: i for i, sample in enumerate(ordered)}
    for tie in ties:
        parent[root(position[tie.first])] = root(position[tie.second])
    components: dict[int, list[Sample]] = defaultdict(list)
    for i, sample in enumerate(ordered):
        components[root(i)].append(sample)
    return [
        Unit(
            key=keys[component[0].id],
            ids=tuple(sample.id for sample in component),
            labels=Counter(sample.label for sample in component),
        )
        for component in components.values()
    ]


def _identity(sample: Sample) -> str:
    """What an image is, whatever its name; empty files, which are nothing, and unread ones have only their names."""
    return f"{sample.content} {sample.id}" if sample.content in ("", EMPTY_SHA256) else sample.content


def draw(seed: int, key: str) -> bytes:
    """Where a unit of that `key` stands in the order that `seed` draws."""
    return hashlib.sha256(f"{seed}\0{key}".encode()).digest()
