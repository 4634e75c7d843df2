"""Units of images that must stay together when splits are divided: their order, and the two halves of val.

The halves are the same for all models and seeds of a data set: each judges what the other half chose.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from foray.data.content import EMPTY_SHA256
from foray.data.dataset import Sample
from foray.data.near_duplicates import Ties

Carving = Literal["by content", "by name"]  # what decides, beside the seed; "by name" is the rule of earlier versions


@dataclass(frozen=True)
class SplitUnit:
    """Images that must stay together. `key`: the smallest content (by name: id); `labels`: images per class."""

    key: str
    ids: tuple[str, ...]
    labels: Mapping[int, int]


def units_of(samples: Sequence[Sample], ties: Ties, carving: Carving) -> list[SplitUnit]:
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
        SplitUnit(
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


def val_halves(samples: Sequence[Sample], seed: int, ties: Ties = ()) -> dict[str, int]:
    """Half of every sample, 0 or 1, by id. Each class is divided equally, as near as units allow.

    Large units come first, and each goes to the half that has fewer images of its classes, then fewer images. So both
    halves have images unless all belong together. `ties`: near-duplicates, which stay together as well, unless their
    chains would leave a half with less than a third of the images.
    """
    placed = _halved(units_of(samples, ties, "by content"), seed)
    if ties and 3 * min(Counter(placed.values())[half] for half in (0, 1)) < len(samples):
        placed = _halved(units_of(samples, (), "by content"), seed)
    return placed


def _halved(units: Sequence[SplitUnit], seed: int) -> dict[str, int]:
    filled: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
    sizes = [0, 0]
    placed: dict[str, int] = {}
    for unit in sorted(units, key=lambda unit: (-len(unit.ids), draw(seed, unit.key))):
        alike = [sum(n * there[label] for label, n in unit.labels.items()) for there in filled]
        half = 0 if (alike[0], sizes[0]) <= (alike[1], sizes[1]) else 1
        filled[half].update(unit.labels)
        sizes[half] += len(unit.ids)
        placed |= dict.fromkeys(unit.ids, half)
    return placed
