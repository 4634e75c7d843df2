"""One network in a process of its own, which is timed when it is told to and stopped in between.

A process each, because the thread pools of several runtimes in one process wait for work by spinning and take the
cores from one another; and because cold start and memory are a process's. Not copied beside artifacts: `foray profile`
starts it (foray.clock.workers). Lines of JSON:

    worker -> parent   {"load_ms": 120.5} once, after the first pass, or {"error": "..."}
    parent -> worker   {"task": "network", "batch": 1, "passes": 5}; its first pass is not timed
    worker -> parent   {"ms": [4.1, ...], "resident_bytes": 60000000}
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foray.deploy import bench
from foray.deploy import predict as reader


@dataclass(frozen=True)
class Opened:
    """A network that is ready.

    `network(batch)`: one pass over `batch` images as the network takes them; `label()`: from the bytes of an image file
    to class probabilities; `layers()`: (name, kind, milliseconds) of each layer at batch 1, in the order of execution,
    or None where the runtime does not report it.
    """

    network: Callable[[int], Callable[[], object]]
    label: Callable[[], object]
    layers: Callable[[], list[tuple[str, str, float]] | None]


def serve(open_: Callable[[], Opened]) -> None:
    """The life of the worker of a network that is ready for inference."""
    before = bench.resident_bytes()

    def opened() -> Callable[[dict[str, Any]], dict[str, Any]]:
        network = open_()
        network.network(1)()
        return lambda asked: _done(asked, network) | {"resident_bytes": max(bench.peak_bytes() - before, 0)}

    serve_tasks(opened)


def serve_tasks(open_: Callable[[], Callable[[dict[str, Any]], dict[str, Any]]]) -> None:
    """The life of a worker of any kind: opens, then does what it is told until its stdin closes.

    `open_` gives what does a task and returns the answer.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as OpenVINO, ONNX Runtime would report to its maker
    began = time.perf_counter()

    def answer(**content: Any) -> None:
        print(json.dumps(content), file=answers, flush=True)

    try:
        do = open_()
    except Exception as error:  # whatever it is, the parent says it
        answer(error=(str(error).strip() or type(error).__name__).splitlines()[0])
        return
    answer(load_ms=(time.perf_counter() - began) * 1e3)
    for line in sys.stdin:
        answer(**do(json.loads(line)))


def _done(asked: dict[str, Any], opened: Opened) -> dict[str, Any]:
    if asked["task"] == "layers":
        return {"layers": opened.layers()}
    run = opened.label if asked["task"] == "label" else opened.network(asked["batch"])
    if asked["task"] == "warm_up":
        pass_ms, stable = bench.warm_up(run)
        return {"pass_ms": pass_ms, "stable": stable}
    return {"ms": bench.turn(run, asked["passes"])}


def open_artifact(folder: Path, threads: int) -> Opened:
    """The artifact in `folder`. Raises ArtifactError."""
    artifact = reader.open_artifact(folder)
    session = reader.open_session(artifact, threads)
    jpeg = bench.photograph()
    inputs: dict[int, reader.Pixels] = {}

    def network(batch: int) -> Callable[[], object]:
        if batch not in inputs:
            inputs[batch] = bench.images_for(artifact, batch)
        return lambda: session.run(inputs[batch])

    def layers() -> list[tuple[str, str, float]] | None:
        from foray.deploy._layer_times import layer_times

        return layer_times(artifact, threads)

    return Opened(network, lambda: reader.classify(artifact, session, [jpeg]), layers)


if __name__ == "__main__":
    serve(lambda: open_artifact(Path(sys.argv[1]), int(sys.argv[2])))
