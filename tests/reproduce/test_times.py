"""Networks timed in turns: what a step is, when rounds end, and what is left of it. No test asserts a time."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from foray.augmentation import Augment
from foray.clock.workers import Worker
from foray.errors import ForayError
from foray.progress import SilentProgress, Task
from foray.reproduce import times, training_step
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Claim, Timed, TimeRatio
from foray.reproduce.evidence import current
from foray.reproduce.execute import Study, StudyRequest
from foray.reproduce.experiments import BY_SCALE
from foray.reproduce.results_folder import TimesResult, read_results
from foray.reproduce.times import TimesPlan, is_precise, run_times, take_times, times_plan
from foray.requests import Machine
from foray.specs import Preprocessing
from foray.training.checkpoint import Checkpoint
from foray.training.loop import TrainingData, fit
from tests.small_training import HALF_RIGHT

MODEL, SIDE = "mobilenet_v2_x0.25", 32
STEPS = 3
SMALL = Timed(MODEL, SIDE), Timed("mobilenet_v1_x0.25", SIDE)
ROUNDS = TimesPlan("times-training", (SMALL,), wait_seconds=0.0)

# Answers with the milliseconds of its arguments, one turn after the other, the last for ever.
TELLS = """
import json, sys
given = [float(ms) for ms in sys.argv[1:]]
print(json.dumps({"load_ms": 1.0}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"ms": [given.pop(0) if len(given) > 1 else given[0]] * asked["passes"]}), flush=True)
"""


class SameBatches:
    """The batches of `random_batches`, as the loop reads them."""

    device, batch_size = torch.device("cpu"), training_step.timed_recipe().batch_size

    def __len__(self) -> int:
        return STEPS

    def size(self, step: int) -> int:
        return self.batch_size

    def share(self, total: int) -> slice:
        return slice(0, total)

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        for _, (images, labels) in zip(range(STEPS), training_step.random_batches(SIDE), strict=False):
            yield images, labels, torch.arange(self.batch_size)


@pytest.mark.parametrize("trains", ["whole", "head"])
def test_a_timed_step_is_a_step_of_the_training_loop(tmp_path: Path, trains: str) -> None:
    """As many steps leave the same weights and statistics, bit for bit; of the head alone, no others are changed."""
    timed, looped = (training_step.prepared_network(MODEL, trains) for _ in range(2))
    before = {key: tensor.clone() for key, tensor in timed.state_dict().items()}
    step = training_step.training_step(timed, SIDE)
    for _ in range(STEPS):
        step()
    recipe = training_step.timed_recipe().model_copy(update={"epochs": 1})
    augment = Augment(recipe.augmentation, Preprocessing(resolution=SIDE), seed=training_step.SEED)
    fit(
        looped, recipe, TrainingData(SameBatches(), augment, SIDE), seed=training_step.SEED,
        validate=lambda _: HALF_RIGHT, checkpoint=Checkpoint(tmp_path, keep="last"),
        compute_format=training_step.compute_format(),
    )  # fmt: skip
    expected = looped.state_dict()
    changed = {key for key, tensor in timed.state_dict().items() if not torch.equal(tensor, before[key])}
    assert all(torch.equal(tensor, expected[key]) for key, tensor in timed.state_dict().items())
    if trains == "head":
        assert changed == {"classifier.weight", "classifier.bias"}
    else:
        assert changed == before.keys()


def test_batches_are_those_of_the_recipe() -> None:
    images, labels = next(training_step.random_batches(40))
    assert (images.shape, images.dtype) == ((32, 3, 40, 40), torch.uint8)
    assert labels.shape == (32,)
    assert set(range(training_step.NUM_CLASSES)) >= set(labels.tolist())


def ratio(fast: Timed, slow: Timed, of: str = "epoch") -> Claim:
    return Claim("x", "comparison", "X.", "nowhere", "deepweeds", TimeRatio(fast, slow, 1.5, of=of))


def test_a_plan_holds_what_the_claims_name_each_once() -> None:
    a, b, c = Timed("mobilenet_v2", 224), Timed("efficientnet_b0", 224), Timed("mobilenet_v2", 224, "head")
    claims = [ratio(a, b), ratio(a, b), ratio(c, a), ratio(a, Timed("ghostnet_100", 224), "latency")]
    plan = times_plan("times-training", "full", claims)
    assert plan.pairs == ((a, b), (c, a))
    assert set(plan.networks) == {a, b, c}
    assert len(plan.networks) == 3
    assert times_plan("times-training", "full", claims[::-1]).id == plan.id
    assert times_plan("times-training", "full", claims[:2]).id != plan.id
    with pytest.raises(ForayError, match="No claim needs times-latency"):
        times_plan("times-latency", "full", claims[:1])


def test_a_mini_plan_is_two_small_networks() -> None:
    plan = times_plan("times-training", "mini", CLAIMS.values())
    assert len(plan.networks) == 2
    assert {network.resolution for network in plan.networks} == {32}
    assert (plan.least, plan.most, plan.steps, plan.wait_seconds) == (2, 2, 1, 0)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """Milliseconds that each network's process tells, by label, in place of training."""
    given: dict[str, list[float]] = {}

    def start(name: str, *_: object) -> Worker:
        return Worker(name, [sys.executable, "-S", "-c", TELLS, *map(str, given[name])])

    monkeypatch.setattr(times, "step_worker", start)
    return given


def test_rounds_end_when_the_ratio_is_precise(told: dict[str, list[float]]) -> None:
    fast, slow = (network.label for network in SMALL)
    told |= {fast: [100.0], slow: [250.0]}
    found = take_times(ROUNDS, Machine(threads=1))
    assert (found.rounds, found.steps, found.batch_size, found.threads) == (ROUNDS.least, 3, 32, 1)
    assert [network.seconds for network in found.networks] == [[0.1] * 8, [0.25] * 8]


def test_rounds_end_at_the_limit_when_the_ratio_is_not_precise(told: dict[str, list[float]]) -> None:
    fast, slow = (network.label for network in SMALL)
    told |= {fast: [100.0], slow: [50.0, *[200.0, 400.0] * 20]}  # the first is the warm-up
    found = take_times(ROUNDS, Machine(threads=1))
    assert found.rounds == ROUNDS.most
    assert found.networks[1].seconds == [0.2, 0.4] * 6


def test_stopping_when_precise_leaves_the_interval_honest() -> None:
    """Rounds that end early because their ratios happen to agree: the interval still holds the truth as often as said.

    Noise of 6 % a round ends anywhere between the least and the most rounds, which is the hardest case.
    """
    random, held, ended, n = np.random.default_rng(0), 0, set(), 3000
    for _ in range(n):
        slow = np.exp(random.normal(0, 0.06, ROUNDS.most)).tolist()
        rounds = next((k for k in range(ROUNDS.least, ROUNDS.most) if is_precise(slow[:k], [1.0] * k)), ROUNDS.most)
        _, low, high = times.paired_ratio(slow[:rounds], [1.0] * rounds)
        held += low <= 1 <= high
        ended.add(rounds)
    assert ended == set(range(ROUNDS.least, ROUNDS.most + 1))
    assert held / n > 0.93


class Stops(SilentProgress):
    """Ctrl-C in the first round."""

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
        yield self

    def advance(self, n: int = 1, note: str = "") -> None:
        if not note.endswith("warm-up"):
            raise KeyboardInterrupt


def test_ctrl_c_ends_all_processes_and_writes_nothing(
    told: dict[str, list[float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told |= {network.label: [100.0] for network in SMALL}
    monkeypatch.setattr(times, "times_plan", lambda *_: ROUNDS)
    started: list[Worker] = []
    start = times.step_worker

    def remembered(*given: object) -> Worker:
        started.append(start(*given))
        return started[-1]

    monkeypatch.setattr(times, "step_worker", remembered)
    with pytest.raises(KeyboardInterrupt):
        run_times("times-training", "full", tmp_path, Machine(threads=1), progress=Stops())
    assert len(started) == 2
    for worker in started:
        with pytest.raises(ProcessLookupError):
            os.kill(worker.pid, 0)
    assert not list(tmp_path.rglob("*.json"))


def test_a_process_that_fails_is_the_reason_of_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = TimesPlan("times-training", ((Timed("no_such_network", SIDE), SMALL[1]),), wait_seconds=0.0)
    monkeypatch.setattr(times, "times_plan", lambda *_: broken)
    failure = run_times("times-training", "full", tmp_path, Machine(threads=1))
    assert failure is not None
    assert failure.kind == "failed"
    assert "no_such_network" in failure.reason
    assert not list(tmp_path.rglob("*.json"))


def test_mini_times_are_taken_by_real_training_and_not_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(StudyRequest(scale="mini"), tmp_path, Machine(threads=1), "foray reproduce --scale mini")
    study.run_all(["times-training"])
    [result] = current(read_results(study.results, "mini")["times-training"])
    assert isinstance(result, TimesResult)
    assert (result.info.role, result.info.command) == ("times-training", "foray reproduce --scale mini")
    assert (result.times.timed, result.times.rounds, result.times.steps) == ("training step", 2, 1)
    assert [Timed(one.model, one.resolution, one.trains) for one in result.times.networks] == list(
        times_plan("times-training", "mini", CLAIMS.values()).networks
    )
    monkeypatch.setattr(times, "take_times", None)
    study.run_all(["times-training"])
    assert read_results(study.results, "mini")["times-training"] == [result]


def test_reduced_data_have_no_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "take_times", None)
    [between] = set(BY_SCALE) - {"full", "mini"}
    Study(StudyRequest(scale=between), tmp_path, Machine(threads=1), "").run_all(["times-training"])
    assert not (tmp_path / "results").is_dir()


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs ONNX Runtime")
def test_latency_is_timed_by_the_clock_on_onnx_runtime(tmp_path: Path) -> None:
    found = take_times(times_plan("times-latency", "mini", [ratio(*SMALL, "latency")]), Machine(threads=1))
    assert (found.timed, found.runtime, found.precision, found.threads) == ("inference", "onnx", "float32", 1)
    assert (found.rounds, found.batch_size) == (2, 1)
    assert [(one.model, one.resolution, one.trains) for one in found.networks] == [
        (network.model, SIDE, None) for network in SMALL
    ]
    assert "onnxruntime" in found.versions


def test_latency_is_timed_in_pytorch_where_onnx_runtime_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", partial(_without, importlib.util.find_spec))
    assert times.latency_setup(2) == times.RuntimeSetup("torch", "fp32", 2)


def _without(find_spec: object, name: str, *rest: object) -> object:
    return None if name.startswith("onnx") else find_spec(name, *rest)
