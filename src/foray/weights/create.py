"""A network by name, with or without published weights."""

from __future__ import annotations

from pathlib import Path

from foray.models.build import Network, SmallImage, build_model
from foray.process_state import restores_process_state
from foray.specs import get_spec
from foray.weights.pretrained import find_weights, load_weights


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
    """The network called `name` (`foray models` lists them), with fresh weights or those of `weights`.

    `weights`: see `find_weights`. They decide which variant is built: "mobilenet_v2" with TensorFlow weights is
    `tf_mobilenet_v2`, as `network.spec.name` says, the same graph as without the weights. A classifier for other than
    `num_classes` classes is replaced by a fresh one. Other arguments as in `build_model`.

    Raises UnknownNameError (with the nearest names) and WeightsError.
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
