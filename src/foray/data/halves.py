"""Two halves of val, the same for all models and seeds of a data set: each judges what the other half chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from foray.data.dataset import Sample
from foray.data.look_alikes import Ties
from foray.data.units import Unit, draw, units_of


def halves(samples: Sequence[Sample], seed: int, ties: Ties = ()) -> dict[str, int]:
    """Half of every sample, 0 or 1, by id. Each class is divided equally, as near as units allow.

    Large units come first, and each goes to the half that has fewer images of its classes, then fewer images. So both
    halves have images unless all belong together. `ties`: near-duplicates, which stay together as well, unless their
    chains would leave a half with less than a third of the images.
    """
    placed = _halved(units_of(samples, ties, "by content"), seed)
    if ties and 3 * min(Counter(placed.values())[half] for half in (0, 1)) < len(samples):
        placed = _halved(units_of(samples, (), "by content"), seed)
    return placed


def _halved(units: Sequence[Unit], seed: int) -> dict[str, int]:
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
