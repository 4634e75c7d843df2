"""The small training's fixtures, and two processes that train together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.small_training import one_thread, small_weights, squares  # noqa: F401  (fixtures)

from .pair import Pair


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    """Two processes that have joined through gloo."""
    two = Pair()
    yield two
    two.close()
