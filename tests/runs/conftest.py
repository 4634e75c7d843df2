"""The fixtures of a small training."""

from __future__ import annotations

from tests.small_training import one_thread, small_weights, squares  # noqa: F401  (fixtures)
