"""Cross-validation folds: every image is in exactly one, stratified, duplicates and groups on one side.

scikit-learn's StratifiedGroupKFold is not used, because its folds depend on the order of the images, ours on their
content alone, by the rule the splits are carved with; and because stored out-of-fold predictions rest on ours.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foray.data import Dataset
from foray.data.near_duplicates import ties_of
from foray.data.splits import carve

NUM_FOLDS = 5


def out_of_fold_positions(dataset: Dataset, seed: int, num_folds: int = NUM_FOLDS) -> list[npt.NDArray[np.int64]]:
    """Positions in `dataset.samples` of the train and val images, one sorted array per fold.

    Each fold is carved from what the ones before left, by the rule the splits are carved with (`data.splits.carve`),
    so images that share a group or their bytes are in one fold, and so are near-duplicates. Folds of a tiny data set
    may be fewer.
    """
    pool = {sample.id: i for i, sample in enumerate(dataset.samples) if sample.split in ("train", "val")}
    left = [dataset.samples[i] for i in pool.values()]
    folds: list[list[int]] = []
    for remaining in range(num_folds, 1, -1):
        assigned = carve(left, seed, {"test": 1 / remaining}, ties_of(left, dataset.near))
        drawn = {id for id, split in assigned.items() if split == "test"}
        folds.append([pool[id] for id in drawn])
        left = [sample for sample in left if sample.id not in drawn]
    folds.append([pool[sample.id] for sample in left])
    return [np.sort(np.array(fold, dtype=np.int64)) for fold in folds if fold]
