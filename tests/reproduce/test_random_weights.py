"""Random weights stand in for every network that a mini run fine-tunes."""

from __future__ import annotations

from pathlib import Path

import pytest

from foray.models import build_model
from foray.reproduce.experiments import MINI
from foray.reproduce.pretrained import write_random_weights
from foray.weights import find_weights, load_weights

FINE_TUNED = sorted({
    one.model for one in MINI.values() if (recipe := one.resolved()) is None or recipe.protocol != "scratch"
})  # fmt: skip


@pytest.mark.parametrize("model", FINE_TUNED)
def test_they_are_found_and_fit_the_network(model: str, tmp_path: Path) -> None:
    write_random_weights(tmp_path, model)
    found = find_weights(tmp_path, model, offline=True)
    assert load_weights(build_model(found.spec, seed=1), found).head == "kept"
