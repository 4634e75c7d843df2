"""How long writing a file takes, preprocessing inside, beside the runtime's own exporter on the bare network.

Both sides start from the same network in memory and end with a file of float32 weights; they take turns in one process,
after one of each that is not timed. Ours folds batch norms, adds scaling, normalisation and softmax, and where the
runtime can, resize and crop. Asked for: at most 1.1 times the exporter's own time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch

from benchmarks._results import machine, print_table, write_json
from benchmarks._rounds import ratios
from foray.export.graph import deployable
from foray.export.quiet import quiet
from foray.export.runtimes import RUNTIMES, RuntimeSupport, add_resize, write_float
from foray.models import Network, build_model
from foray.specs import get_spec

MODELS = ("mobilenet_v2", "efficientnet_b0")
TARGET = 1.1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export_time", description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS), metavar="NAME,NAME")
    parser.add_argument("--runtimes", default=",".join(RUNTIMES), metavar="NAME,NAME")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    given = parser.parse_args()
    print(f"{machine()['hardware']}; {given.rounds} turns each")
    results: dict[str, dict[str, list[float]]] = {}
    rows = []
    met = True
    for model in given.models.split(","):
        network = build_model(get_spec(model), num_classes=1000, seed=0).eval()
        for support in (RUNTIMES[name] for name in given.runtimes.split(",")):
            seconds = _take_turns(network, support, given.rounds)
            ratio = ratios(seconds["ours"], seconds["its own"])
            met &= ratio.median <= TARGET
            results[f"{model} {support.name}"] = seconds
            rows.append([model, support.name, *(f"{sorted(s)[len(s) // 2]:.1f}" for s in seconds.values()), str(ratio)])
            print(f"{model} for {support.name}: {ratio} x its own exporter's time", flush=True)
    print_table(["model", "runtime", "ours s", "its own exporter s", "ours / its own"], rows)
    print(f"at most {TARGET} x the runtime's own exporter: {'met' if met else 'missed'}")
    write_json(given.json, {"seconds": results, "met": met})
    return 0 if met else 1


def _take_turns(network: Network, support: RuntimeSupport, rounds: int) -> dict[str, list[float]]:
    sides: Mapping[str, Callable[[Path], None]] = {
        "ours": partial(_ours, network, support),
        "its own": partial(OWN_EXPORTERS[support.name], network),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, write in sides.items():
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                write(Path(folder))
                if turn:
                    seconds[name].append(time.perf_counter() - began)
    return seconds


def _ours(network: Network, support: RuntimeSupport, folder: Path) -> None:
    how = network.spec.preprocessing
    entry = write_float(support, "fp32", deployable(network, how), folder)
    add_resize(support, "fp32", entry, how)


def _images(network: Network) -> tuple[torch.Tensor]:
    side = network.spec.preprocessing.resolution
    return (torch.randn(1, 3, side, side),)


def _onnx(network: Network, folder: Path) -> None:
    with quiet(), torch.no_grad():
        torch.onnx.export(network, _images(network), folder / "model.onnx", dynamo=True, verbose=False)


def _openvino(network: Network, folder: Path) -> None:
    import openvino

    with quiet(), torch.no_grad():
        model = openvino.convert_model(network, example_input=_images(network))
        openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)


def _litert(network: Network, folder: Path) -> None:
    with quiet():
        import litert_torch

        litert_torch.convert(network, _images(network)).export(str(folder / "model.tflite"))


def _executorch(network: Network, folder: Path) -> None:
    with quiet(), torch.no_grad():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        exported = torch.export.export(network, _images(network))
        program = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
        (folder / "model.pte").write_bytes(program.buffer)


OWN_EXPORTERS = {"onnx": _onnx, "openvino": _openvino, "litert": _litert, "executorch": _executorch}


if __name__ == "__main__":
    sys.exit(main())
