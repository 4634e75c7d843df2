"""A new classifier on pretrained weights begins at the loss of guessing, whatever the family."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from foray.models import build_model
from foray.records import WeightsInfo
from foray.weights import find_weights, load_weights, new_classifier_of

# Folder of weights without a classifier, or with one of 1,000 classes: model.
FAMILIES = {
    "tf_efficientnet_b0.backbone_in1k": "efficientnet_b0",
    "tf_efficientnetv2_b0.in1k": "efficientnet_v2_b0",
    "tf_efficientnet_lite0.in1k": "efficientnet_lite0",
    "mobilenetv2_100.tf_in1k": "mobilenet_v2",
}


def loss_at_the_start(shared: Path, model: str, classes: int, new_classifier: str) -> float:
    """Mean cross-entropy over every label of four real images."""
    weights = find_weights(shared / "weights", model)
    network = build_model(weights.spec, num_classes=classes, seed=0).eval()
    load_weights(network, weights, new_classifier)
    mean = "mean0.5_std0.5" if weights.preprocessing.mean[0] == 0.5 else "imagenet_mean_std"
    images = torch.from_numpy(np.load(shared / "weights" / "reference_logits.npz")[f"input_{mean}"])
    with torch.inference_mode():
        return float(-torch.log_softmax(network(images), 1).mean())


@pytest.mark.parametrize("classes", [3, 100])
@pytest.mark.parametrize("model", FAMILIES.values())
def test_training_begins_at_the_loss_of_guessing(shared_data: Path, model: str, classes: int) -> None:
    assert loss_at_the_start(shared_data, model, classes, "small") == pytest.approx(math.log(classes), rel=0.05)


@pytest.mark.parametrize("model", ["efficientnet_b0", "efficientnet_v2_b0"])
def test_the_rule_of_the_family_begins_far_above(shared_data: Path, model: str) -> None:
    assert loss_at_the_start(shared_data, model, 10, "family") > 1.3 * math.log(10)


@pytest.mark.parametrize("classes", [2, 10, 400])
@pytest.mark.parametrize(
    ("name", "timm"), [("efficientnet_b0", "efficientnet_b0"), ("mobilenet_v1_x0.25", "mobilenetv1_025"),
                       ("resnet18", "resnet18")],
)  # fmt: skip
def test_the_deviation_is_that_of_mobilenets_rule(tmp_path: Path, write_weights, name, timm, classes) -> None:
    write_weights(tmp_path / "w", architecture=timm, name=name, num_classes=7, model_args={})
    weights = find_weights(tmp_path / "w", name)
    network = build_model(weights.spec, num_classes=classes, seed=1)
    info = load_weights(network, weights)
    deviation = float(network.classifier.weight.detach().std())
    assert deviation == pytest.approx(0.01, rel=4 / math.sqrt(2 * network.classifier.weight.numel()))
    assert not network.classifier.bias.any()
    assert (info.head, info.new_classifier) == ("replaced", "small")


def test_a_classifier_of_the_file_is_left_as_it_is(tmp_path: Path, write_weights) -> None:
    stored = write_weights(tmp_path / "w")
    weights = find_weights(tmp_path / "w", "mobilenet_v1_x0.25")
    network = build_model(weights.spec, num_classes=6, seed=1)
    assert load_weights(network, weights).new_classifier is None
    assert torch.equal(network.classifier.weight, stored["classifier.weight"])


@pytest.mark.parametrize(
    ("variant", "head", "recorded", "expected"),
    [
        ("tf_efficientnet_b0", "absent", None, "family"),  # an earlier version
        ("tf_efficientnet_b0", "absent", "small", "small"),
        ("tf_efficientnet_b0", "kept", None, None),
        ("tf_mobilenet_v2", "replaced", None, "small"),  # its family's rule is the small one
    ],
)
def test_how_a_classifier_was_drawn_is_known_of_earlier_records_too(variant, head, recorded, expected) -> None:
    info = WeightsInfo(source="s", variant=variant, sha256="0" * 64, head=head, new_classifier=recorded)
    assert new_classifier_of(info) == expected


def test_without_pretrained_weights_there_is_no_new_classifier() -> None:
    assert new_classifier_of(None) is None
