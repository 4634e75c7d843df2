"""What an experiment is called in sentences: `EfficientNet-B0 with the last 34 layers unfrozen`."""

from __future__ import annotations

from typing import NamedTuple

DATA = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "deepweeds": "DeepWeeds",
    "rps": "Rock-Paper-Scissors",
    "imagenet": "ILSVRC2012 val",
}
NETWORKS = {
    "mobilenet": "MobileNetV2",
    "b0": "EfficientNet-B0",
    "b1": "EfficientNet-B1",
    "b2": "EfficientNet-B2",
    "v2b0": "EfficientNetV2-B0",
}
_SCALED = "scaling"
_DIMENSIONS = {"compound": "all three dimensions"}
_FOLD = "frozen-fold"
_WAYS = {
    "frozen": "with a frozen backbone",
    "frozen-sgd": "with a frozen backbone and a head trained by SGD",
    "last34": "with the last 34 layers unfrozen",
    "sgd": "with the last 34 layers trained by SGD",
    "whole": "fine-tuned whole",
    "scratch": "from scratch",
}


class RoleWords(NamedTuple):
    """A role taken apart, in words: its images, its network, and how that was trained."""

    data: str
    network: str
    way: str


def words_of(role: str) -> RoleWords:
    """The parts of a role that trains a network; of pretrained weights that are evaluated `way` is empty."""
    data, _, rest = role.partition("-")
    if data == _SCALED:
        return RoleWords(DATA["cifar10"], f"a network scaled in {_DIMENSIONS.get(rest, f'{rest} alone')}", "")
    name, _, way = rest.partition("-")
    if way.startswith(_FOLD):
        told = f"{_WAYS['frozen']}, fold {way.removeprefix(_FOLD)}"
    elif way:
        told = _WAYS[way]
    else:
        told = {"deepweeds": _WAYS["scratch"], "imagenet": ""}.get(data, _WAYS["whole"])
    return RoleWords(DATA[data], NETWORKS[name], told)


def in_words(role: str) -> str:
    """The network of a role and how it was trained, without the images."""
    return " ".join(part for part in words_of(role)[1:] if part)
