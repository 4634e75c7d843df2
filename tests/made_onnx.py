"""An artifact for onnxruntime or OpenVINO that is made in milliseconds: mean colour, one dense layer, softmax."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from foray.deploy import bench
from foray.deploy import predict as reader

SIDE, CLASSES = 16, 3


def write_artifact(folder: Path, precision: str = "fp32", runtime: str = "onnx") -> Path:
    """Writes the model, labels.txt, artifact.json, predict.py and bench.py; returns the folder."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(0, 0.01, (3, CLASSES)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT, name="cast"),
            helper.make_node("ReduceMean", ["floats"], ["means"], axes=[1, 2], keepdims=0, name="mean"),
            helper.make_node("MatMul", ["means", "weights"], ["logits"], name="dense"),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1, name="softmax"),
        ],
        "mean_colour",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(weights, "weights")],
    )
    folder.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "model.onnx"))
    entry, names = "model.onnx", ["model.onnx", "labels.txt"]
    if runtime == "openvino":
        import openvino

        openvino.save_model(openvino.convert_model(folder / entry), folder / "model.xml", compress_to_fp16=False)
        entry, names = "model.xml", ["model.xml", "model.bin", "labels.txt"]
    (folder / "labels.txt").write_text("a\nb\nc\n", encoding="utf-8")
    contents = {name: (folder / name).read_bytes() for name in names}
    description = {
        "schema_version": 1, "kind": "foray artifact", "runtime": runtime, "precision": precision,
        "entry": entry,
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in contents.items()
        },
        "model": "mean_colour", "resolution": SIDE, "num_classes": CLASSES,
        "input": {"height": SIDE, "width": SIDE, "batch": None},
        "preprocessing": {
            "resolution": SIDE, "resize_side": SIDE, "interpolation": "bilinear", "mean": [0.0] * 3, "std": [1.0] * 3,
        },
        "run": {}, "params": 9, "macs": 9, "certificate": None,
    }  # fmt: skip
    (folder / "artifact.json").write_text(json.dumps(description), encoding="utf-8")
    for module in (reader, bench):
        source = Path(module.__file__)
        (folder / source.name).write_bytes(source.read_bytes())
    return folder
