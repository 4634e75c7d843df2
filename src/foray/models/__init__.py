"""Layers, blocks, the one builder, and the import of published weights."""

from foray.models.build import Network, SmallImage, build_model
from foray.models.checkpoint import load_network_weights, save_network
from foray.models.counted_layers import CountedLayer, counted_layers
from foray.models.create import create_model
from foray.models.fold import fold_batch_norm
from foray.models.hub import HUB_IDS, HUB_LICENCES, is_in_hub_cache
from foray.models.pretrained import PretrainedWeights, find_weights, hub_id_of, load_weights

__all__ = [
    "HUB_IDS",
    "HUB_LICENCES",
    "CountedLayer",
    "Network",
    "PretrainedWeights",
    "SmallImage",
    "build_model",
    "counted_layers",
    "create_model",
    "find_weights",
    "fold_batch_norm",
    "hub_id_of",
    "is_in_hub_cache",
    "load_network_weights",
    "load_weights",
    "save_network",
]
