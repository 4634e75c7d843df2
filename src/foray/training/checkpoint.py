"""What a killed run resumes from: weights, optimiser state and history of the last finished epoch.

    checkpoint/epoch-0007.safetensors    weights and optimiser state after epoch 7
    checkpoint/state.json                which epoch is last, which is best; written last, so that it is never ahead
    history.jsonl                        one line an epoch

The files of the last and of the best epoch are kept. A process killed at any moment leaves a state.json whose files
are complete; an epoch that was not finished is trained again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from foray.errors import RunError
from foray.records import EpochRow, write_bytes, write_text
from foray.records.record import Record

_NETWORK = "network."
_OPTIMIZER = "optimizer."


class TrainingState(Record):
    """How far a run has come. Epochs count from 1; 0: none is finished."""

    epoch: int = 0
    best_epoch: int = 0
    elapsed_seconds: float = 0.0  # in finished epochs


class History:
    """history.jsonl: rows of finished epochs, rewritten atomically after each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[EpochRow] = []

    def load(self, epochs: int) -> None:
        """Reads the rows of the first `epochs` epochs; later rows belong to an epoch that will be trained again."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        try:
            self.rows = [EpochRow.model_validate_json(line) for line in lines[:epochs]]
        except ValidationError as error:
            raise RunError(f"{self.path} is damaged. Delete the run's folder to start anew.") from error
        if len(self.rows) != epochs:
            raise RunError(
                f"{self.path} has {len(self.rows)} of {epochs} epochs. Delete the run's folder to start anew."
            )

    def replace(self, rows: list[EpochRow]) -> None:
        """Writes the file with these rows."""
        self.rows = rows
        write_text(self.path, "".join(row.model_dump_json() + "\n" for row in rows))


def best_epoch(rows: Sequence[EpochRow]) -> int:
    """The epoch with the highest accuracy on val; the lower loss decides between equals, then the earlier one."""
    return max(rows, key=lambda row: (row.val_top1 or 0.0, -(row.val_loss or 0.0))).epoch


class Checkpoint:
    """The checkpoint/ folder and history of one run folder. `keep`: which epoch's weights are the result."""

    def __init__(self, run: Path, *, keep: Literal["best", "last"]) -> None:
        self.folder = run / "checkpoint"
        self.history = History(run / "history.jsonl")
        self.keep = keep

    def state(self) -> TrainingState:
        """How far the run has come."""
        path = self.folder / "state.json"
        return TrainingState.load(path) if path.exists() else TrainingState()

    def save(self, row: EpochRow, network: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState:
        """Records a finished epoch."""
        self.history.replace([*self.history.rows, row])
        state = TrainingState(
            epoch=row.epoch,
            best_epoch=best_epoch(self.history.rows),
            elapsed_seconds=sum(row.seconds for row in self.history.rows),
        )
        tensors = {_NETWORK + name: tensor for name, tensor in network.state_dict().items()}
        tensors |= {_OPTIMIZER + name: tensor for name, tensor in _flat_state(optimizer).items()}
        packed = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        write_bytes(self._path(row.epoch), save(packed))
        state.save(self.folder / "state.json")
        for path in self.folder.glob("epoch-*.safetensors"):
            if path not in (self._path(state.epoch), self._path(state.best_epoch)):
                path.unlink()
        return state

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState:
        """Puts the last finished epoch back; a fresh run gets epoch 0. Raises RunError when the files are damaged."""
        state = self.state()
        if state.epoch == 0:
            return state
        self.history.load(state.epoch)
        tensors = self._read(state.epoch)
        _load_network(network, tensors)
        _load_optimizer(optimizer, tensors)
        return state

    def load_kept(self, network: nn.Module, state: TrainingState) -> int:
        """Puts the weights to keep into `network`; returns their epoch."""
        epoch = state.best_epoch if self.keep == "best" else state.epoch
        _load_network(network, self._read(epoch))
        return epoch

    def _path(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04d}.safetensors"

    def _read(self, epoch: int) -> dict[str, Tensor]:
        path = self._path(epoch)
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise RunError(f"Cannot read {path}: {error}. Delete the run's folder to start anew.") from error


def _flat_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """`<parameter index>.<name>` -> tensor; hyperparameters come from the recipe and the schedule instead."""
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, values in state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def _load_network(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    weights = {name.removeprefix(_NETWORK): tensor for name, tensor in tensors.items() if name.startswith(_NETWORK)}
    network.load_state_dict(weights, strict=True)


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if not key.startswith(_OPTIMIZER):
            continue
        index, name = key.removeprefix(_OPTIMIZER).split(".")
        parameter = parameters[int(index)]
        if tensor.shape == parameter.shape:
            # The parameter's memory layout too: vectorised and scalar arithmetic may round differently.
            tensor = torch.empty_like(parameter, requires_grad=False).copy_(tensor)
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
