"""Layers, blocks and the one builder."""

from foray.models.batch_norm_folding import fold_batch_norm
from foray.models.build import Network, SmallImage, build_model
from foray.models.counted_layers import CountedLayer, counted_layers
from foray.models.initialization import has_large_form

__all__ = [
    "CountedLayer",
    "Network",
    "SmallImage",
    "build_model",
    "counted_layers",
    "fold_batch_norm",
    "has_large_form",
]
