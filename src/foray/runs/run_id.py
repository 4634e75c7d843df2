"""What the folder of a run is called: what a person looks for, and a digest of everything that decides the result.

Runs are found again by these names, so both spellings stay as they are.
"""

from __future__ import annotations

import hashlib
import re

from foray.data import Dataset
from foray.training.plan import RunPlan

_NAME_BYTES = 100  # of a data set's name in that of a run's folder, which may have 255


def run_id(plan: RunPlan, dataset: Dataset) -> str:
    """Of a run by itself: model, protocol, data, seed, digest."""
    return f"{run_name(plan, dataset)}{plan.key[:4]}{dataset.fingerprint[:4]}"


def run_name(plan: RunPlan, dataset: Dataset) -> str:
    """How `run_id` begins, before the digest."""
    name = re.sub(r"[^\w.-]+", "_", dataset.name).encode()[:_NAME_BYTES].decode(errors="ignore")
    return f"{plan.spec.name}-{plan.recipe.protocol}-{name}-seed{plan.seed}-"


def run_id_in_comparison(plan: RunPlan, dataset: Dataset) -> str:
    """Of a run in the folder of a comparison, which is about one data set: model, protocol, seed, digest."""
    digest = hashlib.sha256(f"{plan.key} {dataset.fingerprint}".encode()).hexdigest()[:8]
    return f"{plan.spec.name}-{plan.recipe.protocol}-seed{plan.seed}-{digest}"
