"""Predictions of a network and their metrics."""

from foray.evaluation.scores import compute_metrics

__all__ = ["compute_metrics"]
