"""What an experiment is called in sentences: `EfficientNet-B0 with the last 34 layers unfrozen`."""

from __future__ import annotations

NETWORKS = {
    "mobilenet": "MobileNetV2",
    "b0": "EfficientNet-B0",
    "b1": "EfficientNet-B1",
    "b2": "EfficientNet-B2",
    "v2b0": "EfficientNetV2-B0",
}
_SCALED = {"depth": "depth alone", "width": "width alone", "resolution": "resolution alone",
           "compound": "all three dimensions"}  # fmt: skip
_FOLD = "frozen-fold"
_WAYS = {
    "frozen": "with a frozen backbone",
    "frozen-sgd": "with a frozen backbone and a head trained by SGD",
    "last34": "with the last 34 layers unfrozen",
    "sgd": "with the last 34 layers trained by SGD",
    "whole": "trained whole",
    "scratch": "from scratch",
}


def in_words(role: str) -> str:
    """The network of a role and how it was trained, without the data set; another role as it is."""
    data, _, rest = role.partition("-")
    if data == "scaling":
        return _SCALED[rest]
    name, _, way = rest.partition("-")
    if name not in NETWORKS or not data.startswith(("cifar", "deepweeds", "rps")):
        return role
    if way.startswith(_FOLD):
        return f"{NETWORKS[name]} {_WAYS['frozen']}, fold {way.removeprefix(_FOLD)}"
    default = "from scratch" if data == "deepweeds" else "fine-tuned"
    return f"{NETWORKS[name]} {_WAYS[way] if way else default}"
