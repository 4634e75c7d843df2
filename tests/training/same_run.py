"""What two runs that should be the same are compared by, and how one is interrupted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file


def without_seconds(path: Path) -> list[dict[str, object]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]


def assert_same_run(ours: Path, theirs: Path) -> None:
    """Weights, optimiser state, averages, state, history and predictions, bit for bit; seconds, and digests of files
    that hold seconds, excepted."""
    assert without_seconds(ours / "history.jsonl") == without_seconds(theirs / "history.jsonl")
    states = [json.loads((run / "checkpoint" / "state.json").read_text(encoding="utf-8")) for run in (ours, theirs)]
    for state in states:
        del state["elapsed_seconds"], state["epoch_seconds"], state["digest"], state["history"]
    assert states[0] == states[1]
    files = sorted(path.relative_to(theirs) for path in theirs.rglob("*.safetensors"))
    assert files == sorted(path.relative_to(ours) for path in ours.rglob("*.safetensors"))
    for name in files:
        mine, other = load_file(ours / name), load_file(theirs / name)
        assert mine.keys() == other.keys()
        assert not [key for key, tensor in mine.items() if not torch.equal(tensor, other[key])], name
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    for name in sorted((theirs / "predictions").iterdir()):
        assert np.array_equal(
            np.load(name)["probabilities"], np.load(ours / "predictions" / name.name)["probabilities"]
        )


class SignalsAt:
    """Progress that sends its own process a signal after `steps` training steps, or within the evaluation of test."""

    def __init__(self, number: signal.Signals, steps: int) -> None:
        self.number, self.left = number, steps

    def note(self, message: str) -> None:
        pass

    @contextlib.contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[SignalsAt]:
        self.is_training = description.endswith("training")
        yield self

    def advance(self, n: int = 1, note: str = "") -> None:
        if self.is_training and note:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), self.number)
