"""foray: which efficient CNN should I ship for my images, under my budget, on this device, and how sure are we?

The names below are loaded when first used, so that `import foray` costs nothing and imports no torch.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foray.comparison.compare import compare
    from foray.data import open_dataset
    from foray.export.export import export_run
    from foray.runs import evaluate, predict, train
    from foray.weights import create_model

__version__ = "0.2.0"
__all__ = ["__version__", "compare", "create_model", "evaluate", "export_run", "open_dataset", "predict", "train"]

_HOMES = {
    "compare": "foray.comparison",
    "create_model": "foray.weights",
    "evaluate": "foray.runs",
    "export_run": "foray.export.export",
    "open_dataset": "foray.data",
    "predict": "foray.runs",
    "train": "foray.runs",
}


# Converting a model with OpenVINO or NNCF tells their makers about it, from a process forked in a thread. foray sends
# nothing anywhere: without this package they have nothing to send with.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'foray' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
