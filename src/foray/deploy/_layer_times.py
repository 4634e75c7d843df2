"""Milliseconds per layer of an artifact, where its runtime reports them: onnxruntime and OpenVINO."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from foray.deploy import bench
from foray.deploy import predict as reader

LayerTimes = list[tuple[str, str, float]]  # name, kind, milliseconds; in the order of execution

_PASSES = 10  # whose mean is told, after one that is not


def layer_times(artifact: reader.Artifact, threads: int) -> LayerTimes | None:
    """The mean of ten passes over one image with the runtime's own profiler on, which makes each pass somewhat slower.

    None for runtimes whose Python interface has none (LiteRT, ExecuTorch). Raises ArtifactError.
    """
    measure = {"onnx": _onnx, "openvino": _openvino}.get(artifact.description["runtime"])
    if measure is None:
        return None
    return measure(artifact.folder / artifact.description["entry"], artifact, threads)


def _onnx(path: Path, artifact: reader.Artifact, threads: int) -> LayerTimes:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = reader.onnx_options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        given = {session.get_inputs()[0].name: bench.images_for(artifact, 1)}
        for _ in range(1 + _PASSES):
            session.run(None, given)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return _mean_of_events(events)


def _mean_of_events(events: list[dict[str, Any]]) -> LayerTimes:
    """onnxruntime's trace: an event a node and pass, `dur` in microseconds; the first pass is left out."""
    kinds: dict[str, str] = {}
    durations: dict[str, list[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name = event["name"].removesuffix("_kernel_time")
            kinds[name] = event["args"]["op_name"]
            durations.setdefault(name, []).append(event["dur"] / 1e3)
    return [(name, kinds[name], sum(ms[1:]) / max(1, len(ms) - 1)) for name, ms in durations.items()]


def _openvino(path: Path, artifact: reader.Artifact, threads: int) -> LayerTimes:
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    images = bench.images_for(artifact, 1)
    model.reshape(list(images.shape))
    precision = "bf16" if artifact.description["precision"] == "bf16" else "f32"
    properties: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "PERF_COUNT": True,
        "INFERENCE_PRECISION_HINT": precision,
    }  # fmt: skip
    request = core.compile_model(model, "CPU", properties).create_infer_request()
    request.infer([images])
    seen: dict[str, tuple[str, float]] = {}
    for _ in range(_PASSES):
        request.infer([images])
        for node in request.profiling_info:
            if node.status == node.status.EXECUTED:
                spent = seen.get(node.node_name, ("", 0.0))[1] + node.real_time.total_seconds() * 1e3 / _PASSES
                seen[node.node_name] = (node.node_type, spent)
    return [(name, kind, ms) for name, (kind, ms) in seen.items()]
