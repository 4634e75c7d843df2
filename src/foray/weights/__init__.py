"""Weights on disk: published ones in the layouts of timm, torchvision and Keras, and files of our own."""

from foray.weights.create import create_model, load_weights
from foray.weights.hub import HUB_IDS, HUB_LICENCES, is_in_hub_cache
from foray.weights.pretrained import PretrainedWeights, find_weights, hub_id_of
from foray.weights.tensor_file import load_network_weights, save_network

__all__ = [
    "HUB_IDS", "HUB_LICENCES", "PretrainedWeights", "create_model", "find_weights", "hub_id_of", "is_in_hub_cache",
    "load_network_weights", "load_weights", "save_network",
]  # fmt: skip
