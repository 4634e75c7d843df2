"""ExecuTorch programs whose network runs on XNNPACK: one prepared image a call."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from foray.export.graph import Deployable, example_images
from foray.export.quiet import quiet
from foray.records.files import write_bytes

ENTRY = "model.pte"


def write(module: Deployable, folder: Path) -> Path:
    """Writes `module` as folder/model.pte, computing in the precision of its weights; returns the path."""
    with quiet(), torch.no_grad():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        exported = torch.export.export(module, (example_images(module),))
        program = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
    write_bytes(folder / ENTRY, program.buffer)
    return folder / ENTRY


def in_float16(module: Deployable) -> Deployable:
    """A copy whose network computes in float16; scaling, normalisation and softmax stay in float32.

    XNNPACK stores float32 weights all the same and converts them where the processor computes in float16.
    """
    halved = copy.deepcopy(module)
    halved.network.half()
    return halved
