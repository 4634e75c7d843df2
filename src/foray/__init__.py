"""foray: which efficient CNN should I ship for my images, under my budget, on this device, and how sure are we?

The names below are loaded when first used, so that `import foray` costs nothing and imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foray.api import compare, evaluate, export_run, train
    from foray.data import open_dataset
    from foray.runs import predict
    from foray.settling import certify, settle
    from foray.weights import create_model

__version__ = "0.2.0"
__all__ = [
    "__version__",
    "certify",
    "compare",
    "create_model",
    "evaluate",
    "export_run",
    "open_dataset",
    "predict",
    "settle",
    "train",
]

_HOMES = {
    "certify": "foray.settling",
    "compare": "foray.api",
    "create_model": "foray.weights",
    "evaluate": "foray.api",
    "export_run": "foray.api",
    "open_dataset": "foray.data",
    "predict": "foray.runs",
    "settle": "foray.settling",
    "train": "foray.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'foray' has no attribute {name!r}")
    from foray.process_state import process_state_restored

    with process_state_restored():  # libraries draw random numbers and filter warnings when they are imported
        return getattr(importlib.import_module(_HOMES[name]), name)
