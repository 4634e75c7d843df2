"""The classifier that takes the place of a pretrained one: its first weights are small, whatever the family.

The families' rules for fresh weights (foray.models.initialization) are for networks that have nothing to lose.
EfficientNet's, uniform in +-1/sqrt(classes), gives 10 classes weights of deviation 0.18. On a pretrained backbone the
loss then begins at about 4, where guessing has 2.3, and the first gradients undo what the backbone has learned (Kumar
et al. 2022, arXiv:2202.10054). torchvision's rule for MobileNetV2, deviation 0.01, begins at the loss of guessing.
"""

from __future__ import annotations

import math

import torch

from foray.models import Network
from foray.records import NewClassifier, WeightsInfo
from foray.specs import ArchSpec, get_spec

DEVIATION = 0.01


def has_small_rule(spec: ArchSpec) -> bool:
    """Whether the family's own rule draws a classifier of this deviation, so that both ways are one."""
    return spec.initialization == "mobilenet"


@torch.no_grad()
def make_small(network: Network) -> None:
    """Scales a classifier that the family's rule has just drawn to a deviation of 0.01."""
    if not has_small_rule(network.spec):
        network.classifier.weight.mul_(DEVIATION * math.sqrt(3 * network.num_classes))  # uniform: 1/sqrt(3 classes)


def new_classifier_of(weights: WeightsInfo | None) -> NewClassifier | None:
    """How a run's new classifier was drawn; None: it has none. Earlier versions, which did not record it, drew by the
    family's rule."""
    if weights is None or weights.head == "kept":
        return None
    return "small" if has_small_rule(get_spec(weights.variant)) else weights.new_classifier or "family"
