"""A network by name, with or without published weights, and copying these into it."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn

from foray.errors import WeightsError
from foray.models.build import Network, SmallImage, build_model
from foray.process_state import restores_process_state
from foray.records import WeightsInfo
from foray.specs import get_spec
from foray.weights.keras_file import read_keras
from foray.weights.key_map import BATCH_COUNTER, CLASSIFIER_KEYS
from foray.weights.layouts import names_in
from foray.weights.pretrained import PretrainedWeights, find_weights
from foray.weights.tensor_file import copy_strictly, read_weights


@restores_process_state
def create_model(
    name: str,
    *,
    num_classes: int = 1000,
    weights: str | Path | None = None,
    small_image: SmallImage = "none",
    dropout: float | None = None,
    stochastic_depth_prob: float | None = None,
    seed: int | None = 0,
) -> Network:
    """The network of a name, with fresh weights or published ones.

    Weights decide which variant is built: "mobilenet_v2" with TensorFlow weights is `tf_mobilenet_v2`, as
    `network.spec.name` says, the same graph as without the weights.

    Args:
        name: of a model, as `foray models` lists them.
        num_classes: outputs; a classifier of the weights for another number is replaced by a fresh one.
        weights: see `find_weights`; None: fresh weights.
        small_image: how the stem is adapted to small images, see `build_model`.
        dropout: before the classifier, in [0, 1); None: the architecture's own.
        stochastic_depth_prob: of the last block, in [0, 1); None: the architecture's own.
        seed: of fresh weights; None: they are drawn from torch's own generator.

    Returns:
        The network, a `torch.nn.Module` from images (N, 3, H, W) to logits (N, num_classes).

    Raises:
        UnknownNameError: with the nearest names, for a name that is not known.
        WeightsError: for weights that cannot be found, or do not fit.
    """
    found = None if weights is None else find_weights(weights, name)
    network = build_model(
        found.spec if found else get_spec(name),
        num_classes=num_classes,
        dropout=dropout,
        stochastic_depth_prob=stochastic_depth_prob,
        small_image=small_image,
        seed=seed,
    )
    if found:
        load_weights(network, found)
    return network


def load_weights(network: Network, weights: PretrainedWeights) -> WeightsInfo:
    """Copies `weights` into `network`, strictly: every tensor of the file and of the network has its counterpart.

    The classifier is loaded when both have the same number of classes; otherwise it keeps its fresh values and the
    returned `head` says "replaced" (the file has one for other classes) or "absent" (the file has none).
    Half-precision tensors are converted to the network's precision, and batch norms of another epsilon to the
    network's: their outputs in inference stay the same.

    Raises WeightsError when the weights belong to another architecture or do not fit, the network untouched.
    """
    if network.spec.name != weights.spec.name:
        raise WeightsError(
            f"The weights in {weights.source} are of {weights.spec.name}, the network is {network.spec.name}."
        )
    is_keras = weights.layout == "keras"
    tensors = read_keras(weights.path, network.spec) if is_keras else read_weights(weights.path).tensors
    names = names_in(weights.layout, network.spec)
    dense = names.get("hidden.linear.weight")
    if dense in tensors:  # a 1 x 1 convolution of pooled features in some layouts
        tensors[dense] = tensors[dense].flatten(1)
    head_kept = weights.num_classes == network.num_classes
    if not head_kept:
        for key in CLASSIFIER_KEYS:
            theirs = names.pop(key)
            if weights.num_classes:
                tensors.pop(theirs, None)
    counters = {name for name in names.values() if name.endswith(BATCH_COUNTER)}
    copy_strictly(network, tensors, names, optional=counters, source=weights.source)
    notes = [*weights.notes]
    if not math.isclose(weights.bn_eps, network.spec.bn_eps):
        _convert_epsilon(network, weights.bn_eps)
        notes.append(
            f"Their batch norms have the epsilon {weights.bn_eps:g}, those of {network.spec.name} "
            f"{network.spec.bn_eps:g}: the scales were converted, which leaves what the network says as it was."
        )
    return WeightsInfo(
        source=weights.source,
        variant=weights.spec.name,
        sha256=weights.sha256,
        licence=weights.licence,
        origin=weights.origin,
        head="kept" if head_kept else "replaced" if weights.num_classes else "absent",
        notes=notes,
    )


@torch.no_grad()
def _convert_epsilon(network: Network, theirs: float) -> None:
    """Scales of batch norms such that scale / sqrt(variance + epsilon) is what it is with the epsilon `theirs`."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None:
            variance = norm.running_var.double()
            norm.weight.mul_(((variance + norm.eps) / (variance + theirs)).sqrt())
