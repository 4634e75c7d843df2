"""What a network answers on images, and how good that is."""

from foray.evaluation.scores import compute_metrics

__all__ = ["compute_metrics"]
