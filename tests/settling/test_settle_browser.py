"""From the page in a browser to the verdict: what it downloads is read, and both say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import foray
from foray.records import Settlement, SettlePlan

from .conftest import DESK, Visit
from .small_world import World


@pytest.mark.parametrize("number", [60, None])
def test_labels_given_by_keys_decide(browser: Any, world: World, tmp_path: Path, number: int | None) -> None:
    plan = foray.settle(world.out, images=world.new, cache_dir=world.cache, device="cpu", workers=1)
    assert isinstance(plan, SettlePlan)
    path = world.out / "settle" / "label.html"
    found = re.search(r'id="page">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    showings = json.loads(found[1])["showings"]
    visit = Visit(browser.new_context(**DESK), path)
    for image in showings[:number]:
        visit.press(str(1 + plan.classes.index(world.truth[plan.asked[image]])))
    (tmp_path / "labels.csv").write_text(visit.labels_csv(), encoding="utf-8", newline="")
    settlement = foray.settle(world.out, labels=tmp_path / "labels.csv")
    assert isinstance(settlement, Settlement)
    labelled = len(set(showings[:number]))
    assert len(settlement.labels) == labelled
    assert (settlement.shown_twice, settlement.same_again) == (len(showings[:number]) - labelled,) * 2
    assert settlement.guesses_shown == 0
    body = visit.page.locator("body").inner_text()
    assert body.count("Not decided yet") == sum(pair.status == "unresolved" for pair in settlement.pairs)
    assert visit.errors == []
    visit.context.close()
