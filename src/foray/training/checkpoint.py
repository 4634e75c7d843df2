"""Checkpoints for resuming: weights, optimiser state, EMA and history, of the last epoch or of a step within it.

    checkpoint/epoch-0007.safetensors               weights and optimiser state after epoch 7, and the predictions of
                                                    each half of val by the epoch that the other half would keep
    checkpoint/epoch-0007-step-000123.safetensors   after 123 more steps, saved every few minutes and on Ctrl-C
    checkpoint/state.json                           which of them is last, which is best; written last, so that it is
                                                    never ahead
    history.jsonl                                   one line per epoch

The files of the last and of the best epoch are kept, others removed once state.json names newer ones. A process killed
at any moment leaves a state.json whose files are complete; steps after it are made again, bit for bit. state.json also
says which run it belongs to and the digests of its files: a run never resumes from damaged weights or another run's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from foray.errors import RunError
from foray.evaluation.predictions import Predictions
from foray.records import EpochRow, RunFolder, write_bytes, write_text
from foray.records.record import Record
from foray.records.run_folder import parse_history
from foray.records.sealing import sha256
from foray.regular_files import read_regular
from foray.training.average import WeightAverage
from foray.training.crossfit import CrossFit
from foray.training.epoch_choice import best_epoch, val_scores
from foray.training.running_metrics import RunningSums

WAY_OUT = "Delete the run's folder to start again."
SAVE_SECONDS = 180.0  # between two checkpoints within an epoch
_NETWORK = "network."
_AVERAGE = "average."
_OPTIMIZER = "optimizer."
_CROSSFIT = "crossfit."


class TrainingState(Record):
    """How far a run has come: `epoch` epochs (0: none is finished) and `step` steps of the next one.

    `run`: what identifies the run (`foray.runs.identity`); `files`: SHA-256 of the files in checkpoint/, by name;
    `history`: that of the lines of finished epochs. Checkpoints of earlier versions of foray have none of them.
    """

    way_out: ClassVar[str] = WAY_OUT

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0  # counted from 1
    elapsed_seconds: float = 0.0  # in finished epochs
    epoch_seconds: float = 0.0  # in the unfinished epoch
    tally: RunningSums = RunningSums()  # of the unfinished epoch
    micro_batch_size: int | None = None  # size of micro-batches after out of memory; None: as in the recipe
    run: str | None = None
    files: dict[str, str] = Field(default_factory=dict)
    history: str | None = None


@dataclass(frozen=True, eq=False)
class Learner:
    """Everything a training step changes."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None = None

    @property
    def judged(self) -> nn.Module:
        """What is evaluated and kept: the average of the weights where there is one."""
        return self.average.network if self.average else self.network


class History:
    """history.jsonl: rows of finished epochs, rewritten atomically after each if this process `writes`.

    `digest`: SHA-256 of their lines in the file.
    """

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path = path
        self._writes = writes
        self.rows: list[EpochRow] = []
        self.digest = sha256(b"")

    def load(self, epochs: int, digest: str | None = None) -> None:
        """Reads the rows of the first `epochs` epochs; later rows belong to an epoch that will be trained again.

        `digest`: what theirs has to be, if known. Raises RunError when they are not all there, or not as written.
        """
        try:
            content = read_regular(self.path) if self.path.exists() else b""
        except OSError as error:
            raise RunError(f"{self.path} is damaged. {WAY_OUT}") from error
        lines = content.splitlines(keepends=True)[:epochs]
        self.rows = list(parse_history(lines, self.path, WAY_OUT))
        if len(self.rows) != epochs:
            raise RunError(f"{self.path} has {len(self.rows)} of {epochs} epochs. {WAY_OUT}")
        self.digest = sha256(b"".join(lines))
        if digest not in (None, self.digest):
            raise RunError(f"{self.path} is damaged: its SHA-256 differs from the recorded one. {WAY_OUT}")

    def replace(self, rows: list[EpochRow]) -> None:
        """Writes the file with these rows."""
        self.rows = rows
        text = "".join(row.model_dump_json() + "\n" for row in rows)
        self.digest = sha256(text.encode("utf-8"))
        if self._writes:
            write_text(self.path, text)


class Checkpoint:
    """The checkpoint/ folder and history of one run folder. `keep`: which epoch's weights are the result; `crossfit`:
    of val, where it chooses; `identity`: of the run, which its checkpoint must have; `writes`: False on ranks
    other than 0.
    """

    def __init__(
        self,
        run: Path,
        *,
        keep: Literal["best", "last"],
        crossfit: CrossFit | None = None,
        identity: str | None = None,
        writes: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = RunFolder(run).checkpoint
        self.history = History(RunFolder(run).history, writes=writes)
        self._writes = writes
        self._identity = identity
        self.keep = keep
        self.crossfit = crossfit  # None also once a checkpoint was restored that lacks it
        self._clock = clock
        self._saved_at = clock()

    def state(self) -> TrainingState:
        """The progress of the run. Raises RunError when it is damaged, or another run's."""
        path = self.folder / "state.json"
        state = TrainingState.load(path) if path.exists() else TrainingState()
        if state.run is not None and self._identity is not None and state.run != self._identity:
            raise RunError(f"{self.folder} is the checkpoint of another run. {WAY_OUT}")
        return state

    @property
    def is_due(self) -> bool:
        """Whether the last one is so old that the present step should be saved."""
        return self._writes and self._clock() - self._saved_at >= SAVE_SECONDS

    def save_epoch(self, state: TrainingState, row: EpochRow, val: Predictions, learner: Learner) -> TrainingState:
        """Records the epoch that `row` is about, which follows `state`'s last one and predicts `val`."""
        if self.crossfit:
            row = self.crossfit.scored(row, val)
        self.history.replace([*self.history.rows, row])
        if self.crossfit:
            self.crossfit.add(self.history.rows, val)
        finished = TrainingState(
            epoch=row.epoch,
            best_epoch=best_epoch(val_scores(self.history.rows)),
            elapsed_seconds=sum(row.seconds for row in self.history.rows),
            micro_batch_size=state.micro_batch_size,
            files=state.files,
        )
        return self.save(finished, learner)

    def save(self, state: TrainingState, learner: Learner) -> TrainingState:
        """Writes the state of `learner`, then state.json, and only then removes obsolete files."""
        if not self._writes:
            return state
        latest = self._path(state.epoch, state.step)
        needed = (latest, self._path(state.best_epoch))
        content = save(_tensors(learner, self.crossfit))
        write_bytes(latest, content)
        digests = state.files | {latest.name: sha256(content)}
        files = {path.name: digests[path.name] for path in needed if path.name in digests}
        state = state.model_copy(update={"run": self._identity, "files": files, "history": self.history.digest})
        state.save(self.folder / "state.json")
        for path in self.folder.glob("epoch-*.safetensors"):
            if path not in needed:
                path.unlink()
        self._saved_at = self._clock()
        return state

    def restore(self, learner: Learner) -> TrainingState:
        """Puts the last checkpoint back; a fresh run gets epoch 0. Raises RunError when the files are damaged."""
        state = self.state()
        if state.epoch == state.step == 0:
            return state
        self.history.load(state.epoch, state.history)
        path = self._path(state.epoch, state.step)
        with _fits(path):
            tensors = _read(path, state)
            _load_network(learner.network, tensors, _NETWORK)
            if learner.average:
                _load_network(learner.average.network, tensors, _AVERAGE)
            _load_optimizer(learner.optimizer, tensors)
            if self.crossfit and not self.crossfit.restore(_part(tensors, _CROSSFIT), self.history.rows):
                self.crossfit = None
        return state

    def load_kept(self, network: nn.Module, state: TrainingState) -> int:
        """Puts the weights to keep, the average where there is one, into `network`; returns their epoch."""
        epoch = state.best_epoch if self.keep == "best" else state.epoch
        path = self._path(epoch)
        with _fits(path):
            tensors = _read(path, state)
            averaged = any(name.startswith(_AVERAGE) for name in tensors)
            _load_network(network, tensors, _AVERAGE if averaged else _NETWORK)
        return epoch

    def _path(self, epoch: int, step: int = 0) -> Path:
        return self.folder / (f"epoch-{epoch:04d}" + (f"-step-{step:06d}" if step else "") + ".safetensors")


@contextmanager
def _fits(path: Path) -> Iterator[None]:
    """Errors name the file whose tensors are damaged or of another network."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError, ValueError, LookupError, TypeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RunError(f"Cannot read {path}: {reason} {WAY_OUT}") from error


def _read(path: Path, state: TrainingState) -> dict[str, Tensor]:
    content = read_regular(path)
    expected = state.files.get(path.name)
    if expected is not None and sha256(content) != expected:
        raise ValueError("its SHA-256 differs from the recorded one.")
    return load(content)


def _tensors(learner: Learner, crossfit: CrossFit | None) -> dict[str, Tensor]:
    tensors = {_NETWORK + name: tensor for name, tensor in learner.network.state_dict().items()}
    if learner.average:
        tensors |= {_AVERAGE + name: tensor for name, tensor in learner.average.network.state_dict().items()}
    tensors |= {_OPTIMIZER + name: tensor for name, tensor in _flat_state(learner.optimizer).items()}
    if crossfit:
        tensors |= {_CROSSFIT + name: tensor for name, tensor in crossfit.tensors().items()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _flat_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """`<parameter index>.<name>` -> tensor; hyperparameters come from the recipe and the schedule instead."""
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, values in state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def _load_network(network: nn.Module, tensors: dict[str, Tensor], prefix: str) -> None:
    network.load_state_dict(_part(tensors, prefix), strict=True)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


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
