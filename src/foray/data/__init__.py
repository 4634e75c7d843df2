"""Datasets, splits, audit, decode cache, preprocessing, batches.

Names are imported on first use: opening and inspecting a dataset needs no torch, batches do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foray.data.audit import Audit, inspect_dataset, typical_side
    from foray.data.batches import Batches
    from foray.data.cache import ImageStore, decode_for_evaluation, decode_for_training, store_bytes
    from foray.data.dataset import SPLITS, Dataset, ImageArray, ImageFile, Sample, Split
    from foray.data.images import UnreadableImagesError, load_image
    from foray.data.named import NAMED_DATASETS
    from foray.data.network_input import normalize, prepare
    from foray.data.open import open_dataset
    from foray.data.storage import require_free_space

_HOME = {
    "Audit": "audit", "inspect_dataset": "audit", "typical_side": "audit",
    "Batches": "batches",
    "ImageStore": "cache", "decode_for_evaluation": "cache", "decode_for_training": "cache", "store_bytes": "cache",
    "SPLITS": "dataset", "Dataset": "dataset", "ImageArray": "dataset", "ImageFile": "dataset", "Sample": "dataset",
    "Split": "dataset",
    "UnreadableImagesError": "images", "load_image": "images",
    "NAMED_DATASETS": "named",
    "open_dataset": "open",
    "normalize": "network_input", "prepare": "network_input",
    "require_free_space": "storage",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


__all__ = [
    "NAMED_DATASETS", "SPLITS", "Audit", "Batches", "Dataset", "ImageArray", "ImageFile", "ImageStore",
    "Sample", "Split", "UnreadableImagesError", "decode_for_evaluation",
    "decode_for_training", "inspect_dataset", "load_image", "normalize", "open_dataset", "prepare",
    "require_free_space", "store_bytes", "typical_side",
]  # fmt: skip
