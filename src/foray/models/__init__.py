"""Layers, blocks and the one builder."""

from foray.models.build import Network, SmallImage, build_model
from foray.models.counted_layers import CountedLayer, counted_layers
from foray.models.fold import fold_batch_norm

__all__ = ["CountedLayer", "Network", "SmallImage", "build_model", "counted_layers", "fold_batch_norm"]
