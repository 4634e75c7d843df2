"""A module over batches of images in the fastest float32 engine installed: OpenVINO on a CPU, else torch.

OpenVINO computes in bfloat16 on processors that have it unless INFERENCE_PRECISION_HINT says otherwise, and is trusted
only where its first outputs are torch's.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from foray.evaluation.precision import float32_exactly
from foray.progress import SILENT, Progress

Array = npt.NDArray[Any]
Key = TypeVar("Key")
CHECKED_IMAGES = 4
LARGEST_RELATIVE_ERROR = 1e-3


class InferenceEngine(Protocol):
    """`name`: openvino or torch."""

    @property
    def name(self) -> str: ...

    def outputs(self, batches: Iterable[tuple[Key, Array]]) -> Iterator[tuple[Key, npt.NDArray[np.float32]]]:
        """The output (N, C) of every batch (N, R, R, 3), with its key."""
        ...


class TorchEngine:
    """`module` in inference mode on `device`."""

    name = "torch"

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self.module = module.eval().to(device)
        self._device = device

    def outputs(self, batches: Iterable[tuple[Key, Array]]) -> Iterator[tuple[Key, npt.NDArray[np.float32]]]:
        """See InferenceEngine."""
        for key, batch in batches:
            with torch.inference_mode(), float32_exactly():
                output = self.module(torch.from_numpy(batch).to(self._device)).cpu().numpy()
            yield key, output


class OpenVINOEngine:
    """`module` compiled for this CPU, several batches at a time. `first`: a batch like those to come."""

    name = "openvino"

    def __init__(self, module: nn.Module, first: Array, threads: int | None = None) -> None:
        import openvino  # an extra, and half a second to import

        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._compiled = openvino.Core().compile_model(convert(openvino, module.eval(), first), "CPU", settings)

    def outputs(self, batches: Iterable[tuple[Key, Array]]) -> Iterator[tuple[Key, npt.NDArray[np.float32]]]:
        """See InferenceEngine."""
        count = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        idle = [self._compiled.create_infer_request() for _ in range(count)]
        running: deque[tuple[Key, Any]] = deque()
        # No callbacks, hence no AsyncInferQueue: a thread of OpenVINO that releases one waits for Python's lock, which
        # this thread holds while the destructor of the compiled model waits for that thread.
        try:
            for key, batch in batches:
                if not idle:
                    yield _finished(running, idle)
                request = idle.pop()
                request.start_async({0: batch})
                running.append((key, request))
            while running:
                yield _finished(running, idle)
        finally:
            for _, request in running:  # left early: nothing may run when the compiled model goes
                request.wait()


def _finished(running: deque[tuple[Key, Any]], idle: list[Any]) -> tuple[Key, npt.NDArray[np.float32]]:
    """Waits for the request that was started first; its key and output."""
    key, request = running.popleft()
    request.wait()
    idle.append(request)
    return key, request.get_output_tensor(0).data.copy()


def openvino_fits(device: torch.device) -> bool:
    """Whether OpenVINO is installed and the device is a CPU."""
    return device.type == "cpu" and importlib.util.find_spec("openvino") is not None


def fastest_engine(
    module: nn.Module,
    first: Array,
    device: torch.device,
    *,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> InferenceEngine:
    """OpenVINO where it fits and agrees with torch to a relative error of 1e-3 on images of `first`, else torch."""
    reference = TorchEngine(module, device)
    if not openvino_fits(device):
        return reference
    engine = OpenVINOEngine(module, first, threads)
    checked = first[:CHECKED_IMAGES]
    (_, ours), (_, expected) = next(engine.outputs([(0, checked)])), next(reference.outputs([(0, checked)]))
    error = relative_error(ours, expected)
    if error <= LARGEST_RELATIVE_ERROR:
        return engine
    progress.note(f"OpenVINO's outputs differ from torch's by {error:.1e} (relative): torch computes them instead.")
    return reference


def convert(openvino: Any, module: nn.Module, first: Array) -> Any:
    """The module as an OpenVINO model with a free batch size. `first`: a batch like those to come."""
    with warnings.catch_warnings(), torch.inference_mode():
        # Tracing warns that padding computed from the resolution becomes constant; the resolution is fixed here.
        warnings.simplefilter("ignore")
        model = openvino.convert_model(module, example_input=torch.from_numpy(first[:2]))
    model.reshape([-1, *first.shape[1:]])
    return model


def relative_error(ours: Array, expected: Array) -> float:
    """Largest difference, relative to the largest expected value; NaN counts as infinite."""
    return float(np.nan_to_num(np.abs(ours - expected).max() / np.abs(expected).max(), nan=np.inf))
