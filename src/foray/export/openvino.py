"""OpenVINO's intermediate representation: model.xml, the graph, and model.bin, its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from foray.export.graph import Deployable, example_images
from foray.export.quiet import quiet
from foray.specs import Preprocessing

ENTRY = "model.xml"


def write(module: Deployable, folder: Path) -> Path:
    """Writes `module` in float32 as folder/model.xml and .bin, for any number of prepared images; returns the path."""
    import openvino

    side = module.resolution
    with quiet(), torch.inference_mode():
        model = openvino.convert_model(module, example_input=example_images(module, n=2))
        model.reshape([-1, side, side, 3])
    _name(model, "images", "probabilities")
    folder.mkdir(parents=True, exist_ok=True)
    openvino.save_model(model, folder / ENTRY, compress_to_fp16=False)
    return folder / ENTRY


def finish(entry: Path, preprocessing: Preprocessing, precision: str) -> None:
    """Puts resize and crop before the model in `entry`, float or int8, and says which precision it is for.

    fp16 and bf16 store weights in float16, which has more digits than bfloat16. What is computed in is the reader's to
    ask for (INFERENCE_PRECISION_HINT): an OpenVINO model cannot demand it, and some CPUs would take bfloat16 for
    float32. It is written into the file for whoever looks.
    """
    import openvino

    from foray.export.openvino_prepare import prepare_graph

    model = openvino.Core().read_model(entry)
    images, squares = prepare_graph(preprocessing)
    model.inputs[0].replace(squares.output(0))
    joined = openvino.Model(model.get_results(), [images], "foray")
    _name(joined, "images", "probabilities")
    joined.set_rt_info("bf16" if precision == "bf16" else "f32", ["runtime_options", "INFERENCE_PRECISION_HINT"])
    joined.set_rt_info(precision, ["foray", "precision"])
    replacement = entry.with_name("prepared.xml")
    openvino.save_model(joined, replacement, compress_to_fp16=precision in ("fp16", "bf16"))
    for suffix in (".xml", ".bin"):
        replacement.with_suffix(suffix).replace(entry.with_suffix(suffix))


def _name(model: Any, given: str, result: str) -> None:
    model.inputs[0].get_tensor().set_names({given})
    model.outputs[0].get_tensor().set_names({result})
