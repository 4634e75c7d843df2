"""What labels of all flips are sure to decide, held against the verdict of every outcome."""

from __future__ import annotations

import pytest

from foray.export.label_reach import LabelReach, reach_of_labels
from foray.statistics import Labelled, deciding_labels, flips_loss


@pytest.mark.parametrize(
    ("images", "flips"), [(1200, 24), (700, 12), (700, 40), (100, 6), (1940, 20), (100, 1), (60, 3)]
)
@pytest.mark.parametrize("tolerance", [0.01, 0.005])
def test_reach_is_that_of_all_outcomes(images: int, flips: int, tolerance: float) -> None:
    statuses: dict[int, set[str]] = {}
    for losses in range(flips + 1):
        for gains in range(flips - losses + 1):
            labelled = Labelled(images, flips, losses, gains, flips - losses - gains)
            statuses.setdefault(losses - gains, set()).add(flips_loss(labelled, tolerance).status)
    passing = [net for net, found in statuses.items() if found == {"not_worse"}]
    failing = [net for net, found in statuses.items() if found == {"worse"}]
    reach = reach_of_labels(images, flips, tolerance)
    assert reach == LabelReach(max(passing, default=None), min(failing, default=None))
    decided = {"not_worse": reach.pass_within, "worse": reach.fail_from}
    assert {verdict for verdict, net in decided.items() if net is not None} == deciding_labels(images, flips, tolerance)
