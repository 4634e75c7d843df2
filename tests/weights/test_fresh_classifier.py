"""A fresh classifier on published weights begins at the loss of guessing, whatever the family."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from foray.models import build_model
from foray.weights import find_weights, load_weights

# Of weights without a classifier, or with one of 1,000 classes.
MODELS = ["efficientnet_b0", "efficientnet_v2_b0", "efficientnet_lite0", "mobilenet_v2"]


def loss_at_the_start(shared: Path, model: str, classes: int, *, large: bool = False) -> float:
    """Mean cross-entropy over every label of real images."""
    weights = find_weights(shared / "weights", model)
    network = build_model(weights.spec, num_classes=classes, seed=0, large_classifier=large).eval()
    load_weights(network, weights)
    mean = "mean0.5_std0.5" if weights.preprocessing.mean[0] == 0.5 else "imagenet_mean_std"
    images = torch.from_numpy(np.load(shared / "weights" / "reference_logits.npz")[f"input_{mean}"])
    with torch.inference_mode():
        return float(-torch.log_softmax(network(images), 1).mean())


@pytest.mark.parametrize("classes", [3, 100])
@pytest.mark.parametrize("model", MODELS)
def test_training_begins_at_the_loss_of_guessing(shared_data: Path, model: str, classes: int) -> None:
    assert loss_at_the_start(shared_data, model, classes) == pytest.approx(math.log(classes), rel=0.05)


@pytest.mark.parametrize("model", ["efficientnet_b0", "efficientnet_v2_b0"])
def test_the_rule_as_printed_begins_far_above(shared_data: Path, model: str) -> None:
    assert loss_at_the_start(shared_data, model, 10, large=True) > 1.3 * math.log(10)
